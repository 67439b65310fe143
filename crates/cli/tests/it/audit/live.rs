//! The program itself behind its filters: what the audit says of it is true of a run.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use super::{edit, place};
use crate::place::Place;

/// `SIGSYS` of x86-64 (asm/signal.h): what `trap` is.
const SIGSYS: i32 = 31;

/// Runs the program behind the filters of its policy, each compiled for its thread.
fn run(place: &Place) -> ExitStatus {
    for thread in ["api", "vmm", "vcpu"] {
        let output = format!("{thread}.bpf");
        let all = [
            "compile",
            "policy.json",
            "--format",
            "raw",
            "--filter",
            thread,
            "-o",
            &output,
        ];
        place.portcullis(&all).expect(0);
    }
    Command::new(place.at("program"))
        .args(["api.bpf", "vmm.bpf", "vcpu.bpf"])
        .current_dir(place.at("."))
        .status()
        .unwrap()
}

#[test]
fn with_the_rules_that_fit_it_runs_to_its_end() {
    let status = run(&place());
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn without_a_rule_that_a_thread_needs_it_is_stopped() {
    // Each is made by one thread alone, and before it tells the others that it is done.
    for (call, thread) in [
        ("\"madvise\"", "vmm"),
        ("\"setsockopt\"", "api"),
        ("\"getpid\"", "vcpu"),
    ] {
        let place = place();
        edit(&place, call, None);
        let said = super::audit(&place, &[]).expect(1).stdout;
        assert!(said.contains(&format!("missing [{thread}]")), "{said}");
        let status = run(&place);
        assert_eq!(status.signal(), Some(SIGSYS), "{call}: {status}");
    }
}
