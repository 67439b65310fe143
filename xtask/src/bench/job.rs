//! `cargo xtask bench job [TURNS]`: what a job costs, through the library, by a floor made by hand, and as a process per
//! job.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{needs, place, process};

/// What the rows are made of: a file, and the package of Debian that brings it. The engine's C interface configures its
/// headers with CMake.
const NEEDS: [(&str, &str); 3] = [
    ("/usr/bin/cmake", "cmake"),
    ("/usr/bin/bwrap", "bubblewrap"),
    ("/usr/bin/lua5.4", "lua5.4"),
];
/// The packages whose build says where something is.
const ENGINE: &str = "portcullis-floor";
const HEADERS: &str = "wasmtime-c-api-impl";

pub(super) fn run(words: &[String]) -> Result<()> {
    if words.len() > 1 || words.iter().any(|word| word.parse::<usize>().is_err()) {
        bail!("usage: cargo xtask bench job [TURNS]");
    }
    let missing = NEEDS.iter().filter(|(file, _)| !Path::new(file).exists());
    let missing: Vec<&str> = missing.map(|&(_, package)| package).collect();
    if !missing.is_empty() {
        needs::install(&missing)?;
    }
    // The engine is not in the default build.
    process::show(
        Command::new("cargo")
            .args(["bench", "--quiet", "--package", "portcullis-cli"])
            .args(["--features", "wasm", "--bench", "job", "--"])
            .args(words)
            .env("PORTCULLIS_FLOOR", floor()?)
            .current_dir(place::root()),
    )
}

/// The floor, with the engine built as it is for the workers that the command carries: in their build directory, with
/// their settings, linked statically.
fn floor() -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--profile", "worker"])
        .args(["--package", ENGINE, "--features", "engine"])
        .args(["--target", &target, "--target-dir"])
        .arg(place::target().join("worker"))
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .current_dir(place::root())
        .output()
        .context("start cargo")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "build the engine: {complaint}");
    let (mut library, mut headers) = (None, None);
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        let of = |package: &str| {
            let id = message["package_id"].as_str().unwrap_or_default();
            // `registry+ADDRESS#NAME@VERSION`, or `path+file://PLACE#NAME@VERSION`.
            id.contains(&format!("#{package}@"))
        };
        if message["reason"] == "compiler-artifact" && of(ENGINE) {
            library = message["filenames"][0].as_str().map(PathBuf::from);
        }
        if message["reason"] == "build-script-executed" && of(HEADERS) {
            headers = message["out_dir"]
                .as_str()
                .map(|dir| Path::new(dir).join("include"));
        }
    }
    let library = library.context("cargo does not say where the engine is")?;
    let headers = headers.context("cargo does not say where the engine's headers are")?;
    let directory = place::target().join("job");
    fs::create_dir_all(&directory)?;
    let floor = directory.join("floor");
    process::show(
        Command::new("gcc")
            .args(["-O2", "-Wall", "-static", "-o"])
            .arg(&floor)
            .arg("-I")
            .arg(headers)
            .arg(place::root().join("bench/job/floor.c"))
            .arg(library)
            .args(["-lm", "-pthread"]),
    )?;
    Ok(floor)
}
