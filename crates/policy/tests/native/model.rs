//! Policies of every kind that the model has.

use portcullis_abi::{Arch, KernelVersion, Sysno};
use portcullis_policy::{
    Action, Baseline, Call, Condition, Op, Phase, Policy, Provenance, Ramp, Rule, Span, Table,
    Width,
};
use proptest::prelude::*;

pub(crate) fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::KillProcess),
        Just(Action::KillThread),
        Just(Action::Trap(0)),
        (0u16..4096).prop_map(Action::Errno),
        Just(Action::Notify),
        any::<u16>().prop_map(Action::Trace),
        Just(Action::Log),
        Just(Action::Allow),
    ]
}

/// Values that meet each other, and values from everywhere.
fn value() -> impl Strategy<Value = u64> {
    let edges = vec![0xffff_fffe, 0xffff_ffff, 1 << 32, (1 << 32) + 1, u64::MAX];
    prop_oneof![0u64..6, prop::sample::select(edges), any::<u64>()]
}

fn condition() -> BoxedStrategy<Condition> {
    let ranges = || prop::collection::vec((value(), value()), 0..4);
    let op = prop_oneof![
        value().prop_map(Op::Equal),
        value().prop_map(Op::NotEqual),
        value().prop_map(Op::Less),
        value().prop_map(Op::LessEqual),
        value().prop_map(Op::Greater),
        value().prop_map(Op::GreaterEqual),
        (value(), value()).prop_map(|(mask, value)| Op::Masked { mask, value }),
        (value(), value()).prop_map(|(mask, value)| Op::NotMasked { mask, value }),
        ranges().prop_map(Op::In),
        ranges().prop_map(Op::NotIn),
    ];
    let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
    (0u8..7, width, op)
        .prop_map(|(index, width, op)| Condition { index, width, op })
        .boxed()
}

fn provenance() -> impl Strategy<Value = Provenance> {
    let function = prop::option::of("[ -~\n]{0,12}");
    prop_oneof![
        ("[ -~é\\\\\n]{0,12}", any::<u64>(), function).prop_map(|(object, address, function)| {
            Provenance::Site {
                object,
                address,
                function,
            }
        }),
        Just(Provenance::Launch),
        ".{0,12}".prop_map(Provenance::Trace),
        ".{0,12}".prop_map(Provenance::Assumption),
        ".{0,12}".prop_map(Provenance::Note),
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    let calls = prop::collection::btree_set(0u32..600, 0..6);
    let begins = prop::collection::btree_set(0..i64::MAX as u64, 0..3);
    let file = prop::option::of(any::<[u8; 32]>());
    let names = (".{0,8}", ".{0,8}");
    (names, begins, file, calls).prop_map(|((thread, phase), begins, file, calls)| Phase {
        thread,
        phase,
        begins: begins.into_iter().collect(),
        file,
        calls: calls.into_iter().map(Sysno).collect(),
    })
}

/// Few calls, so that rules meet; `clone` and `clone3` of both architectures among them.
fn calls() -> impl Strategy<Value = Span> {
    let single = prop::sample::select(vec![0u32, 1, 2, 16, 56, 63, 220, 257, 435, 599]);
    let edge = prop::sample::select(vec![0u32, 0x3fff_fff0, 0x4000_0000, u32::MAX - 9]);
    prop_oneof![
        4 => single.prop_map(|n| Sysno(n).into()),
        1 => (edge, 0u32..12).prop_map(|(first, more)| Span {
            first: Sysno(first),
            last: Sysno(first.saturating_add(more)),
        }),
    ]
}

fn rule() -> BoxedStrategy<Rule> {
    (
        calls(),
        prop::collection::vec(condition(), 0..4),
        action(),
        prop::collection::vec(provenance(), 0..3),
    )
        .prop_map(|(calls, conditions, action, provenance)| Rule {
            calls,
            conditions,
            action,
            provenance,
        })
        .boxed()
}

fn baseline() -> impl Strategy<Value = Baseline> {
    prop_oneof![
        Just(Baseline::All),
        any::<u32>().prop_map(|n| Baseline::Number(Sysno(n))),
        (2u16..7, 0u16..20).prop_map(|(a, b)| Baseline::Kernel(KernelVersion::new(a, b))),
    ]
}

fn table(arch: Arch) -> BoxedStrategy<Table> {
    (
        prop::collection::vec(rule(), 0..8),
        baseline(),
        action(),
        action(),
        any::<bool>(),
    )
        .prop_map(
            move |(rules, baseline, default, newer, x32_is_native)| Table {
                arch,
                rules,
                baseline,
                default,
                newer,
                x32_is_native,
            },
        )
        .boxed()
}

fn tables() -> BoxedStrategy<Vec<Table>> {
    let both = (table(Arch::X86_64), table(Arch::Aarch64), any::<bool>());
    prop_oneof![
        Just(Vec::new()),
        table(Arch::X86_64).prop_map(|t| vec![t]),
        table(Arch::I386).prop_map(|t| vec![t]),
        // The same rules on both, mostly.
        both.prop_map(|(a, mut b, same)| {
            if same {
                b.rules = a.rules.clone();
            }
            vec![a, b]
        }),
        (table(Arch::X86_64), table(Arch::X32)).prop_map(|(a, b)| vec![b, a]),
    ]
    .boxed()
}

pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    let phases = prop::collection::vec(phase(), 0..3);
    let since = (0u16..10_000, 1u8..13, 1u8..29);
    let since = since.prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}").parse().unwrap());
    let ramp =
        prop::option::of((any::<u32>(), since).prop_map(|(runs, since)| Ramp { runs, since }));
    // Boxed parts: what is generated by value is larger than the stack of a test.
    (tables(), action(), phases, ramp).prop_map(|(tables, foreign, phases, ramp)| Policy {
        tables,
        foreign,
        phases,
        ramp,
    })
}

/// A call whose number and arguments meet what rules name.
pub(crate) fn call() -> impl Strategy<Value = Call> {
    let arches = Arch::ALL.map(Arch::audit_arch).to_vec();
    let number = prop_oneof![
        calls().prop_map(|s| s.first.0),
        calls().prop_map(|s| s.last.0),
        any::<u32>()
    ];
    let arch = prop::sample::select(arches);
    (arch, number, prop::array::uniform6(value())).prop_map(|(arch, number, args)| Call {
        arch,
        number,
        ip: 0,
        args,
    })
}
