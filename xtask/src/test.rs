//! `cargo xtask test [--full]`: every test, and the real programs; interpreters, the traces and the
//! sweep take long and belong to `--full`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    containers, coverage, dogfood, fuzz, jobs, kernels, libseccomp, musl, needs, place, portcullis,
    process, programs, recipes, record, soundness, sweep, workers, workload,
};

/// `cargo xtask test`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let full = match words {
        [] => false,
        [flag] if flag == "--full" => true,
        other => bail!("unknown: {}", other.join(" ")),
    };
    let missing = needs::provide()?;
    if !missing.is_empty() && place::on_ci() {
        bail!("missing on CI: {}", missing.join(" "));
    }
    // What needs a missing program fails below, by name: a test that is not run is not green.
    let mut failed = Vec::new();
    let mut note = |what: &'static str, result: Result<()>| {
        if let Err(error) = result {
            eprintln!("xtask: {what}: {error:#}");
            failed.push(what);
        }
    };
    // Without them the tests that read them fail below.
    note("libseccomp's source", libseccomp::provide());
    note("musl for aarch64", musl::provide());
    note(
        "cargo test",
        process::show(
            Command::new("cargo")
                .args(["test", "--workspace", "--no-fail-fast"])
                .args(["--profile", place::PROFILE])
                .current_dir(place::root()),
        ),
    );
    note("jobs", of_jobs(&[]));
    note("dogfood", dogfood::run(&[]));
    note("workers", workers::run(&[]));
    let quick = ["--quick".to_owned()];
    note("kernels", kernels::run(if full { &[] } else { &quick }));
    match portcullis::build(place::PROFILE) {
        Ok(command) => {
            let mut all = workload::chosen(&[])?;
            if !full {
                // Interpreters with many modules take minutes to analyse.
                all.retain(|w| !w.slow);
            }
            note("real programs", programs::report(Some(&command), &all));
            let recipes = recipes::all().and_then(|mut all| {
                all.retain(|recipe| full || !recipe.large);
                recipes::report(&command, &all)
            });
            note("recipes", recipes);
            note("containers", containers::report(&command));
        }
        Err(error) => note("build", Err(error)),
    }
    if full {
        note("endurance", endurance());
        note("soak of jobs", soak());
        note(
            "generated modules",
            of_jobs(&["thousands", "--", "--ignored"]),
        );
        note("programs as jobs", jobs::run(&[]));
        note("record", record::compare(50, &[]));
        note("decoder of aarch64", every_word());
        note("peers", libseccomp::at_length());
        note("coverage", coverage::run(&[]));
        note("fuzz", fuzz::run(&[]));
        note("soundness", soundness::run(&[]));
        note(
            "soundness of aarch64",
            soundness::run(&["--arm64".to_owned()]),
        );
        note("sweep", sweep::run(&[]));
        note("sweep of aarch64", sweep::run(&["--arm64".to_owned()]));
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

/// Launches in their thousands, and hundreds at once.
fn endurance() -> Result<()> {
    process::show(
        Command::new("cargo")
            .args(["test", "--profile", place::PROFILE])
            .args(["-p", "portcullis-sandbox", "--test", "it", "endurance"])
            .args(["--", "--ignored", "--test-threads=1"])
            .current_dir(place::root()),
    )
}

/// Jobs, good and bad, in their tens of thousands.
fn soak() -> Result<()> {
    process::show(
        Command::new("cargo")
            .args(["test", "--profile", place::PROFILE])
            .args(["-p", "portcullis-host", "--test", "jobs", "soak"])
            .args(["--", "--ignored"])
            .current_dir(place::root()),
    )
}

/// What the default build leaves out: the verb `job`, and the engine with its examples. With `words` those tests of the
/// engine that these choose.
fn of_jobs(words: &[&str]) -> Result<()> {
    let verb: &[&str] = &[
        "portcullis-cli",
        "--features",
        "wasm",
        "--test",
        "it",
        "job",
    ];
    let engine = [&["portcullis-wasm", "--features", "carried"], words].concat();
    let tests: &[&[&str]] = match words {
        [] => &[verb, &engine],
        _ => &[&engine],
    };
    tests.iter().try_for_each(|words| {
        process::show(
            Command::new("cargo")
                .args(["test", "--profile", place::PROFILE, "--package"])
                .args(*words)
                .current_dir(place::root()),
        )
    })
}

/// The decoder of aarch64 against the specification, on every word there is; optimised, with the
/// specification's tables.
fn every_word() -> Result<()> {
    process::show(
        Command::new("cargo")
            .args(["test", "--release", "-p", "portcullis-scan", "--lib"])
            .args(["every_word", "--", "--ignored"])
            .current_dir(place::root()),
    )
}
