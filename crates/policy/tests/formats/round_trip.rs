//! What is written means what was to be written.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::format::{Concessions, Format};
use portcullis_policy::{
    Action, Baseline, Condition, Filter, Op, Policy, Provenance, Rule, Table, Width,
};
use proptest::prelude::*;

use crate::{FORMATS, PROFILES, calls, profile, read, target, write};

const BOTH: Concessions = Concessions {
    foreign: true,
    newer: true,
};

pub(crate) fn filter(policy: Policy) -> Filter {
    Filter {
        name: None,
        places: vec![Vec::new(); policy.tables.len()],
        policy,
    }
}

/// A policy that answers as libseccomp does what no rule is about.
pub(crate) fn policy(arch: Arch, default: Action, rules: Vec<Rule>) -> Policy {
    let table = Table {
        arch,
        rules,
        baseline: Baseline::All,
        default,
        newer: default,
        x32_is_native: false,
    };
    Policy::of(table, Action::KillThread)
}

pub(crate) fn rule(name: &str, conditions: Vec<Condition>, action: Action) -> Rule {
    Rule {
        calls: Arch::Aarch64.number(name).expect(name).into(),
        conditions,
        action,
        provenance: Vec::new(),
    }
}

pub(crate) fn condition(index: u8, width: Width, op: Op) -> Condition {
    Condition { index, width, op }
}

/// Whether two policies answer the same; what is conceded is not looked at.
fn same(one: &Policy, other: &Policy, picks: &[u64], conceded: Concessions) -> Result<(), String> {
    for call in calls::of(one, picks) {
        let own = one
            .tables
            .iter()
            .any(|t| t.arch.audit_arch() == call.arch && t.arch.name(Sysno(call.number)).is_some());
        let (a, b) = (one.decide(&call).action, other.decide(&call).action);
        if a != b && (own || conceded == Concessions::default()) {
            return Err(format!("{call:x?}: {a:?} and {b:?}"));
        }
    }
    Ok(())
}

#[test]
fn each_profile_comes_back_from_each_format_that_can_say_it() {
    let picks: Vec<u64> = (0..40u64)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .collect();
    let mut said = Vec::new();
    for file in PROFILES {
        let text = profile(file);
        let format = Format::detect(text.as_bytes()).expect(file);
        for arches in [
            &[Arch::X86_64][..],
            &[Arch::Aarch64, Arch::Arm],
            &[Arch::X86_64, Arch::I386, Arch::X32],
        ] {
            for filter in read(format, &text, &target(arches)).expect(file).filters {
                for to in FORMATS {
                    let one = std::slice::from_ref(&filter);
                    let Ok(written) = write(to, one, Concessions::default()) else {
                        continue;
                    };
                    let arches: Vec<Arch> = filter.policy.tables.iter().map(|t| t.arch).collect();
                    let read = read(to, &written, &target(&arches));
                    let read = read.unwrap_or_else(|m| panic!("{file} {to}: {m}\n{written}"));
                    let same = same(
                        &filter.policy,
                        &read.filters[0].policy,
                        &picks,
                        Concessions::default(),
                    );
                    same.unwrap_or_else(|m| panic!("{file} {to}: {m}\n{written}"));
                    said.push(format!(
                        "{file} {} {}",
                        filter.name.as_deref().unwrap_or("-"),
                        to
                    ));
                }
            }
        }
    }
    said.sort();
    said.dedup();
    insta::assert_snapshot!(said.join("\n"));
}

/// In its own format a file comes back with its comments.
#[test]
fn comments_come_back() {
    let text = profile("small.firecracker.json");
    let target = target(&[Arch::X86_64]);
    let read = |text: &str| crate::read(Format::Firecracker, text, &target).expect("it reads");
    let filters = read(&text).filters;
    let text = write(Format::Firecracker, &filters, Concessions::default()).expect("it can");
    let again = read(&text).filters;
    assert_eq!(filters.len(), again.len());
    let note = Provenance::Note("from the tap device".into());
    assert_eq!(again[0].policy.tables[0].rules[0].provenance, [note]);
    for (one, other) in filters.iter().zip(&again) {
        assert_eq!((&one.name, &one.policy), (&other.name, &other.policy));
    }
}

/// Conditions that a format cannot compare at once are compared in several ways.
#[test]
fn what_takes_several_entries_is_said_exactly() {
    let w32 = |op| vec![condition(0, Width::W32, op)];
    let w64 = |op| vec![condition(0, Width::W64, op)];
    for conditions in [
        w32(Op::Equal(7)),
        w32(Op::NotEqual(40)),
        w32(Op::Less(16)),
        w32(Op::Less(17)),
        w32(Op::GreaterEqual(1 << 31)),
        w32(Op::Masked {
            mask: 0xf0f,
            value: 0x101,
        }),
        w32(Op::NotMasked {
            mask: 0x30,
            value: 0,
        }),
        w32(Op::In(vec![(1, 1), (8, 15), (40, 44)])),
        w32(Op::NotIn(vec![(3, 5)])),
        w32(Op::Equal(1 << 40)),
        w64(Op::In(vec![(2, 2), (5, 9)])),
        w64(Op::NotIn(vec![(0, 9)])),
        w64(Op::NotMasked {
            mask: 0x10,
            value: 0x10,
        }),
        [w64(Op::GreaterEqual(8)), w64(Op::Less(24))].concat(),
        [
            w64(Op::Masked { mask: 1, value: 1 }),
            w64(Op::Masked { mask: 6, value: 2 }),
        ]
        .concat(),
    ] {
        let rules = vec![rule("socket", conditions.clone(), Action::Allow)];
        let policy = policy(Arch::Aarch64, Action::Errno(1), rules);
        let picks: Vec<u64> = (0..200).collect();
        for to in FORMATS {
            let conceded = Concessions {
                foreign: to == Format::Seccompiler,
                newer: false,
            };
            let text = write(to, &[filter(policy.clone())], conceded);
            let text = match text {
                Ok(text) => text,
                // Masks of all upper bits do not fit.
                Err(u) if to == Format::Kubernetes && u.message.contains("int64") => continue,
                Err(u) => panic!("{to} {conditions:?}: {u}"),
            };
            let read = read(to, &text, &target(&[Arch::Aarch64])).expect("it reads");
            let same = same(&policy, &read.filters[0].policy, &picks, conceded);
            same.unwrap_or_else(|m| panic!("{to} {conditions:?}: {m}\n{text}"));
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let value = prop_oneof![
        0u64..20,
        Just(u64::from(u32::MAX)),
        Just(1 << 32),
        Just(u64::MAX),
        any::<u64>()
    ];
    let pair = (value.clone(), value.clone());
    prop_oneof![
        value.clone().prop_map(Op::Equal),
        value.clone().prop_map(Op::NotEqual),
        value.clone().prop_map(Op::Less),
        value.clone().prop_map(Op::LessEqual),
        value.clone().prop_map(Op::Greater),
        value.prop_map(Op::GreaterEqual),
        pair.clone().prop_map(|(mask, value)| Op::Masked {
            mask,
            value: value & mask
        }),
        pair.clone()
            .prop_map(|(mask, value)| Op::NotMasked { mask, value }),
        pair.clone()
            .prop_map(|(a, b)| Op::In(vec![(a.min(b), a.max(b)), (3, 3)])),
        pair.prop_map(|(a, b)| Op::NotIn(vec![(a.min(b), a.max(b))])),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let condition = (
        0u8..3,
        prop_oneof![Just(Width::W32), Just(Width::W64)],
        op(),
    );
    let condition = condition.prop_map(|(index, width, op)| self::condition(index, width, op));
    let action = prop_oneof![4 => Just(Action::Allow), 1 => Just(Action::Errno(38)), 1 => Just(Action::Errno(1)), 1 => Just(Action::Log)];
    let name = prop::sample::select(vec!["read", "socket", "ioctl", "clone", "semop"]);
    let rule = (name, prop::collection::vec(condition, 0..3), action);
    let rule = rule.prop_map(|(name, conditions, action)| self::rule(name, conditions, action));
    prop::collection::vec(rule, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_written_means_the_policy(
        rules in rules(),
        default in prop_oneof![Just(Action::Errno(1)), Just(Action::Allow), Just(Action::KillThread)],
        picks in prop::collection::vec(any::<u64>(), 16),
    ) {
        let policy = policy(Arch::Aarch64, default, rules);
        for to in FORMATS {
            let conceded = if to == Format::Seccompiler { BOTH } else { Concessions::default() };
            let Ok(text) = write(to, &[filter(policy.clone())], conceded) else {
                continue;
            };
            let read = read(to, &text, &target(&[Arch::Aarch64]));
            let read = read.map_err(|m| TestCaseError::fail(format!("{to}: {m}\n{text}")))?;
            let same = same(&policy, &read.filters[0].policy, &picks, conceded);
            same.map_err(|m| TestCaseError::fail(format!("{to}: {m}\n{text}")))?;
        }
    }
}
