//! What each real program does when it is traced, confined and measured: data, in tables that
//! `soundness`, `programs` and `bench` share.

mod applets;
mod files;
mod row;
mod servers;
mod shells;
mod sqlite;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::client::Client;
use crate::fixture;

/// One program and what it is given to do.
pub(crate) struct Workload {
    /// How reports call it.
    pub(crate) name: &'static str,
    /// The file.
    pub(crate) program: Program,
    /// Its analysis takes long: it belongs to `test --full`.
    pub(crate) slow: bool,
    /// Programs that it starts (`--exec`).
    pub(crate) starts: &'static [&'static str],
    /// Modules that the scan is told about with `--plugin`: what this program loads by a name that
    /// only its configuration or its command line knows.
    pub(crate) plugins: &'static [&'static str],
    /// One after another, in one scratch directory.
    pub(crate) steps: &'static [Step],
}

/// Where a program comes from.
pub(crate) enum Program {
    /// Debian brings it.
    Path(&'static str),
    /// `testdata/programs` has its source.
    Fixture(&'static str),
}

/// One start of the program.
///
/// In arguments `{dir}` is the scratch directory, `{port}`, `{second}` and `{third}` are ports for the
/// program itself, `{http}` is the port of a web server that stands beside it.
pub(crate) enum Step {
    /// Runs to its end; exit code and output are compared with a native run.
    Run {
        /// Arguments.
        args: &'static [&'static str],
        /// Standard input.
        input: &'static str,
        /// What of the output must be equal.
        compare: Compare,
        /// The exit code of a native run.
        code: i32,
    },
    /// Serves until a signal.
    Serve {
        /// Arguments.
        args: &'static [&'static str],
        /// The load; what it returns is compared with a native run.
        client: fn(&mut Client) -> Result<String>,
        /// What ends it: SIGTERM where its ending does not depend on what is still connected.
        signal: Signal,
        /// How a native run ends after that signal, as a shell says it: 143 when it lets the signal end it.
        code: i32,
    },
}

/// What of a program's output must be the same on every run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compare {
    /// Every byte.
    All,
    /// The last word of each line: the rest are times and counts that change by themselves.
    LastWords,
    /// Only that there is some: the numbers are those of the machine at that moment.
    Some,
}

impl Compare {
    /// What is left of `output` to compare.
    pub(crate) fn essence(self, output: &[u8]) -> Vec<u8> {
        match self {
            Compare::All => output.to_vec(),
            Compare::LastWords => String::from_utf8_lossy(output)
                .lines()
                .map(|line| format!("{}\n", line.split(' ').next_back().unwrap_or_default()))
                .collect::<String>()
                .into_bytes(),
            Compare::Some => vec![u8::from(!output.is_empty())],
        }
    }
}

/// Ports and places that stand for the placeholders.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    /// `{dir}`.
    pub(crate) dir: PathBuf,
    /// `{port}`.
    pub(crate) port: u16,
    /// `{second}`.
    pub(crate) second: u16,
    /// `{third}`.
    pub(crate) third: u16,
    /// `{http}`.
    pub(crate) http: u16,
}

impl Values {
    /// `text` with its placeholders replaced.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("{dir}", &self.dir.to_string_lossy())
            .replace("{port}", &self.port.to_string())
            .replace("{second}", &self.second.to_string())
            .replace("{third}", &self.third.to_string())
            .replace("{http}", &self.http.to_string())
    }
}

impl Workload {
    /// The program's path as a person gives it (redis-server looks at its own name), built if it
    /// must be.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        match self.program {
            Program::Path(path) => Ok(Path::new(path).to_owned()),
            Program::Fixture(name) => fixture::built(name),
        }
    }

    /// The program's file as the kernel names it: symbolic links resolved.
    pub(crate) fn image(&self) -> Result<PathBuf> {
        let path = self.path()?;
        std::fs::canonicalize(&path).with_context(|| format!("find {}", path.display()))
    }

    /// False when the file is missing and nobody here can build it.
    pub(crate) fn there(&self) -> bool {
        match self.program {
            Program::Path(path) => Path::new(path).exists(),
            Program::Fixture(_) => true,
        }
    }
}

/// Every workload.
fn all() -> impl Iterator<Item = &'static Workload> {
    let kinds = [
        tools::TOOLS,
        files::FILES,
        shells::SHELLS,
        sqlite::SQLITE,
        servers::SERVERS,
    ];
    kinds.into_iter().flatten()
}

/// The workloads with these names, or all.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Workload>> {
    for name in names {
        if !all().any(|workload| workload.name == name) {
            let known: Vec<_> = all().map(|workload| workload.name).collect();
            bail!(
                "no workload is called {name}; there are {}",
                known.join(" ")
            );
        }
    }
    Ok(all()
        .filter(|workload| names.is_empty() || names.iter().any(|name| name == workload.name))
        .collect())
}
