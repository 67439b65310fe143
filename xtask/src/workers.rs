//! `cargo xtask workers`: the programs that run jobs, as the command carries them, audited under the policies that they
//! are started with, for both architectures.

use std::fs;

use anyhow::{Result, ensure};
use portcullis_abi::Arch;

use crate::{cross, dogfood, place, portcullis};

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
    for arch in cross::ARCHES {
        let built = cross::workers(arch)?;
        for (name, policy) in WORKERS {
            let policy = place::root().join(POLICIES).join(policy);
            let missing = dogfood::missing(&command, &built.join(name), &policy, &AFTER)?;
            ensure!(
                missing.is_empty(),
                "{} lacks calls that {name} of {arch} makes: {}",
                policy.display(),
                missing.join(", ")
            );
            println!("{name} of {arch} fits its policy");
        }
    }
    // The audit that finds nothing would find something.
    let built = cross::workers(Arch::NATIVE)?;
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
