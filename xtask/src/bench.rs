//! `cargo xtask bench [NAME…]`: the tables of bench/README.md. The name `filters` is the table of filters.

mod filters;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::portcullis::{self, Scan};
use crate::workload;

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
    scan: Scan,
    times: Vec<Duration>,
    peak_kib: u64,
}

/// `cargo xtask bench`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    if let [first, rest @ ..] = words
        && first == "filters"
    {
        return filters::run(rest);
    }
    programs(words)?;
    match words {
        [] => filters::run(&[]),
        _ => Ok(()),
    }
}

/// The table of programs.
fn programs(words: &[String]) -> Result<()> {
    let command = portcullis::build("release")?;
    let mut rows: Vec<Row> = Vec::new();
    for turn in 0..TURNS {
        for name in ROWS {
            if !words.is_empty() && !words.iter().any(|w| w == name) {
                continue;
            }
            let chosen = workload::chosen(&[(*name).to_owned()])?;
            let image = chosen.first().context("no such workload")?.image()?;
            let (scan, time, peak_kib) = measure(&command, &image)?;
            match rows.iter_mut().find(|r| r.name == *name) {
                Some(row) => {
                    ensure!(row.scan.calls == scan.calls, "{name}: turn {turn} differs");
                    row.times.push(time);
                    row.peak_kib = row.peak_kib.max(peak_kib);
                }
                None => rows.push(Row {
                    name,
                    scan,
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
        let kinds = row.scan.residuals.iter();
        let residuals: Vec<String> = kinds.map(|(kind, n)| format!("{n} {kind}")).collect();
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.1} s / {:.1} s | {} MB |",
            row.name,
            row.scan.objects.len(),
            row.scan.calls.len(),
            residuals.join(", "),
            row.scan.complete,
            row.scan.closed,
            row.times[0].as_secs_f64(),
            row.times[row.times.len() / 2].as_secs_f64(),
            row.peak_kib / 1024,
        );
    }
    Ok(())
}

/// One scan without the cache, and the largest size that its process reached.
fn measure(command: &Path, image: &Path) -> Result<(Scan, Duration, u64)> {
    let output = tempfile::NamedTempFile::new()?;
    let start = Instant::now();
    let mut child = Command::new(command)
        .args(["scan", "--no-cache", "--format", "json", "-o"])
        .arg(output.path())
        .arg(image)
        .stdin(Stdio::null())
        .spawn()?;
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
    let document: Value = serde_json::from_slice(&fs::read(output.path())?)?;
    Ok((portcullis::read(&document)?, time, peak))
}
