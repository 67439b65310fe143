//! Where things are: the checkout, the build directory, the profile that tests share.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The profile in which tests, real programs and traces run: optimised like a release, because an
/// unoptimised analysis of a hundred libraries takes longer than building it, with overflow checks
/// and debug assertions on and without link-time optimisation. One build serves all of them.
pub(crate) const PROFILE: &str = "checked";

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    // CARGO_MANIFEST_DIR is `<root>/xtask`.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or_else(|| Path::new("."))
}

/// Cargo's build directory.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// What the compiler prints.
pub(crate) fn rustc(words: &[&str]) -> Result<String> {
    let output = Command::new("rustc")
        .args(words)
        .current_dir(root())
        .output()
        .context("start rustc")?;
    ensure!(
        output.status.success(),
        "rustc {}: {}",
        words.join(" "),
        output.status
    );
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// What the compiler calls this machine.
pub(crate) fn triple() -> Result<String> {
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc says no host")?.to_owned())
}

/// True on a continuous-integration machine, where a missing need is a failure.
pub(crate) fn on_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "0" && value != "false")
}
