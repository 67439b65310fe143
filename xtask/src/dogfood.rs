//! `cargo xtask dogfood`: the command audits itself, statically linked, under the policy that
//! `profiles/portcullis.toml` commits to.
//!
//! The policy names calls and asks for no arguments, and there is no lock: what a C library passes, and
//! by which of two calls it opens a file, changes with its version. Its static form refers to modules of
//! character sets, which stay a residual; rules that nothing is known to need are therefore told as
//! unknown, and what fails is a call that the policy lacks.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_abi::Arch;
use serde_json::Value;

use crate::{cross, place, portcullis, process};

/// The policy.
const POLICY: &str = "profiles/portcullis.toml";
/// A call that the command makes whatever the library, alone in its rule in the policy.
const NEEDED: &str = "ptrace";
/// The filter is loaded before the command does anything of its own.
const AFTER: [&str; 2] = ["--after", "start"];
/// How long the audit may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// `cargo xtask dogfood`.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let program = cross::portcullis(Arch::NATIVE)?;
    let command = portcullis::build(place::PROFILE)?;
    let policy = place::root().join(POLICY);
    let missing = missing(&command, &program, &policy, &AFTER)?;
    ensure!(
        missing.is_empty(),
        "{POLICY} lacks calls that the command makes: {}",
        missing.join(", ")
    );
    // The audit that finds nothing would find something.
    let text = fs::read_to_string(&policy).with_context(|| POLICY.to_owned())?;
    let rule = format!("[[rule]]\ncall = \"{NEEDED}\"\naction = \"allow\"\n");
    ensure!(
        text.contains(&rule),
        "{POLICY} has no rule of {NEEDED} alone"
    );
    let less = program.with_file_name("less.toml");
    fs::write(&less, text.replace(&rule, "")).with_context(|| less.display().to_string())?;
    let missing = self::missing(&command, &program, &less, &AFTER)?;
    ensure!(
        missing == [NEEDED],
        "without a rule of {NEEDED} the audit finds missing: {missing:?}"
    );
    println!("the command fits {POLICY}");
    Ok(())
}

/// The calls that an audit finds missing, each once. `words` say which of the program's calls are meant.
pub(crate) fn missing(
    command: &Path,
    program: &Path,
    policy: &Path,
    words: &[&str],
) -> Result<Vec<String>> {
    let outcome = process::take(
        Command::new(command)
            .args(["audit", "--format", "json"])
            .args(words)
            .args([program.as_os_str(), policy.as_os_str()])
            .env("XDG_CACHE_HOME", place::target().join("cache")),
        b"",
        PATIENCE,
    )?;
    let name = policy.file_name().unwrap_or(OsStr::new(POLICY));
    let code = outcome.status.code();
    if !matches!(code, Some(0 | 1)) {
        bail!(
            "audit {}: {}\n    {}",
            name.display(),
            outcome.status,
            outcome.complaint()
        );
    }
    let document: Value = serde_json::from_slice(&outcome.stdout).context("the audit's JSON")?;
    let findings = document["findings"].as_array().context("no findings")?;
    let own = findings.iter().filter(|f| f["kind"] == "missing");
    let calls = own.filter_map(|f| f["syscall"].as_str()).map(str::to_owned);
    let mut calls: Vec<String> = calls.collect();
    calls.sort();
    calls.dedup();
    ensure!(
        code == Some(0) || findings.iter().any(|f| f["kind"] != "unknown"),
        "audit {}: it failed and found nothing",
        name.display()
    );
    Ok(calls)
}
