//! `cargo xtask soundness --arm64 [NAME…]`: programs of Debian's packages for aarch64, traced in an emulated
//! machine and scanned here.
//!
//! The machine has the packages' files and the scratch directory of the workloads, by the names that
//! both have here; each step is a script, which runs the program under the machine's own `strace` and tells
//! the trace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_abi::Arch;
use rustix::process::Signal;

use super::{finding, head, missed, row};
use crate::kernels::{self, Ended, Script, Seen};
use crate::scratch::Scratch;
use crate::workload::{self, Program, Step, Workload};
use crate::{arm64, place, portcullis, process, strace};

/// The workloads that are played there: of small programs, which need no network.
const NAMES: &[&str] = &[
    "ls",
    "sort",
    "tail",
    "timeout",
    "xargs",
    "grep",
    "sed",
    "diff",
    "patch",
    "busybox",
    "xz",
    "gzip",
    "tar",
    "cp",
    "dd",
    "bzip2",
    "find",
    "zstd",
    "dash",
    "mawk",
    "gawk",
    "jq",
    "sqlite3",
    // Go.
    "fzf",
    "esbuild",
    "nats-server",
];
/// What is said there to a server that listens on the workload's first port; servers that are not here
/// are not played, because the workloads' own clients are here.
const SAID: &[(&str, &str)] = &[(
    "nats-server",
    "CONNECT {\"verbose\":false}\r\nSUB one 1\r\nPUB one 5\r\nhello\r\nUNSUB 1\r\nPING\r\n\
     PUB $JS.API.STREAM.CREATE.kept answer 54\r\n\
     {\"name\":\"kept\",\"subjects\":[\"kept.*\"],\"storage\":\"file\"}\r\n\
     PUB kept.one 5\r\nhello\r\nPING\r\n",
)];
/// The scratch directory's archive in the machine.
const SCRATCH: &str = "scratch.tar";
/// What is left out of the machine's memory: texts for people, and directories that the machine has.
const LEFT_OUT: &[&str] = &[
    "./usr/share/doc",
    "./usr/share/info",
    "./usr/share/locale",
    "./usr/share/man",
    "./dev",
    "./proc",
    "./sys",
    "./tmp",
    "./run",
    "./var",
];
/// How long packing may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it; nothing may be missing.
pub(super) fn run(names: &[String]) -> Result<()> {
    let wanted = names.iter().map(String::as_str);
    if let Some(name) = wanted.clone().find(|name| !NAMES.contains(name)) {
        bail!("{name} is not traced there; there are {}", NAMES.join(" "));
    }
    let chosen = NAMES
        .iter()
        .filter(|name| names.is_empty() || wanted.clone().any(|w| w == **name));
    let chosen = chosen.map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let chosen = workload::chosen(&chosen)?;
    let root = arm64::traced_root()?;
    let command = portcullis::build(place::PROFILE)?;
    // No workload of these asks the web server.
    let scratch = Scratch::new(0)?;
    let mut scripts = Vec::new();
    for workload in &chosen {
        scripts.extend(scripts_of(workload, &scratch)?);
    }
    let tree = packed(&root, ".", LEFT_OUT)?;
    let inside = scratch
        .path()
        .strip_prefix("/")
        .context("the scratch directory")?;
    let others = vec![(SCRATCH, packed(Path::new("/"), inside, &[])?)];
    let shell = fs::read(root.join("bin/busybox")).context("read busybox")?;
    let start = Instant::now();
    let mut scans = Vec::new();
    // The machine takes one processor.
    let seen = std::thread::scope(|scope| {
        let machine = scope.spawn(|| {
            let seen = kernels::run_scripts(Arch::Aarch64, shell, tree, others, &scripts);
            (seen, start.elapsed())
        });
        for workload in &chosen {
            let image = image(workload, &root);
            let options = ["--root".into(), root.clone().into()];
            scans.push(
                image.and_then(|image| Ok((portcullis::scan(&command, &image, &options)?, image))),
            );
        }
        machine.join()
    });
    let (seen, ran) = seen.map_err(|_| anyhow::anyhow!("the machine's thread panicked"))?;
    let mut seen = seen?.into_iter();
    head();
    let mut failed = Vec::new();
    for (workload, scan) in chosen.iter().zip(scans) {
        let seen: Vec<Seen> = seen.by_ref().take(steps(workload).count()).collect();
        let found = scan.and_then(|(scan, image)| {
            let calls = calls(workload, &seen, &root, scratch.path())?;
            let traced = strace::counts(&calls, &image);
            ensure!(
                !traced.is_empty(),
                "no call of {} was traced",
                image.display()
            );
            let missed = missed(&scan, &calls, &image);
            let finding = finding(&scan, &traced, BTreeMap::new(), &missed);
            Ok((finding, scan))
        });
        match found {
            Ok((finding, scan)) => {
                row(workload.name, &finding);
                if !scan.complete {
                    println!("    not complete: {:?}", scan.residuals);
                }
                if !finding.missed.is_empty() {
                    println!("    MISSED {}", finding.missed.join(" "));
                    failed.push(workload.name);
                }
            }
            Err(error) => {
                println!("{:<24} FAILED {error:#}", workload.name);
                failed.push(workload.name);
            }
        }
    }
    println!(
        "soundness of aarch64: {} programs, {} s, of which the machine ran {} s",
        chosen.len(),
        start.elapsed().as_secs(),
        ran.as_secs()
    );
    ensure!(
        failed.is_empty(),
        "not sound, or not run: {}",
        failed.join(" ")
    );
    Ok(())
}

/// The program's file in the machine.
fn image(workload: &Workload, root: &Path) -> Result<PathBuf> {
    let Program::Path(path) = workload.program else {
        bail!("{} is none of Debian's", workload.name);
    };
    let file = file(root, Path::new("/"), path);
    let there = root.join(file.strip_prefix("/")?);
    ensure!(there.is_file(), "there is no {}", there.display());
    Ok(file)
}

/// What a path names in the machine, links resolved.
fn file(root: &Path, dir: &Path, path: &str) -> PathBuf {
    let path = dir.join(path);
    let here = root.join(path.strip_prefix("/").unwrap_or(&path));
    let resolved = fs::canonicalize(here).unwrap_or_default();
    match resolved.strip_prefix(root) {
        Ok(inside) => Path::new("/").join(inside),
        Err(_) => path,
    }
}

/// What a step is there.
struct Played {
    args: &'static [&'static str],
    /// Standard input, or what is said to the server.
    input: &'static str,
    /// Its exit code.
    code: i32,
    /// What ends it, if it serves.
    until: Option<Signal>,
}

/// The steps; those that ask the web server, which stands here, are left out.
fn steps(workload: &Workload) -> impl Iterator<Item = Played> {
    let said = SAID.iter().find(|(name, _)| *name == workload.name);
    let steps = workload.steps.iter().filter_map(move |step| match *step {
        Step::Run {
            args, input, code, ..
        } => Some(Played {
            args,
            input,
            code,
            until: None,
        }),
        Step::Serve {
            args, signal, code, ..
        } => said.map(|(_, input)| Played {
            args,
            input,
            code,
            until: Some(signal),
        }),
    });
    steps.filter(|played| {
        let mut words = played.args.iter().chain([&played.input]);
        !words.any(|word| word.contains("{http}"))
    })
}

/// A script for each step, the first with a fresh scratch directory.
fn scripts_of(workload: &Workload, scratch: &Scratch) -> Result<Vec<Script>> {
    let Program::Path(path) = workload.program else {
        bail!("{} is none of Debian's", workload.name);
    };
    let dir = quoted(&scratch.path().to_string_lossy());
    let mut scripts = Vec::new();
    for (index, played) in steps(workload).enumerate() {
        let fresh = format!("/busybox rm -rf {dir}; /busybox tar -xf /{SCRATCH} -C / || exit 125");
        let args = played
            .args
            .iter()
            .map(|word| quoted(&scratch.values.fill(word)));
        let args = args.collect::<Vec<_>>().join(" ");
        // The environment of the workloads that run here.
        let traced = format!(
            "/busybox env -i HOME={dir} LC_ALL=C TZ=UTC \
             PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
             /usr/bin/strace -f -qq -X raw -o /trace -- {path} {args} >/out 2>/err"
        );
        let played_by = match played.until {
            None => format!("/busybox cat /input | {traced}\n"),
            // It can be connected to when it listens, and then answers before it is told to end.
            Some(signal) => format!(
                "{traced} &\ntracer=$!\n\
                 until /busybox nc 127.0.0.1 {} </input >/said 2>/dev/null; do\n\
                 kill -0 $tracer 2>/dev/null || break\ndone\n\
                 kill -{} $(/busybox pidof {})\nwait $tracer\n",
                scratch.values.port,
                signal.as_raw(),
                workload.name,
            ),
        };
        let text = format!(
            "{}\ncd {dir} || exit 125\n{played_by}\
             code=$?\n/busybox cat /trace\n/busybox tail -n 12 /err >&2\nexit $code\n",
            if index == 0 { &fresh } else { "" }
        );
        scripts.push(Script {
            text,
            input: played.input.as_bytes().to_vec(),
        });
    }
    Ok(scripts)
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The calls of all steps, each of which must have ended as the workload says.
fn calls(
    workload: &Workload,
    seen: &[Seen],
    root: &Path,
    scratch: &Path,
) -> Result<Vec<strace::Call>> {
    ensure!(
        seen.len() == steps(workload).count(),
        "not all steps were run"
    );
    let mut calls = Vec::new();
    for (index, (played, seen)) in steps(workload).zip(seen).enumerate() {
        ensure!(
            seen.ended == Ended::Exit(played.code),
            "step {}: {:?}, not code {}\n    {}",
            index + 1,
            seen.ended,
            played.code,
            String::from_utf8_lossy(&seen.stderr)
        );
        let trace = String::from_utf8_lossy(&seen.stdout);
        calls.extend(strace::calls(&trace, |path| file(root, scratch, path)));
    }
    Ok(calls)
}

/// What is below `dir`, without some of it, as a tar archive.
fn packed(dir: &Path, what: impl AsRef<Path>, without: &[&str]) -> Result<Vec<u8>> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "--directory"]);
    tar.arg(dir);
    tar.args(without.iter().map(|path| format!("--exclude={path}")));
    let outcome = process::take(tar.arg(what.as_ref()), b"", PATIENCE)?;
    ensure!(outcome.status.success(), "tar: {}", outcome.complaint());
    Ok(outcome.stdout)
}
