//! Compiling, running and proving filters.

use std::collections::BTreeMap;

use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{
    Cost, Instruction, NoPolicy, NotEqual, Program, Unknown, compare, compile, import, is_cached,
    outcomes, run, uncached, verify, verify_together,
};
use portcullis_policy::{
    Action, ActionMap, Asked, Baseline, Call, Condition, Derivation, Op, PLACEHOLDER, Phase,
    Policy, Rule, Span, Table, Width,
};
use proptest::prelude::*;

const NATIVE: u32 = 0xc000_003e;

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::KillProcess),
        Just(Action::Trap(0)),
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
        (value(), value()).prop_map(|(mask, value)| Op::NotMasked { mask, value }),
        prop::collection::vec((value(), value()), 0..4).prop_map(Op::In),
        prop::collection::vec((value(), value()), 0..4).prop_map(Op::NotIn),
    ];
    let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
    (0u8..2, width, op).prop_map(|(index, width, op)| Condition { index, width, op })
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        0u32..12,
        465u32..480,
        0x4000_0000u32..0x4000_0004,
        0x7fff_fffeu32..0x8000_0002,
        Just(u32::MAX)
    ]
}

fn rules(most: usize) -> impl Strategy<Value = Vec<Rule>> {
    let more = prop_oneof![9 => Just(0u32), 1 => 0u32..8, 1 => Just(u32::MAX)];
    let rule = (
        number(),
        more,
        prop::collection::vec(condition(), 0..3),
        action(),
    );
    let rule = rule.prop_map(|(number, more, conditions, action)| Rule {
        calls: Span {
            first: Sysno(number),
            last: Sysno(number.saturating_add(more)),
        },
        conditions,
        action,
        provenance: vec![],
    });
    prop::collection::vec(rule, 0..most)
}

fn table() -> impl Strategy<Value = Table> {
    let baseline = prop_oneof![Just(Baseline::All), Just(Baseline::Number(Sysno(470)))];
    let arch = prop_oneof![
        3 => Just(Arch::X86_64),
        1 => Just(Arch::X32),
        1 => Just(Arch::I386),
        1 => Just(Arch::Aarch64)
    ];
    (arch, rules(12), baseline, action(), action(), any::<bool>()).prop_map(
        |(arch, rules, baseline, default, newer, x32_is_native)| Table {
            arch,
            rules,
            baseline,
            default,
            newer,
            x32_is_native,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    (prop::collection::vec(table(), 1..4), action()).prop_map(|(tables, foreign)| Policy {
        tables,
        foreign,
        phases: Vec::new(),
        ramp: None,
    })
}

/// A policy of x86_64 alone, written when 470 was the newest call.
fn native(rules: Vec<Rule>, default: Action, newer: Action, foreign: Action) -> Policy {
    let table = Table {
        arch: Arch::X86_64,
        rules,
        baseline: Baseline::Number(Sysno(470)),
        default,
        newer,
        x32_is_native: false,
    };
    Policy::of(table, foreign)
}

fn call() -> impl Strategy<Value = Call> {
    let arch = prop_oneof![
        9 => Just(NATIVE),
        1 => Just(0x4000_0003u32),
        1 => Just(0xc000_00b7u32),
        1 => Just(1u32)
    ];
    let number = prop_oneof![9 => number(), 1 => any::<u32>()];
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
        prop_assert!(uncached(&program, &policy).is_empty(), "{}", listing);
        prop_assert!(verify(program, &policy).is_ok(), "{}", listing);
    }

    #[test]
    fn a_filter_is_read_back_as_a_policy(policy in policy(), calls in prop::collection::vec(call(), 32)) {
        let program = compile(&policy).expect("small");
        match import(&program) {
            Ok(read) => for call in calls {
                prop_assert_eq!(read.decide(&call).action, policy.decide(&call).action);
            },
            Err(NoPolicy::NotEqual(e)) => prop_assert!(false, "{}", e),
            Err(e) => prop_assert!(false, "{}\n{}", e, program),
        }
    }

    #[test]
    fn differences_are_calls_that_differ(
        first in policy(),
        second in policy(),
        calls in prop::collection::vec(call(), 32),
    ) {
        let programs = [&first, &second].map(|p| compile(p).expect("small"));
        let found = compare(&programs[0], &programs[1], usize::MAX).expect("followed");
        for difference in &found {
            let call = &difference.call;
            prop_assert_eq!(first.decide(call).action, difference.first);
            prop_assert_eq!(second.decide(call).action, difference.second);
            prop_assert_ne!(difference.first, difference.second);
        }
        for call in calls {
            let answers = [&first, &second].map(|p| p.decide(&call).action);
            let told = found.iter().any(|d| {
                d.all.as_ref().is_some_and(|all| all.contains(&call)) && [d.first, d.second] == answers
            });
            prop_assert_eq!(told, answers[0] != answers[1], "{:?} {:?}", call, found);
        }
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
            calls: Sysno(*n as u32).into(),
            conditions: vec![],
            action: Action::Allow,
            provenance: vec![],
        };
        // It knows no classes: what is not listed is one thing, another architecture kills.
        let mut policy = native(
            numbers.iter().map(allow).collect(),
            Action::Trap(0),
            Action::Trap(0),
            Action::KillProcess,
        );
        // x32 numbers are trapped there and foreign here: the proof must find just that.
        match verify(theirs.clone(), &policy) {
            Err(NotEqual::Differ { call, .. }) => {
                prop_assert_eq!(call.arch, NATIVE);
                prop_assert!(call.number & 0x4000_0000 != 0);
            }
            other => prop_assert!(false, "{:?}", other.map(|_| "proved")),
        }
        policy.tables[0].x32_is_native = true;
        prop_assert!(verify(theirs, &policy).is_ok());
    }
}

proptest! {
    /// What a phase and the filter of its start permit together is what both permit, and no less.
    #[test]
    fn a_phase_takes_away_what_it_no_longer_needs(
        policy in policy(),
        kept in prop::collection::btree_set(number(), 0..8),
        calls in prop::collection::vec(call(), 32),
    ) {
        let phase = Phase {
            thread: "main".into(),
            phase: "loop".into(),
            begins: Vec::new(),
            file: None,
            calls: kept.into_iter().map(Sysno).collect(),
        };
        let map = ActionMap { traced: Vec::new(), ..ActionMap::seen() };
        let loaded = policy.clone().with_launch().with_phase_rule().mapped(&map);
        let narrowing = policy.narrowing(&phase, &loaded, 7).expect("it has a table");
        let filters = [compile(&loaded), compile(&narrowing.added)].map(|f| f.expect("fits"));
        let [first, second] = &filters;
        prop_assert_eq!(verify_together(&[first, second], &narrowing.together), Ok(()));
        for call in &calls {
            let [old, new] = [first, second].map(|f| Action::from_code(run(f, call)));
            let answer = narrowing.together.decide(call).action;
            prop_assert_eq!(old.with(new), answer);
            let [before, then] = [&policy, &narrowing.policy].map(|p| p.decide(call).action.permits());
            let permits = match answer {
                Action::Trace(7) => then,
                answer => answer.permits(),
            };
            // No call of these carries the secret of the launch.
            prop_assert_eq!(permits, before && then);
        }
    }
}

#[test]
fn filters_together_are_the_strictest_and_the_newest_of_equals() {
    let one = |action| {
        native(
            vec![Rule {
                calls: Sysno(1).into(),
                conditions: Vec::new(),
                action,
                provenance: Vec::new(),
            }],
            Action::Allow,
            Action::Allow,
            Action::Allow,
        )
    };
    let filter = |action| compile(&one(action)).expect("fits");
    for (older, newer, answer) in [
        (Action::Errno(1), Action::Errno(2), Action::Errno(2)),
        (Action::Errno(1), Action::Trace(2), Action::Errno(1)),
        (Action::Trace(0), Action::Trace(2), Action::Trace(2)),
        (Action::Allow, Action::KillThread, Action::KillThread),
        (Action::KillThread, Action::KillProcess, Action::KillProcess),
    ] {
        let both = [&filter(older), &filter(newer)];
        verify_together(&both, &one(answer)).expect("equal");
        let differ = verify_together(&both, &one(Action::Allow)).expect_err("stricter");
        assert!(matches!(differ, NotEqual::Differ { filter, .. } if filter == answer));
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
        assert!(program.instructions().len() < 2 * policy.tables[0].rules.len() + 40);
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
        Err(NotEqual::Unknown(Unknown::NotFollowed { at: 1 }))
    );
}

/// Nobody looks at the quotient, and everything hangs on whether there is one.
#[test]
fn a_division_by_zero_is_an_answer() {
    let filter = |x: (u16, u32)| {
        let rows = [x, (0x07, 0), (0x3c, 0), (0x06, 0x7fff_0000)];
        let rows = rows.map(|(code, k)| Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        });
        Program::new(rows.to_vec()).expect("a filter the kernel takes")
    };
    let policy = |action| native(vec![], action, action, action);
    // 0 is the answer that kills the thread.
    let (never, always) = (filter((0x00, 0)), filter((0x00, 2)));
    let (kills, allows) = (policy(Action::KillThread), policy(Action::Allow));
    verify(never.clone(), &kills).expect("equal");
    assert!(matches!(
        verify(never, &allows),
        Err(NotEqual::Differ { .. })
    ));
    verify(always, &allows).expect("equal");
    let some = verify(filter((0x20, 0)), &allows);
    assert_eq!(
        some.map(|_| ()),
        Err(NotEqual::Unknown(Unknown::NotFollowed { at: 2 }))
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
    let rule = |conditions, action| Rule {
        calls: Sysno(2).into(),
        conditions,
        action,
        provenance: vec![],
    };
    let policy = |value| {
        let masked = Condition {
            index: 0,
            width: Width::W32,
            op: Op::Masked { mask: 1, value },
        };
        let rules = vec![
            rule(vec![masked], Action::Allow),
            rule(vec![], Action::Errno(22)),
        ];
        native(
            rules,
            Action::KillProcess,
            Action::KillProcess,
            Action::KillProcess,
        )
    };
    verify(program.clone(), &policy(1)).expect("equal");
    assert!(matches!(
        verify(program, &policy(0)),
        Err(NotEqual::Differ { .. })
    ));
}

/// A filter with a rule on arguments, for what is shown of filters.
fn small() -> (Policy, Program) {
    let rule = |name, conditions, action| Rule {
        calls: Arch::X86_64.number(name).expect("a name").into(),
        conditions,
        action,
        provenance: vec![],
    };
    let domain = |op| {
        vec![Condition {
            index: 0,
            width: Width::W32,
            op,
        }]
    };
    let rules = vec![
        rule("read", vec![], Action::Allow),
        rule(
            "socket",
            domain(Op::In(vec![(1, 2), (10, 10)])),
            Action::Allow,
        ),
        rule("socket", vec![], Action::Errno(97)),
    ];
    let policy = native(
        rules,
        Action::KillProcess,
        Action::ENOSYS,
        Action::KillProcess,
    );
    let program = compile(&policy).expect("small");
    (policy, program)
}

#[test]
fn a_listing_names_what_is_asked() {
    let (_, program) = small();
    insta::assert_snapshot!(program.to_string(), @r#"
     0  ld arch
     1  if not arch == 0xc000003e (x86_64) goto 15
     2  ld nr
     3  if not nr & 0x40000000 goto 5
     4  if nr >= 0xffffffff goto 14 else 15
     5  if nr >= 0x1d7 goto 14
     6  if not nr >= 1 (write) goto 12
     7  if not nr == 41 (socket) goto 15
     8  ld arg0.lo
     9  if arg0.lo >= 0x3 goto 11
    10  if arg0.lo >= 0x1 goto 12 else 13
    11  if not arg0.lo == 0xa goto 13
    12  return allow
    13  return errno:97
    14  return errno:38
    15  return kill
    "#);
}

#[test]
fn a_call_with_open_arguments_has_each_answer_once() {
    let (policy, program) = small();
    let ask = |name, first| {
        let asked = Asked {
            arch: NATIVE,
            number: Arch::X86_64.number(name).expect("a name").0,
            args: [first, None, None, None, None, None],
        };
        outcomes(&program, &asked, 100).expect("followed").0
    };
    let open = ask("socket", None);
    assert!(open.iter().any(|o| o.action == Action::Allow));
    assert!(open.iter().any(|o| o.action == Action::Errno(97)));
    for outcome in open {
        assert_eq!(policy.decide(&outcome.call).action, outcome.action);
        let last = *outcome.path.last().expect("it returns");
        assert_eq!(program.instructions()[last].k, outcome.action.code());
    }
    let said = ask("socket", Some(10));
    assert_eq!(
        said.iter().map(|o| o.action).collect::<Vec<_>>(),
        [Action::Allow]
    );
    assert_eq!(ask("read", None).len(), 1);
}

#[test]
fn cost_is_the_longest_way() {
    let (policy, program) = small();
    let cost = Cost::of(&program);
    assert_eq!(cost.instructions, program.instructions().len());
    let number = Arch::X86_64.number("socket").expect("a name").0;
    let asked = Asked {
        arch: NATIVE,
        number,
        args: [None; 6],
    };
    let (ways, cut) = outcomes(&program, &asked, 100).expect("followed");
    assert!(!cut);
    let (few, cut) = outcomes(&program, &asked, 1).expect("followed");
    assert!(few.len() == 1 && cut);
    let longest = ways.iter().map(|o| o.path.len()).max().expect("some");
    assert_eq!(cost.longest, longest);
    assert!(is_cached(&program, NATIVE, 0));
    assert!(!is_cached(&program, NATIVE, number));
    assert!(!is_cached(&program, NATIVE, 1));
    assert!(uncached(&program, &policy).is_empty());
    // A load of an argument before the number is known ends the kernel's emulation.
    let mut rows = program.instructions().to_vec();
    let load = Instruction {
        code: 0x20,
        jt: 0,
        jf: 0,
        k: 16,
    };
    rows.insert(0, load);
    let slow = Program::new(rows).expect("valid");
    assert_eq!(uncached(&slow, &policy), [(NATIVE, 0)]);
}
