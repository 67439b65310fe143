//! `cargo xtask bench [NAME…]`: the tables of bench/README.md. The name `filters` is the table of
//! filters, `record` that of recordings, `run` that of starts, `job` that of jobs, `arm64` that of programs for
//! aarch64.

mod filters;
mod job;
mod record;
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{arm64, portcullis, workload};

pub(crate) use filters::provided as docker_profile;

/// The programs of the table, as their workloads are called.
const ROWS: &[&str] = &[
    "sqlite3",
    "memcached",
    "redis",
    "nginx",
    "lighttpd",
    "haproxy",
    "busybox",
];
/// Scans of each program, in turns.
const TURNS: usize = 3;
/// Between two looks at a process's peak size; the kernel keeps the peak, so only what it grows
/// in its last moment is missed.
const LOOK: Duration = Duration::from_millis(5);

struct Row {
    name: &'static str,
    /// The document, the same at each turn.
    document: Vec<u8>,
    times: Vec<Duration>,
    peak_kib: u64,
}

/// `cargo xtask bench`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    match words {
        [first, rest @ ..] if first == "filters" => return filters::run(rest),
        [first, rest @ ..] if first == "arm64" => return arm64(rest),
        [first, rest @ ..] if first == "record" => return record::run(rest),
        [first] if first == "run" => return run::run(),
        [first, rest @ ..] if first == "job" => return job::run(rest),
        _ => {}
    }
    let chosen = ROWS.iter().filter(|name| is_chosen(words, name));
    let programs = chosen.map(|name| {
        let chosen = workload::chosen(&[(*name).to_owned()])?;
        Ok((*name, chosen.first().context("no such workload")?.image()?))
    });
    table(&programs.collect::<Result<Vec<_>>>()?, None)?;
    match words {
        [] => {
            filters::run(&[])?;
            record::run(&[])?;
            run::run()
        }
        _ => Ok(()),
    }
}

/// The table of programs for aarch64.
fn arm64(words: &[String]) -> Result<()> {
    let root = arm64::root()?;
    let all = arm64::PROGRAMS.iter();
    let chosen = all.filter(|(name, _)| is_chosen(words, name));
    let programs: Vec<_> = chosen
        .map(|(name, path)| (*name, PathBuf::from(path)))
        .collect();
    table(&programs, Some(&root))
}

fn is_chosen(words: &[String], name: &str) -> bool {
    words.is_empty() || words.iter().any(|w| w == name)
}

/// Scans the programs in turns and prints what came of it.
fn table(programs: &[(&'static str, PathBuf)], root: Option<&Path>) -> Result<()> {
    let command = portcullis::build("release")?;
    let mut rows: Vec<Row> = Vec::new();
    for turn in 0..TURNS {
        for (name, image) in programs {
            let (document, time, peak_kib) = measure(&command, root, image)?;
            match rows.iter_mut().find(|r| r.name == *name) {
                Some(row) => {
                    ensure!(row.document == document, "{name}: turn {turn} differs");
                    row.times.push(time);
                    row.peak_kib = row.peak_kib.max(peak_kib);
                }
                None => rows.push(Row {
                    name,
                    document,
                    times: vec![time],
                    peak_kib,
                }),
            }
        }
    }
    println!(
        "| program | objects | calls | residuals | complete | closed | time, min / median | memory |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for row in &mut rows {
        row.times.sort();
        let document: Value = serde_json::from_slice(&row.document)?;
        let scan = portcullis::read(&document)?;
        let kinds = scan.residuals.iter();
        let residuals: Vec<String> = kinds.map(|(kind, n)| format!("{n} {kind}")).collect();
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.1} s / {:.1} s | {} MB |",
            row.name,
            scan.objects.len(),
            scan.calls.len(),
            residuals.join(", "),
            scan.complete,
            scan.closed,
            row.times[0].as_secs_f64(),
            row.times[row.times.len() / 2].as_secs_f64(),
            row.peak_kib / 1024,
        );
    }
    Ok(())
}

/// One scan without the cache, and the largest size that its process reached.
fn measure(command: &Path, root: Option<&Path>, image: &Path) -> Result<(Vec<u8>, Duration, u64)> {
    let output = tempfile::NamedTempFile::new()?;
    let start = Instant::now();
    let mut scan = Command::new(command);
    scan.args(["scan", "--no-cache", "--format", "json", "-o"]);
    scan.arg(output.path());
    if let Some(root) = root {
        scan.arg("--root").arg(root);
    }
    let mut child = scan.arg(image).stdin(Stdio::null()).spawn()?;
    let mut peak = 0;
    let status = loop {
        let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let size = line.and_then(|l| l.split_ascii_whitespace().next()?.parse().ok());
        peak = size.unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK);
    };
    let time = start.elapsed();
    ensure!(status.success(), "scan {}: {status}", image.display());
    Ok((fs::read(output.path())?, time, peak))
}
