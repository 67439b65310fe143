//! Compiling, running and proving filters.

use std::collections::BTreeMap;

use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{Instruction, NotEqual, Program, compile, run, verify};
use portcullis_policy::{
    Action, ActionMap, Call, Condition, Derivation, Op, PLACEHOLDER, Policy, Rule, Width,
};
use proptest::prelude::*;

const NATIVE: u32 = 0xc000_003e;

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::KillProcess),
        Just(Action::Trap),
        (0u16..4096).prop_map(Action::Errno),
        any::<u16>().prop_map(Action::Trace),
        Just(Action::Allow),
    ]
}

/// Values near each other and near the ends, so that random rules and calls meet.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..4,
        (0u64..4).prop_map(|v| u64::MAX - v),
        (0u64..4).prop_map(|v| (1 << 32) - 2 + v),
        any::<u64>(),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let op = prop_oneof![
        value().prop_map(Op::Equal),
        value().prop_map(Op::NotEqual),
        value().prop_map(Op::Less),
        value().prop_map(Op::LessEqual),
        value().prop_map(Op::Greater),
        value().prop_map(Op::GreaterEqual),
        (value(), value()).prop_map(|(mask, value)| Op::Masked { mask, value }),
    ];
    let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
    (0u8..2, width, op).prop_map(|(index, width, op)| Condition { index, width, op })
}

fn rules(most: usize) -> impl Strategy<Value = Vec<Rule>> {
    let number = prop_oneof![0u32..12, 465u32..480, Just(0x4000_0001), Just(u32::MAX)];
    let rule = (number, prop::collection::vec(condition(), 0..3), action());
    let rule = rule.prop_map(|(number, conditions, action)| Rule {
        number: Sysno(number),
        conditions,
        action,
        provenance: vec![],
    });
    prop::collection::vec(rule, 0..most)
}

fn policy() -> impl Strategy<Value = Policy> {
    (rules(12), action(), action(), action()).prop_map(|(rules, default, newer, foreign)| Policy {
        arch: Arch::X86_64,
        newest: Sysno(470),
        rules,
        default,
        newer,
        foreign,
        phases: Vec::new(),
    })
}

fn call() -> impl Strategy<Value = Call> {
    let arch = prop_oneof![9 => Just(NATIVE), 1 => Just(0x4000_0003u32)];
    let number = prop_oneof![
        0u32..12,
        465u32..480,
        Just(0x4000_0001),
        Just(u32::MAX),
        any::<u32>()
    ];
    (arch, number, value(), value()).prop_map(|(arch, number, a, b)| Call {
        arch,
        number,
        ip: 0x1234,
        args: [a, b, 0, 0, 0, 0],
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn each_compiled_policy_is_proved(policy in policy(), calls in prop::collection::vec(call(), 32)) {
        let program = compile(&policy).expect("small");
        for call in calls {
            prop_assert_eq!(Action::from_code(run(&program, &call)), policy.decide(&call).action);
        }
        let listing = program.to_string();
        prop_assert!(verify(program, &policy).is_ok(), "{}", listing);
    }

    #[test]
    fn a_changed_filter_is_proved_only_if_it_means_the_same(
        policy in policy(),
        at in any::<prop::sample::Index>(),
        change in 0u8..4,
        by in 1u32..4,
        calls in prop::collection::vec(call(), 64),
    ) {
        let program = compile(&policy).expect("small");
        let mut rows = program.instructions().to_vec();
        let row: &mut Instruction = at.get_mut(&mut rows);
        match change {
            0 => row.k = row.k.wrapping_add(by),
            1 => row.k ^= 1 << (by * 7),
            2 => std::mem::swap(&mut row.jt, &mut row.jf),
            _ => row.jt = row.jt.wrapping_add(by as u8),
        }
        let Ok(changed) = Program::new(rows) else { return Ok(()) };
        match verify(changed.clone(), &policy) {
            Ok(_) => for call in calls {
                prop_assert_eq!(Action::from_code(run(&changed, &call)), policy.decide(&call).action);
            },
            Err(NotEqual::Differ { call, filter, policy: expected }) => {
                prop_assert_eq!(Action::from_code(run(&changed, &call)), filter);
                prop_assert_eq!(policy.decide(&call).action, expected);
                prop_assert_ne!(filter, expected);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn another_compiler_s_filter_is_proved(numbers in prop::collection::btree_set(0i64..470, 1..40)) {
        let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
            numbers.iter().map(|n| (*n, vec![])).collect();
        let filter = seccompiler::SeccompFilter::new(
            rules,
            seccompiler::SeccompAction::Trap,
            seccompiler::SeccompAction::Allow,
            seccompiler::TargetArch::x86_64,
        ).expect("a filter");
        let theirs: seccompiler::BpfProgram = filter.try_into().expect("a program");
        let rows = theirs.iter().map(|i| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k });
        let theirs = Program::new(rows.collect()).expect("a filter the kernel takes");
        let allow = |n: &i64| Rule {
            number: Sysno(*n as u32),
            conditions: vec![],
            action: Action::Allow,
            provenance: vec![],
        };
        // It knows no classes: what is not listed is one thing, another architecture kills.
        let policy = Policy {
            arch: Arch::X86_64,
            newest: Sysno(470),
            rules: numbers.iter().map(allow).collect(),
            default: Action::Trap,
            newer: Action::Trap,
            foreign: Action::KillProcess,
            phases: Vec::new(),
        };
        // x32 numbers are trapped there and foreign here: the proof must find just that.
        match verify(theirs, &policy) {
            Err(NotEqual::Differ { call, .. }) => {
                prop_assert_eq!(call.arch, NATIVE);
                prop_assert!(call.number & 0x4000_0000 != 0);
            }
            other => prop_assert!(false, "{:?}", other.map(|_| "proved")),
        }
    }
}

#[test]
fn every_call_of_the_table_makes_a_small_filter() {
    let every = |step| {
        let numbers = Arch::X86_64.syscalls().map(|(n, _)| n).step_by(step);
        Derivation::new(Arch::X86_64, numbers)
            .policy()
            .with_launch()
    };
    for step in [1, 2, 3, 7] {
        let policy = every(step);
        let program = compile(&policy).expect("fits");
        assert!(program.instructions().len() < 2 * policy.rules.len() + 40);
        verify(program, &policy).expect("equal");
    }
}

#[test]
fn a_filled_filter_is_proved_against_the_armed_policy_only() {
    let policy = Derivation::new(Arch::X86_64, [Sysno(0), Sysno(231)])
        .policy()
        .with_launch();
    let program = compile(&policy).expect("fits");
    let secret = 0x1122_3344_5566_7788;
    let filled = program.with_constant(PLACEHOLDER, secret);
    verify(filled.clone(), &policy.armed(secret)).expect("equal");
    assert!(verify(filled, &policy).is_err());
    assert!(verify(program, &policy.armed(secret)).is_err());
}

#[test]
fn a_traced_filter_is_proved_under_its_map() {
    let policy = Derivation::new(Arch::X86_64, [Sysno(0), Sysno(101)]).policy();
    let map = ActionMap::traced(vec![Sysno(101)]);
    let program = compile(&policy.mapped(&map)).expect("fits");
    verify(program.clone(), &policy.mapped(&map)).expect("equal");
    assert!(verify(program, &policy).is_err());
}

#[test]
fn what_is_not_followed_is_not_proved() {
    // The number is computed: number + 0 is the number, but the proof does not say so.
    let rows = [
        (0x20, 0, 0, 0),
        (0x04, 0, 0, 0),
        (0x15, 0, 0, 1),
        (0x06, 0, 0, 0),
    ];
    let rows = rows.map(|(code, jt, jf, k)| Instruction { code, jt, jf, k });
    let program = Program::new(rows.to_vec()).expect("a filter the kernel takes");
    let policy = Derivation::new(Arch::X86_64, []).policy();
    assert_eq!(
        verify(program, &policy).map(|_| ()),
        Err(NotEqual::NotFollowed { at: 1 })
    );
}

#[test]
fn the_order_of_masked_words_is_followed() {
    // The lowest bit of the first argument is at least one, or the call is killed.
    let rows = [
        (0x20, 0, 0, 4),
        (0x15, 0, 7, NATIVE),
        (0x20, 0, 0, 0),
        (0x15, 0, 5, 2),
        (0x20, 0, 0, 16),
        (0x54, 0, 0, 1),
        (0x35, 1, 0, 1),
        (0x06, 0, 0, 0x0005_0016),
        (0x06, 0, 0, 0x7fff_0000),
        (0x06, 0, 0, 0x8000_0000),
    ];
    let rows = rows.map(|(code, jt, jf, k)| Instruction { code, jt, jf, k });
    let program = Program::new(rows.to_vec()).expect("a filter the kernel takes");
    let policy = |value| Policy {
        arch: Arch::X86_64,
        newest: Sysno(470),
        rules: vec![
            Rule {
                number: Sysno(2),
                conditions: vec![Condition {
                    index: 0,
                    width: Width::W32,
                    op: Op::Masked { mask: 1, value },
                }],
                action: Action::Allow,
                provenance: vec![],
            },
            Rule {
                number: Sysno(2),
                conditions: vec![],
                action: Action::Errno(22),
                provenance: vec![],
            },
        ],
        default: Action::KillProcess,
        newer: Action::KillProcess,
        foreign: Action::KillProcess,
        phases: Vec::new(),
    };
    verify(program.clone(), &policy(1)).expect("equal");
    assert!(matches!(
        verify(program, &policy(0)),
        Err(NotEqual::Differ { .. })
    ));
}
