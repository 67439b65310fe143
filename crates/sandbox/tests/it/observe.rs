//! Observing: what is let through, what is not even then, and what a program sees of it.

use portcullis_sandbox::Outcome;
use portcullis_watch::Answer;

use crate::filter::{Denied, number};
use crate::harness::{Case, build};

const CORE: [&str; 11] = [
    "ptrace",
    "unshare",
    "mount",
    "bpf",
    "seccomp",
    "setns",
    "keyctl",
    "open_by_handle_at",
    "io_uring_setup",
    "clone3",
    "clone",
];

#[test]
fn a_call_outside_the_set_is_made_and_counted() {
    let built = build("observe", &[]);
    let verdict = Case::new(&built.path, Denied::trace(&[number("getppid")]))
        .arguments(&["outside"])
        .observe()
        .run()
        .unwrap();
    assert_eq!(verdict.outcome, Outcome::Exited(0));
    let denials = &verdict.report.denials;
    assert_eq!(denials.len(), 1, "{denials:#?}");
    assert_eq!(denials[0].call.number, number("getppid"));
    assert_eq!(denials[0].answer, Answer::LetThrough);
    assert_eq!(denials[0].count, 3);
    assert!(denials[0].backtrace.len() > 2);
    assert!(verdict.not_enforced.iter().any(|m| m.layer == "seccomp"));
    assert!(verdict.enforced.iter().all(|l| l.layer != "seccomp"));
}

#[test]
fn the_same_call_is_denied_when_it_is_enforced() {
    let built = build("observe", &[]);
    let verdict = Case::new(&built.path, Denied::trace(&[number("getppid")]))
        .arguments(&["outside"])
        .run()
        .unwrap();
    assert_eq!(verdict.outcome, Outcome::Denied);
    assert_eq!(verdict.report.denials[0].count, 1);
}

#[test]
fn the_core_is_never_given() {
    let built = build("observe", &[]);
    let verdict = Case::new(&built.path, Denied::trace(&CORE.map(number)))
        .arguments(&["core"])
        .observe()
        .run()
        .unwrap();
    // The program checks each answer and names the first wrong one by its code.
    assert_eq!(verdict.outcome, Outcome::Exited(0));
    let answer = |name: &str| {
        verdict
            .report
            .denials
            .iter()
            .filter(|d| d.call.number == number(name))
            .map(|d| d.answer)
            .collect::<Vec<_>>()
    };
    assert_eq!(answer("ptrace"), [Answer::Errno(1)]);
    assert_eq!(answer("io_uring_setup"), [Answer::Errno(38)]);
    // The one with a namespace flag, and fork's.
    assert_eq!(answer("clone"), [Answer::Errno(1), Answer::LetThrough]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_foreign_call_is_killed_even_when_observing() {
    let built = build("denial", &["-no-pie"]);
    let verdict = Case::new(&built.path, Denied::trace(&[]))
        .arguments(&["int80"])
        .observe()
        .run()
        .unwrap();
    assert_eq!(verdict.outcome, Outcome::Denied);
}

/// The program `observe` finds of itself, in each of `ways`, that it is as it must be natively.
fn goes_as_natively(ways: &[&str]) {
    let built = build("observe", &[]);
    for way in ways {
        let native = std::process::Command::new(&built.path)
            .arg(way)
            .status()
            .unwrap();
        assert_eq!(native.code(), Some(0), "{way} natively");
        let verdict = Case::new(&built.path, Denied::kill(&[]))
            .arguments(&[way])
            .run()
            .unwrap();
        assert_eq!(verdict.outcome, Outcome::Exited(0), "{way} traced");
    }
}

/// Signals that the program ignores, by default or by its wish, wake no call natively.
#[test]
fn no_call_is_interrupted_that_would_not_be_natively() {
    goes_as_natively(&["epoll", "sigtimedwait", "semaphore", "receive"]);
}

/// A handled signal does interrupt, as it does natively: alone, together with an ignored one, and with an
/// ignored one at the return of its handler, in the process itself or in one that its handler forked.
#[test]
fn a_handled_signal_interrupts_as_it_does_natively() {
    goes_as_natively(&["handled", "ignored_first", "ignored_in_handler", "forked"]);
}
