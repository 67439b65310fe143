//! `cargo xtask workers`: the programs that run jobs, as the command carries them, audited under the policies that they
//! are started with.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{dogfood, place, portcullis, process};

/// Where their policies are.
const POLICIES: &str = "crates/wasm/policy";
/// A call that the first of them makes for each job, alone in its rule.
const NEEDED: &str = "waitid";
const RULE: &str = "[[rule]]\ncalls = [\"waitid\"]\n";

/// They are behind their filters before they do anything.
const AFTER: [&str; 2] = ["--after", "start"];

/// The programs, each with its policy.
const WORKERS: [(&str, &str); 2] = [
    ("portcullis-wasm-execute", "execute.toml"),
    ("portcullis-wasm-prepare", "prepare.toml"),
];

/// `cargo xtask workers`.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let command = portcullis::build(place::PROFILE)?;
    // They are built along with what carries them.
    process::show(
        Command::new("cargo")
            .args(["build", "--quiet", "--package", "portcullis-wasm"])
            .args(["--features", "carried", "--profile", place::PROFILE])
            .current_dir(place::root()),
    )?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let built = place::target().join("worker").join(target).join("worker");
    for (name, policy) in WORKERS {
        let policy = place::root().join(POLICIES).join(policy);
        let missing = dogfood::missing(&command, &built.join(name), &policy, &AFTER)?;
        ensure!(
            missing.is_empty(),
            "{} lacks calls that {name} makes: {}",
            policy.display(),
            missing.join(", ")
        );
        println!("{name} fits its policy");
    }
    // The audit that finds nothing would find something.
    let (name, policy) = WORKERS[0];
    let text = fs::read_to_string(place::root().join(POLICIES).join(policy))?;
    ensure!(
        text.contains(RULE),
        "{policy} has no rule of {NEEDED} alone"
    );
    let less = built.join("less.toml");
    fs::write(&less, text.replace(RULE, ""))?;
    let missing = dogfood::missing(&command, &built.join(name), &less, &AFTER)?;
    ensure!(
        missing == [NEEDED],
        "without a rule of {NEEDED} the audit finds missing: {missing:?}"
    );
    Ok(())
}
