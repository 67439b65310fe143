//! The policies that run.

use std::fs;
use std::path::Path;

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{Action, Baseline, Condition, Op, Policy, Rule, Span, Table, Width, toml};

/// The fewest profiles that are shipped.
const FEWEST: usize = 3;

/// Policies by name: the shipped profiles, and two that have every answer and every comparison.
pub(crate) fn all() -> Vec<(String, Policy)> {
    let mut all = vec![
        ("every-answer".to_owned(), every_answer()),
        ("every-comparison".to_owned(), every_comparison()),
    ];
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles");
    for entry in fs::read_dir(directory).expect("profiles") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "toml") {
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let text = fs::read_to_string(&path).expect("a profile");
            let policy = toml::read(&text).unwrap_or_else(|e| panic!("{name}: {e:?}"));
            all.push((name, policy));
        }
    }
    assert!(all.len() >= 2 + FEWEST, "profiles are missing");
    all
}

fn rule(name: &str, action: Action, conditions: Vec<Condition>) -> Rule {
    Rule {
        calls: Arch::X86_64.number(name).expect("a call").into(),
        conditions,
        action,
        provenance: vec![],
    }
}

fn policy(rules: Vec<Rule>, default: Action) -> Policy {
    let table = Table {
        arch: Arch::X86_64,
        rules,
        baseline: Baseline::Number(Sysno(470)),
        default,
        newer: Action::ENOSYS,
        x32_is_native: false,
    };
    Policy::of(table, Action::KillProcess)
}

fn every_answer() -> Policy {
    let answers = [
        ("read", Action::Allow),
        ("getpid", Action::Log),
        ("write", Action::Errno(1)),
        ("open", Action::Errno(0)),
        ("close", Action::Errno(4095)),
        ("stat", Action::KillProcess),
        ("fstat", Action::KillThread),
        ("lstat", Action::Trap(0)),
        ("poll", Action::Trace(7)),
        ("exit_group", Action::Allow),
        ("kill", Action::Allow),
        ("reboot", Action::Allow),
    ];
    let mut rules: Vec<Rule> = answers
        .map(|(name, action)| rule(name, action, vec![]))
        .into();
    for (first, last, action) in [(100, 110, Action::Errno(5)), (500, 510, Action::Errno(6))] {
        rules.push(Rule {
            calls: Span {
                first: Sysno(first),
                last: Sysno(last),
            },
            ..rule("read", action, vec![])
        });
    }
    policy(rules, Action::KillProcess)
}

fn every_comparison() -> Policy {
    let wide = |index, op| Condition {
        index,
        width: Width::W64,
        op,
    };
    let low = |index, op| Condition {
        index,
        width: Width::W32,
        op,
    };
    let ops = [
        Op::Equal(0x1_0000_0002),
        Op::Equal(2),
        Op::NotEqual(2),
        Op::Less(1 << 32),
        Op::LessEqual(7),
        Op::Greater(0x1_0000_0000),
        Op::GreaterEqual(5),
        Op::Masked { mask: 6, value: 2 },
        Op::Masked {
            mask: 1 << 40 | 1,
            value: 1 << 40,
        },
        Op::NotMasked { mask: 6, value: 2 },
        Op::In(vec![(1, 1), (3, 9), (1 << 33, 1 << 34)]),
        Op::NotIn(vec![(0, 1), (3, 9)]),
    ];
    let mut rules = Vec::new();
    for (at, op) in ops.into_iter().enumerate() {
        let index = (at % 6) as u8;
        let named = |conditions| Rule {
            calls: Sysno(at as u32).into(),
            ..rule("read", Action::Allow, conditions)
        };
        rules.push(named(vec![wide(index, op.clone())]));
        let narrow = low(index, op);
        if narrow.ranges().is_none_or(|r| !r.is_empty()) && at != 8 {
            rules.push(Rule {
                calls: Sysno(200 + at as u32).into(),
                ..named(vec![narrow, low((index + 1) % 6, Op::Equal(1))])
            });
        }
    }
    policy(rules, Action::Errno(1))
}
