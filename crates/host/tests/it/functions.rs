//! Functions of a program as its own jobs.

use std::process::Command;

use crate::puppet::{built, others};

#[test]
fn a_program_runs_its_own_functions_as_jobs() {
    // It and its workers are descendants of this process.
    let _company = others();
    let output = Command::new(built("functions")).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let expected = "\
        sum: ok: 42\n\
        greet: ok: hello, world\n\
        fail: job_error exit: code 3\n\
        divide: job_error crash: signal 11\n\
        open: denied seccomp\n\
        none: job_error refused: there is no function \"none\"\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn a_program_that_needs_libraries_is_told_so() {
    // This test is one.
    let refused = portcullis_host::own_image().unwrap_err().to_string();
    assert!(refused.contains("crt-static"), "{refused}");
}
