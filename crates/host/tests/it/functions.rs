//! Functions of another program as jobs, by the examples.

use std::process::{Command, Output};

use crate::puppet::{built, others};

fn functions(words: &[&str]) -> Output {
    let worker = built("functions_worker");
    let mut command = Command::new(built("functions"));
    command.arg(worker).args(words).output().unwrap()
}

#[test]
fn a_program_runs_functions_as_jobs_and_says_what_is_missing() {
    // It and its workers are descendants of this process.
    let _company = others();
    let output = functions(&["--allow-insecure", "worker-audit"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let jobs = [
        "sum: ok: 42",
        "greet: ok: hello, world",
        "fail: job_error exit: code 3",
        "divide: job_error crash: signal 11",
        "open: denied seccomp",
        "none: job_error refused: there is no function \"none\"",
    ];
    let expected = jobs.map(|line| format!("{line}\n  without worker-audit\n"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected.concat());
}

#[test]
fn without_an_audit_a_worker_is_refused() {
    let output = functions(&[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(error.contains("was not audited"), "{error}");
}
