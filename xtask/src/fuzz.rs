//! `cargo xtask fuzz [--for SECONDS] [TARGET…]`: libFuzzer looks for bytes for which something does not hold of a reader
//! (`fuzz`).
//!
//! Coverage is counted by LLVM's pass that cargo-fuzz asks for as well; without a sanitizer, which this code has little
//! use for, the pinned compiler has all that it takes. What is found is kept in `fuzz/regressions`, which an ordinary test
//! reads (`fuzz/tests/replay.rs`); what brought new coverage in the build directory, for the next time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{place, process};

const PACKAGE: &str = "portcullis-fuzz";
/// The targets that ask of the engine, and the feature that brings it.
const ENGINE: (&[&str], &str) = (&["wasi", "module"], "wasm");
/// Seconds for each target when nothing is said.
const SECONDS: u64 = 60;
/// Seconds that one input may take on a busy machine. A walk of all ways through a filter gives up after two, without
/// counters, and a filter is walked five times.
const SLOWEST: u64 = 60;
/// MiB that a target may have in memory.
const MEMORY: u64 = 2048;
/// Seconds that a target may take beyond its time: for what it begins with, and to end.
const GRACE: u64 = 300;

/// What LLVM puts into the code: a counter for each edge, their addresses, and what is compared with what.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// A target, by the name of what it asks of.
struct Target {
    name: String,
    /// Bytes of its longest input.
    longest: usize,
}

/// What came of one.
struct Found {
    executions: u64,
    /// Edges that were taken.
    coverage: u64,
    /// Inputs that are kept for the next time.
    corpus: usize,
    /// Files of inputs that show a defect.
    defects: Vec<PathBuf>,
}

/// `cargo xtask fuzz`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (seconds, names) = match words {
        [flag, seconds, names @ ..] if flag == "--for" => {
            let seconds = seconds.parse().context("--for takes seconds")?;
            (seconds, names)
        }
        names => (SECONDS, names),
    };
    let own = place::target().join("fuzz");
    // The engine takes minutes to build, and few targets need it.
    let engine = names.is_empty() || names.iter().any(|name| ENGINE.0.contains(&name.as_str()));
    let features = if engine { ENGINE.1 } else { "" };
    let targets = chosen(&own.join("seeds"), names, features)?;
    let triple = place::triple()?;
    build(&own, &triple, &targets, features)?;
    let programs = own.join(&triple).join(place::PROFILE);
    println!(
        "{:<10} {:>12} {:>9} {:>9} {:>7}  found",
        "target", "executions", "a second", "coverage", "corpus"
    );
    let mut failed = Vec::new();
    for target in &targets {
        let found = one(&own, &programs, target, seconds)
            .with_context(|| format!("fuzz {}", target.name))?;
        println!(
            "{:<10} {:>12} {:>9} {:>9} {:>7}  {}",
            target.name,
            found.executions,
            found.executions / seconds.max(1),
            found.coverage,
            found.corpus,
            match found.defects.len() {
                0 => "nothing".to_owned(),
                count => format!("{count}"),
            }
        );
        for defect in &found.defects {
            eprintln!("fuzz: {}: {}", target.name, defect.display());
        }
        if !found.defects.is_empty() {
            failed.push(target.name.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "defects in {}: mend each, and keep its file in fuzz/regressions",
        failed.join(", ")
    )
}

/// Those of these names, or all; what they begin with is written to `seeds`.
fn chosen(seeds: &Path, names: &[String], features: &str) -> Result<Vec<Target>> {
    if seeds.exists() {
        fs::remove_dir_all(seeds)?;
    }
    let list = process::take(
        Command::new("cargo")
            .args(["run", "--quiet", "--profile", place::PROFILE])
            .args(["--package", PACKAGE, "--features", features])
            .args(["--bin", PACKAGE, "--"])
            .arg(seeds)
            .current_dir(place::root()),
        b"",
        Duration::from_secs(1800),
    )?;
    ensure!(list.status.success(), "{}", list.complaint());
    let mut all = Vec::new();
    for line in String::from_utf8(list.stdout)?.lines() {
        let (name, longest) = line.split_once(' ').context("a subject and a length")?;
        all.push(Target {
            name: name.to_owned(),
            longest: longest.parse()?,
        });
    }
    if let Some(unknown) = names.iter().find(|n| all.iter().all(|t| t.name != **n)) {
        let known: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
        bail!(
            "no target is called {unknown}; there are {}",
            known.join(", ")
        );
    }
    all.retain(|target| names.is_empty() || names.contains(&target.name));
    Ok(all)
}

fn build(own: &Path, triple: &str, targets: &[Target], features: &str) -> Result<()> {
    let mut command = Command::new("cargo");
    command
        .args(["build", "--profile", place::PROFILE])
        .args(["--package", PACKAGE, "--features", "libfuzzer"])
        .args(["--features", features])
        .args(targets.iter().flat_map(|target| ["--bin", &target.name]))
        // With a target named, what runs while building is built without counters.
        .args(["--target", triple, "--target-dir"])
        .arg(own)
        .env("RUSTFLAGS", COVERAGE.join(" "))
        .current_dir(place::root());
    process::show(&mut command)
}

/// Looks for `seconds`, or until something is found.
fn one(own: &Path, programs: &Path, target: &Target, seconds: u64) -> Result<Found> {
    let at = |place: PathBuf| -> Result<PathBuf> {
        let directory = place.join(&target.name);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    };
    let corpus = at(own.join("corpus"))?;
    let seeds = at(own.join("seeds"))?;
    let regressions = place::root().join("fuzz/regressions").join(&target.name);
    fs::create_dir_all(&regressions)?;
    let before = files(&regressions)?;
    let ended = process::take(
        Command::new(programs.join(&target.name))
            .args([&corpus, &seeds, &regressions])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={}", target.longest))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-timeout={SLOWEST}"))
            // What is only slow is no defect, and none of its files is kept.
            .arg(format!("-report_slow_units={SLOWEST}"))
            .arg(format!("-artifact_prefix={}/", regressions.display()))
            .arg("-print_final_stats=1")
            .current_dir(place::root()),
        b"",
        Duration::from_secs(seconds + GRACE),
    )?;
    let log = own.join(format!("{}.log", target.name));
    fs::write(&log, &ended.stderr)?;
    let text = String::from_utf8_lossy(&ended.stderr);
    let defects: Vec<PathBuf> = files(&regressions)?.difference(&before).cloned().collect();
    if before.is_empty() && defects.is_empty() {
        fs::remove_dir(&regressions)?;
    }
    // A file that is there already and shows its defect again is written a second time, under the same name.
    ensure!(
        ended.status.success() || !defects.is_empty(),
        "{}: {}\n    see {}",
        ended.status,
        ended.complaint(),
        log.display()
    );
    if !defects.is_empty() {
        let lines = text
            .lines()
            .skip_while(|line| !line.contains("panicked at"));
        lines.take(6).for_each(|line| eprintln!("    {line}"));
    }
    Ok(Found {
        executions: last(&text, "stat::number_of_executed_units:"),
        coverage: last(&text, " cov:"),
        corpus: files(&corpus)?.len(),
        defects,
    })
}

/// The number behind the last of these words; 0 when there is none.
fn last(text: &str, word: &str) -> u64 {
    let behind = text.rsplit_once(word).map_or("", |(_, behind)| behind);
    let number = behind.split_whitespace().next();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn files(directory: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    Ok(entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_its_numbers_is_taken() {
        let text = "#2 INITED cov: 7 ft: 8\n#9 NEW    cov: 12 ft: 13\nstat::number_of_executed_units: 4031\n";
        assert_eq!(last(text, " cov:"), 12);
        assert_eq!(last(text, "stat::number_of_executed_units:"), 4031);
        assert_eq!(last("", " cov:"), 0);
    }
}
