//! Policies as a whole.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{Action, Baseline, Phase, Policy, Rule, Table};

/// A phase takes away, and gives nothing.
#[test]
fn a_phase_allows_what_it_has_of_the_policy() {
    let rule = |number, action| Rule {
        calls: Sysno(number).into(),
        conditions: Vec::new(),
        action,
        provenance: Vec::new(),
    };
    let table = Table {
        arch: Arch::X86_64,
        rules: vec![
            rule(0, Action::Allow),
            rule(1, Action::Errno(1)),
            rule(2, Action::Allow),
        ],
        baseline: Baseline::Number(Sysno(470)),
        default: Action::KillProcess,
        newer: Action::ENOSYS,
        x32_is_native: false,
    };
    let policy = Policy {
        phases: vec![Phase {
            thread: "main".into(),
            phase: "loop".into(),
            begins: Vec::new(),
            file: None,
            calls: vec![Sysno(1), Sysno(2), Sysno(3)],
        }],
        ..Policy::of(table, Action::KillProcess)
    };
    let narrowed = policy.phase("main", "loop").expect("it is there");
    let rules = narrowed.tables[0].rules.iter();
    let numbers: Vec<u32> = rules.map(|r| r.calls.first.0).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(policy.phase("main", "startup").is_none());
}
