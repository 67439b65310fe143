//! Calls at which policies may differ: every constant of theirs, and what is beside it.

use std::collections::BTreeSet;

use portcullis_abi::Arch;
use portcullis_policy::{Call, Op, Policy};

pub(crate) const ARCHES: [Arch; 5] = [
    Arch::X86_64,
    Arch::X32,
    Arch::I386,
    Arch::Aarch64,
    Arch::Arm,
];

/// The calls; `picks` chooses among combinations of arguments.
pub(crate) fn of(policy: &Policy, picks: &[u64]) -> Vec<Call> {
    let mut numbers = BTreeSet::from([
        0,
        1,
        500,
        0x4000_0000,
        0x4000_0001,
        0x7fff_ffff,
        0x8000_0000,
        0xbfff_ffff,
        0xc000_0000,
        u32::MAX,
    ]);
    let mut values = BTreeSet::from([0, 1, u64::MAX]);
    for rule in policy.tables.iter().flat_map(|t| &t.rules) {
        numbers.extend([rule.calls.first.0, rule.calls.last.0]);
        for condition in &rule.conditions {
            let constants = match &condition.op {
                Op::Equal(v) | Op::NotEqual(v) | Op::Less(v) => vec![*v],
                Op::LessEqual(v) | Op::Greater(v) | Op::GreaterEqual(v) => vec![*v],
                Op::Masked { mask, value } | Op::NotMasked { mask, value } => {
                    vec![*mask, *value, value | !mask]
                }
                Op::In(all) | Op::NotIn(all) => all.iter().flat_map(|(l, h)| [*l, *h]).collect(),
            };
            for v in constants {
                let beside = [v, v.wrapping_add(1), v.wrapping_sub(1)];
                values.extend(beside);
                values.extend(beside.map(|v| v ^ 1 << 32));
            }
        }
    }
    let values: Vec<u64> = values.into_iter().collect();
    let mut calls = Vec::new();
    for arch in ARCHES {
        for number in &numbers {
            for pick in picks {
                let arg = |n: u32| {
                    let at = pick.rotate_left(n * 11) as usize % values.len();
                    values[at]
                };
                calls.push(Call {
                    arch: arch.audit_arch(),
                    number: *number,
                    ip: 0,
                    args: [0, 1, 2, 3, 4, 5].map(arg),
                });
            }
        }
    }
    calls
}
