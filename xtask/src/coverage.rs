//! `cargo xtask coverage`: whether the tests of the filter compiler take each of its branches.
//!
//! rustc counts how often each region of the code runs (`-C instrument-coverage`); a region of
//! `crates/bpf/src/compile` that never runs is a branch that no test takes, and a failure. LLVM's own
//! tools read the counts; they have to be of rustc's version: `rustup component add llvm-tools`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{place, process};

/// The code that must be taken whole.
const SUBJECT: &str = "crates/bpf/src/compile";
/// The tests that take it, in a build of their own.
const TESTS: &[&str] = &[
    "test",
    "--package",
    "portcullis-bpf",
    "--lib",
    "--test",
    "it",
    "--test",
    "shape",
];
/// A build of a few crates, and tools that read counts of few programs.
const LIMIT: Duration = Duration::from_secs(1200);
/// `CounterMappingRegion::CodeRegion` (llvm/ProfileData/Coverage/CoverageMapping.h).
const CODE: u64 = 0;

/// `cargo xtask coverage`.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let tools = tools()?;
    let own = place::target().join("coverage");
    let counts = own.join("counts");
    if counts.exists() {
        fs::remove_dir_all(&counts)?;
    }
    let tests = build(&own)?;
    for test in &tests {
        process::show(
            Command::new(test)
                .arg("--quiet")
                .env("LLVM_PROFILE_FILE", counts.join("%p-%m.profraw"))
                .current_dir(place::root().join("crates/bpf")),
        )?;
    }
    let raw = fs::read_dir(&counts)?.collect::<Result<Vec<_>, _>>()?;
    let merged = own.join("merged.profdata");
    let mut merge = Command::new(tools.join("llvm-profdata"));
    merge.args(["merge", "--sparse", "--output"]).arg(&merged);
    take(merge.args(raw.iter().map(|e| e.path())))?;
    let mut export = Command::new(tools.join("llvm-cov"));
    export.arg("export").arg("--instr-profile").arg(&merged);
    for test in &tests {
        export.arg("--object").arg(test);
    }
    let regions = regions(&serde_json::from_slice(&take(&mut export)?)?)?;
    let missed: Vec<&String> = regions.iter().filter(|r| *r.1 == 0).map(|r| r.0).collect();
    for place in &missed {
        eprintln!("coverage: no test takes {place}");
    }
    ensure!(
        missed.is_empty(),
        "{} of {} regions",
        missed.len(),
        regions.len()
    );
    ensure!(!regions.is_empty(), "no region of {SUBJECT} was found");
    println!(
        "coverage: {} regions of {SUBJECT}, each taken",
        regions.len()
    );
    Ok(())
}

/// Where rustup puts LLVM's tools.
fn tools() -> Result<PathBuf> {
    let tools = Path::new(&place::rustc(&["--print", "sysroot"])?)
        .join("lib/rustlib")
        .join(place::triple()?)
        .join("bin");
    if !tools.join("llvm-cov").is_file() {
        bail!("llvm-cov is missing: rustup component add llvm-tools");
    }
    Ok(tools)
}

/// Builds the tests, counted; their executables.
fn build(own: &Path) -> Result<Vec<PathBuf>> {
    let messages = take(
        Command::new("cargo")
            .args(TESTS)
            .args(["--no-run", "--message-format=json", "--target-dir"])
            .arg(own)
            .env("RUSTFLAGS", "-C instrument-coverage")
            .current_dir(place::root()),
    )?;
    let messages = serde_json::Deserializer::from_slice(&messages).into_iter::<Value>();
    let mut tests = Vec::new();
    for message in messages {
        if let Some(path) = message?["executable"].as_str() {
            tests.push(PathBuf::from(path));
        }
    }
    Ok(tests)
}

fn take(command: &mut Command) -> Result<Vec<u8>> {
    let out = process::take(command, b"", LIMIT)?;
    ensure!(
        out.status.success(),
        "{}: {}",
        process::line_of(command),
        out.complaint()
    );
    Ok(out.stdout)
}

/// How often each region of the subject ran, in all programs and instances together.
fn regions(exported: &Value) -> Result<BTreeMap<String, u64>> {
    let mut regions = BTreeMap::new();
    let functions = exported["data"][0]["functions"]
        .as_array()
        .context("functions")?;
    for function in functions {
        for region in function["regions"].as_array().context("regions")? {
            // Line, column, last line, last column, count, file, expanded file, kind.
            let number = |n: usize| region[n].as_u64().context("a number");
            let file = function["filenames"][number(5)? as usize]
                .as_str()
                .context("a file")?;
            if let Some((_, own)) = file.split_once(SUBJECT)
                && number(7)? == CODE
            {
                let [line, column, last_line, last] = [0, 1, 2, 3].map(number);
                let place = format!(
                    "{SUBJECT}{own}:{}:{} to {}:{}",
                    line?, column?, last_line?, last?
                );
                *regions.entry(place).or_default() += number(4)?;
            }
        }
    }
    Ok(regions)
}
