//! What an audit says, against single calls.

use portcullis_abi::{Arch, ArgValue, SyscallSet};
use portcullis_policy::audit::{Audit, Code, Edit, Kind};
use portcullis_policy::{Action, Call, Condition, Op, Policy, Rule, Width};
use proptest::prelude::*;

use crate::program::{audited, call, filter, number, program, rule};

const CALL: &str = "fcntl";

fn condition() -> impl Strategy<Value = Condition> {
    let op = prop_oneof![
        (0u64..6).prop_map(Op::Equal),
        (0u64..6).prop_map(Op::NotEqual),
        (0u64..6).prop_map(Op::Less),
        (0u64..6).prop_map(Op::GreaterEqual),
        (0u64..8, 0u64..8).prop_map(|(mask, value)| Op::Masked { mask, value }),
        (0u64..8, 0u64..8).prop_map(|(mask, value)| Op::NotMasked { mask, value }),
        (0u64..5, 0u64..3).prop_map(|(low, more)| Op::In(vec![(low, low + more)])),
    ];
    let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
    (1u8..3, width, op).prop_map(|(index, width, op)| Condition { index, width, op })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let action = prop_oneof![
        6 => Just(Action::Allow),
        1 => Just(Action::Errno(1)),
        1 => Just(Action::KillProcess),
        1 => Just(Action::Log),
    ];
    let conditions = prop::collection::vec(condition(), 0..3);
    let rule = (conditions, action).prop_map(|(c, action)| rule(CALL, &c, action));
    prop::collection::vec(rule, 1..6)
}

/// An argument all of whose values are small.
fn known() -> impl Strategy<Value = ArgValue> {
    let values = prop::collection::btree_set(0u64..6, 1..4);
    prop_oneof![
        4 => values.prop_map(|s| ArgValue::Values(s.into_iter().collect())),
        1 => (0u64..4, 0u64..4, 1u64..3)
            .prop_map(|(low, steps, by)| ArgValue::Ranges(vec![(low, low + steps * by, by)])),
    ]
}

fn argument() -> impl Strategy<Value = ArgValue> {
    prop_oneof![
        5 => known(),
        1 => Just(ArgValue::Any),
        1 => (0u64..4, 0u64..4)
            .prop_map(|(mask, value)| ArgValue::Masked { mask, values: vec![value & mask] }),
    ]
}

/// Some of what an argument can be: of small ones all.
fn some(value: &ArgValue) -> Vec<u64> {
    match value {
        ArgValue::Values(all) => all.clone(),
        ArgValue::Ranges(all) => all
            .iter()
            .flat_map(|&(low, high, by)| (low..=high).step_by(by as usize))
            .collect(),
        ArgValue::Masked { mask, values } => {
            (0..16).filter(|v| values.contains(&(v & mask))).collect()
        }
        _ => (0..10).chain([u64::MAX, 1 << 32, 1 << 31]).collect(),
    }
}

type Tuples = Vec<(ArgValue, ArgValue)>;

fn set(tuples: &Tuples) -> SyscallSet {
    let tuple = |(one, two): &(ArgValue, ArgValue)| vec![(1, one.clone()), (2, two.clone())];
    let tuples: Vec<_> = tuples.iter().map(tuple).collect();
    program(vec![call(CALL, &tuples)])
}

fn calls(tuples: &Tuples) -> Vec<Call> {
    let mut calls = Vec::new();
    for (one, two) in tuples {
        // Of the first, an `int`, it is not told what is in the upper half.
        let halves = some(one)
            .into_iter()
            .flat_map(|a| [a, a | 1 << 32, a | 1 << 63]);
        for a in halves {
            for b in some(two) {
                calls.push(Call {
                    arch: Arch::X86_64.audit_arch(),
                    number: number(CALL).0,
                    ip: 0,
                    args: [0, a, b, 0, 0, 0],
                });
            }
        }
    }
    calls
}

fn all_calls() -> Vec<Call> {
    calls(&vec![(ArgValue::Any, ArgValue::Any)])
}

fn edited(policy: &Policy, edits: impl IntoIterator<Item = Edit>) -> Policy {
    let mut policy = policy.clone();
    let mut edits: Vec<Edit> = edits.into_iter().collect();
    // From the last rule on, so that places stay what they are.
    edits.sort_by_key(|edit| match edit {
        Edit::Remove { rule } | Edit::Replace { rule, .. } => std::cmp::Reverse(*rule),
        Edit::Insert { before, .. } => std::cmp::Reverse(*before),
    });
    for edit in edits {
        edit.apply(&mut policy);
    }
    policy
}

fn of_kind(audit: &Audit, kind: Kind) -> impl Iterator<Item = Edit> {
    let own = audit.findings.iter().filter(move |f| f.code.kind() == kind);
    own.filter_map(|f| f.suggestion.clone())
}

fn denied(action: Action) -> bool {
    !matches!(action, Action::Allow | Action::Log)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn all_redundant_rules_can_go_together(
        rules in rules(),
        tuples in prop::collection::vec((argument(), argument()), 1..4),
    ) {
        let filter = filter(rules);
        let audit = audited(&filter, &set(&tuples));
        let without = edited(&filter.policy, of_kind(&audit, Kind::Redundant));
        for call in calls(&tuples) {
            prop_assert_eq!(without.decide(&call).action, filter.policy.decide(&call).action);
        }
    }

    #[test]
    fn a_rule_that_stays_and_grants_is_needed(
        rules in rules(),
        tuples in prop::collection::vec((known(), known()), 1..4),
    ) {
        let mut filter = filter(rules);
        // What only a redundant rule shadowed can be redundant once that is gone.
        for _ in 0..filter.policy.tables[0].rules.len() {
            let audit = audited(&filter, &set(&tuples));
            filter.policy = edited(&filter.policy, of_kind(&audit, Kind::Redundant));
        }
        let kept = filter.policy;
        for (place, rule) in kept.tables[0].rules.iter().enumerate() {
            if denied(rule.action) {
                continue;
            }
            let without = edited(&kept, [Edit::Remove { rule: (0, place) }]);
            let changes = |call: &Call| without.decide(call).action != kept.decide(call).action;
            // What it grants is seen by some call among all, or it grants nothing.
            let grants = all_calls().iter().any(|call| {
                kept.decide(call).rule == Some((0, place)) && denied(without.decide(call).action)
            });
            if grants {
                prop_assert!(calls(&tuples).iter().any(changes), "{:?} of {:?}", rule, kept);
            }
        }
    }

    #[test]
    fn missing_calls_are_denied_and_all_of_them_are_found(
        rules in rules(),
        tuples in prop::collection::vec((argument(), argument()), 1..4),
    ) {
        let filter = filter(rules);
        let audit = audited(&filter, &set(&tuples));
        let falls = |call: &Call| {
            let decided = filter.policy.decide(call);
            denied(decided.action) && !(decided.rule.is_some() && decided.action == Action::Errno(1))
        };
        let calls = calls(&tuples);
        let told = |code| audit.findings.iter().any(|f| f.code == code);
        if calls.iter().any(falls) {
            prop_assert!(told(Code::Missing) || told(Code::PerhapsMissing));
        }
        for finding in audit.findings.iter().filter(|f| f.code == Code::Missing) {
            let fits = |call: &&Call| {
                finding.args.iter().all(|(index, value)| {
                    let argument = call.args[usize::from(*index)];
                    match value {
                        ArgValue::Values(all) if *index == 1 => {
                            all.contains(&(argument & 0xffff_ffff))
                        }
                        ArgValue::Values(all) => all.contains(&argument),
                        _ => true,
                    }
                })
            };
            let own: Vec<&Call> = calls.iter().filter(fits).collect();
            prop_assert!(own.iter().any(|call| falls(call)), "{:?}", finding);
        }
        // What is proposed lets them through.
        if !told(Code::PerhapsMissing) {
            let repaired = edited(&filter.policy, of_kind(&audit, Kind::Missing));
            for call in calls.iter().filter(|call| falls(call)) {
                prop_assert!(!denied(repaired.decide(call).action), "{:?}", call);
            }
        }
    }

    #[test]
    fn tighter_rules_keep_what_is_needed_and_allow_less(
        rules in rules(),
        tuples in prop::collection::vec((argument(), argument()), 1..4),
    ) {
        let filter = filter(rules);
        let audit = audited(&filter, &set(&tuples));
        for edit in of_kind(&audit, Kind::TooBroad) {
            let tight = edited(&filter.policy, [edit]);
            for call in calls(&tuples) {
                prop_assert_eq!(tight.decide(&call).action, filter.policy.decide(&call).action);
            }
        }
    }
}
