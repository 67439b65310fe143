//! Random policies.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{Action, Baseline, Condition, Op, Policy, Rule, Span, Table, Width};
use proptest::prelude::*;

/// Values near each other and near the ends of both halves, so that rules meet.
pub(crate) fn value() -> impl Strategy<Value = u64> {
    let half = prop_oneof![
        3 => 0u32..4,
        1 => (0u32..3).prop_map(|v| u32::MAX - v),
        1 => (0u32..3).prop_map(|v| (1 << 31) - 1 + v),
        1 => any::<u32>(),
    ];
    let upper = prop_oneof![3 => Just(0u32), 1 => Just(1u32), 1 => half.clone()];
    (upper, half).prop_map(|(high, low)| u64::from(high) << 32 | u64::from(low))
}

/// Masks as flags have them, and any.
pub(crate) fn mask() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => (0u32..64).prop_map(|n| 1u64 << n),
        2 => Just(0xffu64),
        1 => Just(u64::MAX),
        1 => Just(0u64),
        3 => value(),
        1 => any::<u64>(),
    ]
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::KillProcess),
        Just(Action::KillThread),
        Just(Action::Trap(0)),
        (0u16..4096).prop_map(Action::Errno),
        any::<u16>().prop_map(Action::Trace),
        Just(Action::Log),
        Just(Action::Allow),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let ranges = || prop::collection::vec((value(), value()), 0..4);
    let op = prop_oneof![
        value().prop_map(Op::Equal),
        value().prop_map(Op::NotEqual),
        value().prop_map(Op::Less),
        value().prop_map(Op::LessEqual),
        value().prop_map(Op::Greater),
        value().prop_map(Op::GreaterEqual),
        (mask(), value()).prop_map(|(mask, value)| Op::Masked { mask, value }),
        (mask(), value(), any::<bool>()).prop_map(|(mask, value, within)| Op::NotMasked {
            mask,
            value: if within { value & mask } else { value },
        }),
        (mask(), value()).prop_map(|(mask, value)| Op::Masked {
            mask,
            value: value & mask
        }),
        ranges().prop_map(Op::In),
        ranges().prop_map(Op::NotIn),
    ];
    let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
    let index = prop_oneof![9 => 0u8..3, 1 => 3u8..7];
    (index, width, op).prop_map(|(index, width, op)| Condition { index, width, op })
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        3 => 0u32..8,
        2 => 465u32..475,
        1 => 0x4000_0000u32..0x4000_0004,
        1 => 0x7fff_fffeu32..0x8000_0002,
        1 => Just(u32::MAX),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let more = prop_oneof![9 => Just(0u32), 1 => 0u32..8, 1 => Just(u32::MAX)];
    let conditions = prop::collection::vec(condition(), 0..4);
    (number(), more, conditions, action()).prop_map(|(number, more, conditions, action)| Rule {
        calls: Span {
            first: Sysno(number),
            last: Sysno(number.saturating_add(more)),
        },
        conditions,
        action,
        provenance: vec![],
    })
}

fn table() -> impl Strategy<Value = Table> {
    let baseline = prop_oneof![Just(Baseline::All), Just(Baseline::Number(Sysno(470)))];
    let arch = prop::sample::select(vec![
        Arch::X86_64,
        Arch::X86_64,
        Arch::X32,
        Arch::I386,
        Arch::Aarch64,
        Arch::Arm,
    ]);
    let rules = prop::collection::vec(rule(), 0..10);
    (arch, rules, baseline, action(), action(), any::<bool>()).prop_map(
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

/// Any policy of up to three tables.
pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    (prop::collection::vec(table(), 1..4), action()).prop_map(|(tables, foreign)| Policy {
        tables,
        foreign,
        phases: Vec::new(),
        ramp: None,
    })
}
