//! `cargo xtask bench filters [PROFILE]`: filters of one profile by several compilers, their making and
//! what they cost in the kernel.
//!
//! Without a file the profile is moby's as Debian has it in a package of Go sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{place, process};

/// Brings moby's default profile.
const PACKAGE: &str = "golang-github-docker-docker-dev";
/// Where it has it.
const PROFILE: &str = "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json";
/// Rounds through the kernel; in each every filter is installed once.
const ROUNDS: &str = "25";
/// A build with everything optimised, and the measurements.
const LIMIT: Duration = Duration::from_secs(1200);
/// The order of the rows; the first is no filter.
const ROWS: &[&str] = &[
    "-",
    "bare",
    "portcullis",
    "portcullis-3",
    "seccompiler",
    "libseccomp-1",
    "libseccomp-2",
];

/// Least and median.
type Spread = (f64, f64);

/// `cargo xtask bench filters`.
pub(super) fn run(words: &[String]) -> Result<()> {
    let profile = match words {
        [] => provided()?,
        [file] => PathBuf::from(file),
        _ => bail!("usage: cargo xtask bench filters [PROFILE]"),
    };
    let directory = place::target().join("filters");
    fs::create_dir_all(&directory)?;
    let made = made(&profile, &directory)?;
    let run = kernel(&directory)?;
    println!("profile: {}", profile.display());
    println!(
        "| filter | instructions | compile, µs | proof, µs | install, µs | allowed, ns | checked, ns |"
    );
    println!("|---|---|---|---|---|---|---|");
    for row in ROWS {
        let (instructions, compile) = match made.get(*row) {
            Some((n, spread)) if spread.0 > 0.0 => (n.to_string(), shown(*spread, 1000.0)),
            Some((n, _)) => (n.to_string(), String::new()),
            None => Default::default(),
        };
        let proof = made.get(&format!("{row} proof"));
        let proof = proof.map(|p| shown(p.1, 1000.0)).unwrap_or_default();
        let [install, allowed, checked] = *run.get(*row).context("a row was not run")?;
        println!(
            "| {row} | {instructions} | {compile} | {proof} | {} | {} | {} |",
            if *row == "-" {
                String::new()
            } else {
                shown(install, 1000.0)
            },
            shown(allowed, 1.0),
            shown(checked, 1.0),
        );
    }
    Ok(())
}

fn shown((least, median): Spread, unit: f64) -> String {
    format!("{:.0} / {:.0}", least / unit, median / unit)
}

/// Downloads and unpacks Debian's package, unless it is there.
/// The profile's file, from Debian's archive when it is not there yet.
pub(crate) fn provided() -> Result<PathBuf> {
    let whole = place::target().join(PACKAGE);
    let profile = whole.join(PROFILE);
    if profile.is_file() {
        return Ok(profile);
    }
    let parts = place::target().join(format!("{PACKAGE}.part"));
    fs::create_dir_all(&parts)?;
    process::show(
        Command::new("apt-get")
            .args(["download", PACKAGE])
            .current_dir(&parts),
    )?;
    for entry in fs::read_dir(&parts)? {
        process::show(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(entry?.path())
                .arg(&whole),
        )?;
    }
    fs::remove_dir_all(&parts)?;
    ensure!(profile.is_file(), "{PACKAGE} has no {PROFILE}");
    Ok(profile)
}

/// Instructions and times of each compiler.
fn made(profile: &Path, directory: &Path) -> Result<BTreeMap<String, (usize, Spread)>> {
    let profile = fs::canonicalize(profile).with_context(|| format!("{}", profile.display()))?;
    let lines = take(
        Command::new("cargo")
            .args([
                "bench",
                "--quiet",
                "--package",
                "portcullis-bpf",
                "--bench",
                "compilers",
                "--",
            ])
            .arg(profile)
            .arg(directory)
            .current_dir(place::root()),
    )?;
    let mut made = BTreeMap::new();
    for line in lines.lines() {
        let [name, instructions, least, median] = line.split('\t').collect::<Vec<_>>()[..] else {
            bail!("a line of another form: {line}");
        };
        made.insert(
            name.to_owned(),
            (instructions.parse()?, (least.parse()?, median.parse()?)),
        );
    }
    Ok(made)
}

/// What each filter costs: its installation, a call that is always allowed, one whose argument counts.
fn kernel(directory: &Path) -> Result<BTreeMap<String, [Spread; 3]>> {
    let calls = directory.join("calls");
    process::show(
        Command::new("gcc")
            .args(["-O2", "-Wall", "-o"])
            .arg(&calls)
            .arg(place::root().join("bench/filters/calls.c")),
    )?;
    let lines = take(
        Command::new(&calls)
            .arg(ROUNDS)
            .args(ROWS)
            .current_dir(directory),
    )?;
    let mut all: BTreeMap<String, [Vec<f64>; 3]> = BTreeMap::new();
    for line in lines.lines() {
        let mut words = line.split(' ');
        let own = all
            .entry(words.next().unwrap_or_default().to_owned())
            .or_default();
        for (times, word) in own.iter_mut().zip(words) {
            times.push(word.parse()?);
        }
    }
    let spread = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        (times[0], times[times.len() / 2])
    };
    Ok(all
        .into_iter()
        .map(|(name, times)| (name, times.map(spread)))
        .collect())
}

fn take(command: &mut Command) -> Result<String> {
    let out = process::take(command, b"", LIMIT)?;
    ensure!(
        out.status.success(),
        "{}: {}",
        process::line_of(command),
        out.complaint()
    );
    Ok(String::from_utf8(out.stdout)?)
}
