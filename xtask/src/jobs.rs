//! `cargo xtask jobs`: other people's programs as jobs of the WebAssembly engine. Programs in C, from Debian's source
//! packages and compiled for WASI, do to real data what the machine's own builds of them do; a parachain's runtime is
//! prepared within limits, kept, and instantiated.

mod parachain;
mod programs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{needs, place, process};

/// What one job may take before it counts as hanging, its preparation included.
const PATIENCE: Duration = Duration::from_secs(600);

/// `cargo xtask jobs`.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let missing = needs::provide()?;
    ensure!(missing.is_empty(), "missing: {}", missing.join(" "));
    let place = Place::new()?;
    programs::all(&place)?;
    parachain::runtime(&place)
}

/// Where the modules are, and the command that runs them.
struct Place {
    directory: PathBuf,
    command: PathBuf,
}

impl Place {
    fn new() -> Result<Place> {
        let directory = place::target().join("jobs");
        // Each time anew: what was kept is an answer of its own.
        let cache = directory.join("cache");
        if cache.exists() {
            fs::remove_dir_all(&cache).with_context(|| format!("remove {}", cache.display()))?;
        }
        fs::create_dir_all(&directory)
            .with_context(|| format!("create {}", directory.display()))?;
        // The engine is not in the default build.
        process::show(
            Command::new("cargo")
                .args([
                    "build",
                    "--quiet",
                    "--package",
                    "portcullis-cli",
                    "--features",
                    "wasm",
                ])
                .args(["--bin", "portcullis", "--profile", place::PROFILE])
                .current_dir(place::root()),
        )?;
        Ok(Place {
            directory,
            command: place::target().join(place::PROFILE).join("portcullis"),
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// `portcullis job VERB MODULE`, with a cache of its own.
    fn job(&self, verb: &str, module: &Path) -> Command {
        let mut command = Command::new(&self.command);
        command.args(["job", verb]).arg(module);
        command.env("XDG_CACHE_HOME", self.at("cache"));
        command
    }

    /// What a job writes; it must end well.
    fn output(&self, module: &Path, input: &[u8], arguments: &[&str]) -> Result<Vec<u8>> {
        self.output_with(&[], module, input, arguments)
    }

    /// The same with more options, as those of its files, which are taken to this place.
    fn output_with(
        &self,
        options: &[&str],
        module: &Path,
        input: &[u8],
        arguments: &[&str],
    ) -> Result<Vec<u8>> {
        let file = self.at("input");
        fs::write(&file, input)?;
        let mut job = self.job("run", module);
        job.arg("--input").arg(&file);
        job.args(["--limit", "cpu=60s,memory=512M,output=64M"]);
        job.args(options).arg("--take-to").arg(&self.directory);
        job.arg("--").args(arguments);
        taken(&mut job, b"")
    }
}

/// What a command writes; it must end well.
fn taken(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let outcome = process::take(command, input, PATIENCE)?;
    let line = process::line_of(command);
    ensure!(
        outcome.status.success(),
        "{line}: {}: {}",
        outcome.status,
        outcome.complaint()
    );
    Ok(outcome.stdout)
}

/// The document that a command writes; it must end well.
fn document(command: &mut Command) -> Result<Value> {
    let text = taken(command.args(["--format", "json"]), b"")?;
    serde_json::from_slice(&text).context("the document of a job")
}
