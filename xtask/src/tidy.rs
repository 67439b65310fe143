//! `cargo xtask tidy`: what no compiler checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::place;

/// Longer files have more than one subject.
const MOST_LINES: usize = 900;
/// Names that say nothing.
const NAMELESS: &[&str] = &[
    "utils.rs",
    "util.rs",
    "common.rs",
    "helpers.rs",
    "helper.rs",
    "types.rs",
    "manager.rs",
    "handler.rs",
    "mod.rs",
    "misc.rs",
];
/// Where unsafe code may be (ARCHITECTURE.md).
const UNSAFE: &[&str] = &["crates/sys/src/", "crates/sandbox/src/child.rs"];
/// The lint that keeps unsafe code out.
const LINT: &str = "unsafe_code";
/// Which crates of ours a crate may use: the arrows of ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("abi", &[]),
    ("scan", &["abi"]),
    ("policy", &["abi"]),
    ("bpf", &["abi", "policy"]),
    ("sys", &["abi"]),
    ("watch", &["abi", "policy", "bpf", "sys", "scan"]),
    ("sandbox", &["abi", "policy", "bpf", "sys"]),
];

/// `cargo xtask tidy`.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let mut found = Vec::new();
    let files = tracked()?;
    for file in &files {
        let Ok(text) = fs::read_to_string(place::root().join(file)) else {
            continue;
        };
        let name = file.display().to_string();
        lines(&name, &text, &mut found);
        unsafe_code_here(&name, &text, &mut found);
        machine(&name, &text, &mut found);
        links(file, &text, &mut found);
    }
    arrows(&mut found)?;
    for finding in &found {
        eprintln!("tidy: {finding}");
    }
    if found.is_empty() {
        println!("tidy: {} files", files.len());
        return Ok(());
    }
    bail!("{} findings", found.len())
}

/// Every file of the repository.
fn tracked() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(place::root())
        .output()
        .context("list the files")?;
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    Ok(names
        .split('\0')
        .filter(|n| !n.is_empty())
        .map(PathBuf::from)
        .collect())
}

fn lines(name: &str, text: &str, found: &mut Vec<String>) {
    let Some(base) = name.rsplit('/').next().filter(|b| b.ends_with(".rs")) else {
        return;
    };
    let count = text.lines().count();
    if count > MOST_LINES && !base.ends_with("_table.rs") {
        found.push(format!("{name} has {count} lines, more than {MOST_LINES}"));
    }
    if NAMELESS.contains(&base) {
        found.push(format!(
            "{name}: the file's name does not say what is in it"
        ));
    }
}

fn unsafe_code_here(name: &str, text: &str, found: &mut Vec<String>) {
    // An attribute that lifts the workspace's lint, on one line or more.
    let lifts = text
        .split("#![expect(")
        .skip(1)
        .any(|rest| rest.trim_start().starts_with(LINT));
    if name.ends_with(".rs") && lifts && !UNSAFE.iter().any(|place| name.starts_with(place)) {
        found.push(format!("{name}: unsafe code has no place here"));
    }
}

/// Places of one machine, and hosts that only lock files name.
fn machine(name: &str, text: &str, found: &mut Vec<String>) {
    if name == "Cargo.lock" || name == "xtask/src/tidy.rs" {
        return;
    }
    for word in [
        "/work/",
        "/home/",
        "crates.io/",
        "pypi.org",
        "registry.npmjs",
    ] {
        if text.contains(word) {
            found.push(format!("{name}: names `{word}`"));
        }
    }
}

/// Relative links of documents lead somewhere.
fn links(file: &Path, text: &str, found: &mut Vec<String>) {
    if file.extension().is_none_or(|e| e != "md") {
        return;
    }
    let here = place::root().join(file);
    for link in text.split("](").skip(1).filter_map(|s| s.split(')').next()) {
        let target = link.split('#').next().unwrap_or(link);
        let elsewhere = target.is_empty() || target.contains("://") || target.contains(' ');
        let path = here.parent().unwrap_or(&here).join(target);
        if !elsewhere && !path.exists() {
            found.push(format!("{}: nothing is at {link}", file.display()));
        }
    }
}

/// Crates use each other in one direction.
fn arrows(found: &mut Vec<String>) -> Result<()> {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for (name, uses) in &allowed {
        let path = place::root().join("crates").join(name).join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let manifest: toml::Table = text
            .parse()
            .with_context(|| format!("{}", path.display()))?;
        let dependencies = manifest.get("dependencies").and_then(|d| d.as_table());
        for dependency in dependencies.into_iter().flat_map(|d| d.keys()) {
            let Some(ours) = dependency.strip_prefix("portcullis-") else {
                continue;
            };
            if !uses.contains(&ours) {
                found.push(format!("crates/{name} may not use {ours}"));
            }
        }
    }
    Ok(())
}
