//! `cargo xtask tidy`: what no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use toml::Value;

use crate::place;

/// Longer files have more than one subject.
const MOST_LINES: usize = 900;
/// Names of files and directories that say nothing.
const NAMELESS: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "types", "manager", "handler", "misc",
];
/// Where unsafe code may be (ARCHITECTURE.md).
const UNSAFE: &[&str] = &[
    "crates/sys/src/",
    "crates/sandbox/src/child.rs",
    "crates/sandbox/src/attempt.rs",
    "crates/wasm/src/artifact.rs",
];
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
    ("host", &["abi", "policy", "bpf", "sys", "watch", "sandbox"]),
    ("wasm", &["sys", "host"]),
    (
        "cli",
        &[
            "abi", "scan", "policy", "bpf", "sys", "watch", "sandbox", "host", "wasm",
        ],
    ),
];
/// Directories that exist on one machine only, and hosts that only lock files name.
const MACHINE: &[&str] = &[
    "/work/",
    "/home/",
    "/root/",
    "/tmp/",
    "crates.io",
    "pypi.org",
    "pythonhosted.org",
    "npmjs.",
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
        names(file, &mut found);
        unsafe_code_here(&name, &text, &mut found);
        machine(&name, &text, &mut found);
        links(file, &text, &mut found);
    }
    manifests(&mut found)?;
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
    let count = text.lines().count();
    let generated = name == "Cargo.lock" || name.ends_with("_table.rs") || name.ends_with(".snap");
    if count > MOST_LINES && !generated {
        found.push(format!("{name} has {count} lines, more than {MOST_LINES}"));
    }
}

fn names(file: &Path, found: &mut Vec<String>) {
    let rust = file.extension().is_some_and(|e| e == "rs");
    if rust && file.file_name().is_some_and(|n| n == "mod.rs") {
        let own = file.parent().unwrap_or(file).display();
        found.push(format!("{}: the house form is {own}.rs", file.display()));
    }
    let stem = if rust { file.file_stem() } else { None };
    let directories = file.parent().into_iter().flat_map(Path::iter);
    for part in directories.chain(stem) {
        if NAMELESS.iter().any(|nameless| part == *nameless) {
            found.push(format!(
                "{}: `{}` does not say what is in it",
                file.display(),
                part.display()
            ));
        }
    }
}

fn unsafe_code_here(name: &str, text: &str, found: &mut Vec<String>) {
    if !name.ends_with(".rs") || UNSAFE.iter().any(|place| name.starts_with(place)) {
        return;
    }
    // An attribute that lifts the workspace's lint, on one line or more.
    let lifts = ["expect(", "allow(", "warn("].iter().any(|level| {
        text.split(level).skip(1).any(|rest| {
            let lints = rest.split(')').next().unwrap_or_default();
            lints.split(',').any(|lint| lint.trim() == LINT)
        })
    });
    if lifts {
        found.push(format!("{name}: unsafe code has no place here"));
    }
}

fn machine(name: &str, text: &str, found: &mut Vec<String>) {
    // This file has to spell them.
    if name == "Cargo.lock" || name == "xtask/src/tidy.rs" {
        return;
    }
    for word in MACHINE {
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

/// Every crate is known here, takes the workspace's lints, and uses others in one direction.
fn manifests(found: &mut Vec<String>) -> Result<()> {
    let crates = place::root().join("crates");
    for entry in fs::read_dir(&crates).with_context(|| format!("list {}", crates.display()))? {
        let path = entry?.path().join("Cargo.toml");
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let manifest: toml::Table = text
            .parse()
            .with_context(|| format!("{}", path.display()))?;
        manifest_of(&manifest, found);
    }
    Ok(())
}

fn manifest_of(manifest: &toml::Table, found: &mut Vec<String>) {
    let package = manifest.get("package").and_then(|p| p.get("name"));
    let package = package.and_then(Value::as_str).unwrap_or_default();
    let name = package.strip_prefix("portcullis-").unwrap_or(package);
    let Some((_, uses)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        found.push(format!("crates/{name} has no arrows in xtask/src/tidy.rs"));
        return;
    };
    let lints = manifest.get("lints").and_then(|l| l.get("workspace"));
    if lints.and_then(Value::as_bool) != Some(true) {
        found.push(format!("crates/{name} does not take the workspace's lints"));
    }
    // Tests may look further: `dev-dependencies` are not in what is shipped.
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = std::iter::once(manifest).chain(
        targets
            .into_iter()
            .flat_map(|t| t.values())
            .filter_map(Value::as_table),
    );
    for table in tables {
        for kind in ["dependencies", "build-dependencies"] {
            let used = table.get(kind).and_then(Value::as_table);
            for (key, value) in used.into_iter().flatten() {
                // A renamed dependency has its true name in `package`.
                let true_name = value.get("package").and_then(Value::as_str).unwrap_or(key);
                let ours = true_name.strip_prefix("portcullis-");
                if let Some(ours) = ours.filter(|ours| !uses.contains(ours)) {
                    found.push(format!("crates/{name} may not use {ours}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(find: impl Fn(&mut Vec<String>)) -> Vec<String> {
        let mut found = Vec::new();
        find(&mut found);
        found
    }

    #[test]
    fn a_lifted_lint_is_found_however_it_is_written() {
        for text in [
            "#![expect(LINT, reason = \"x\")]",
            "#[allow(\n    dead_code,\n    LINT\n)]",
            "#![cfg_attr(test, allow(LINT))]",
        ] {
            // Spelled out it would be found here.
            let text = &text.replace("LINT", LINT);
            let lifted = |name: &str| found(|f| unsafe_code_here(name, text, f)).len();
            assert_eq!(lifted("crates/scan/src/lib.rs"), 1, "{text}");
            assert_eq!(lifted("crates/sys/src/wait.rs"), 0, "{text}");
        }
        assert!(found(|f| unsafe_code_here("a.rs", &format!("deny({LINT})"), f)).is_empty());
    }

    #[test]
    fn names_that_say_nothing_are_found_in_files_and_directories() {
        for name in ["a/utils.rs", "a/common/b.rs", "a/mod.rs"] {
            assert_eq!(found(|f| names(Path::new(name), f)).len(), 1, "{name}");
        }
        assert!(found(|f| names(Path::new("a/types.md"), f)).is_empty());
    }

    #[test]
    fn an_arrow_against_the_flow_is_found() {
        let judge = |text: &str| {
            let manifest: toml::Table = text.parse().unwrap_or_default();
            found(|f| manifest_of(&manifest, f))
        };
        let head = "package.name = \"portcullis-scan\"\nlints.workspace = true\n";
        assert!(judge(&format!("{head}dependencies.portcullis-abi.path = \"x\"")).is_empty());
        for against in [
            "dependencies.portcullis-sys.workspace = true",
            "build-dependencies.b = { package = \"portcullis-bpf\" }",
            "target.'cfg(unix)'.dependencies.portcullis-cli.workspace = true",
        ] {
            assert_eq!(judge(&format!("{head}{against}")).len(), 1, "{against}");
        }
        assert_eq!(judge("package.name = \"portcullis-scan\"").len(), 1);
        assert_eq!(judge("package.name = \"portcullis-new\"").len(), 1);
    }

    #[test]
    fn long_files_are_found_save_generated_ones() {
        let text = "x\n".repeat(MOST_LINES + 1);
        assert_eq!(found(|f| lines("a.rs", &text, f)).len(), 1);
        assert!(found(|f| lines("a_table.rs", &text, f)).is_empty());
        assert!(found(|f| lines("a.rs", &text[2..], f)).is_empty());
    }
}
