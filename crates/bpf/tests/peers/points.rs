//! Calls on which compilers go wrong if they do: at every constant of a policy, beside it, and with other
//! upper halves.

use portcullis_policy::{Call, Condition, Op, Policy, Rule};

/// Calls per policy; what is beyond is thinned out evenly.
const MOST: usize = 20_000;

/// Calls at and around everything that the policy tells apart.
pub(crate) fn of(policy: &Policy) -> Vec<Call> {
    let mut arches = policy.audit_arches();
    arches.extend([0, 0xc000_003e, 0x4000_0003]);
    let mut calls = Vec::new();
    for arch in arches {
        let own = policy.tables.iter().filter(|t| t.arch.audit_arch() == arch);
        let rules: Vec<&Rule> = own.flat_map(|t| &t.rules).collect();
        for number in numbers(&rules) {
            let rules = rules.iter().filter(|r| r.calls.contains(number));
            let conditions: Vec<&[Condition]> = rules.map(|r| &*r.conditions).collect();
            for args in arguments(&conditions) {
                calls.push(Call {
                    arch,
                    number,
                    ip: args[0] ^ 0x1234_5678_9abc,
                    args,
                });
            }
        }
    }
    let step = calls.len() / MOST + 1;
    calls.into_iter().step_by(step).collect()
}

fn numbers(rules: &[&Rule]) -> Vec<u32> {
    let mut all = vec![
        0,
        470,
        471,
        0x3fff_ffff,
        0x4000_0000,
        0x7fff_ffff,
        0x8000_0000,
    ];
    all.extend([0xbfff_ffff, 0xc000_0000, 0xffff_fffe, 0xffff_ffff]);
    for rule in rules {
        let (first, last) = (rule.calls.first.0, rule.calls.last.0);
        all.extend([first.wrapping_sub(1), first, last, last.wrapping_add(1)]);
        // The same number as the other of x86_64 and x32 has it, and as a careless reader would.
        all.extend([first ^ 0x4000_0000, first ^ 0x8000_0000]);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Arguments that fulfil each rule, as far as its constants do, and from there each argument in turn at
/// each of its points.
fn arguments(rules: &[&[Condition]]) -> Vec<[u64; 6]> {
    let points: [Vec<u64>; 6] = std::array::from_fn(|n| values(rules, n));
    let mut all = vec![[0; 6], [u64::MAX; 6]];
    for conditions in rules {
        let fulfilling = |n: usize| {
            let own = || conditions.iter().filter(|c| usize::from(c.index) == n);
            let holds = |v: &&u64| own().all(|c| c.holds(&[**v; 6]));
            points[n].iter().find(holds).copied().unwrap_or_default()
        };
        let base: [u64; 6] = std::array::from_fn(fulfilling);
        for (n, values) in points.iter().enumerate() {
            all.extend(values.iter().map(|v| {
                let mut args = base;
                args[n] = *v;
                args
            }));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn values(rules: &[&[Condition]], index: usize) -> Vec<u64> {
    let own = rules
        .iter()
        .copied()
        .flatten()
        .filter(|c| usize::from(c.index) == index);
    let mut all: Vec<u64> = vec![0, u64::MAX];
    for constant in own.flat_map(constants) {
        for near in [constant, constant.wrapping_add(1), constant.wrapping_sub(1)] {
            all.extend([near, near.wrapping_add(1 << 32), near.wrapping_sub(1 << 32)]);
            all.extend([near & 0xffff_ffff, near << 32]);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn constants(condition: &Condition) -> Vec<u64> {
    match &condition.op {
        Op::Equal(v)
        | Op::NotEqual(v)
        | Op::Less(v)
        | Op::LessEqual(v)
        | Op::Greater(v)
        | Op::GreaterEqual(v) => vec![*v],
        Op::Masked { mask, value } | Op::NotMasked { mask, value } => {
            let bits = (0..64).map(|n| 1 << n).filter(|bit| mask & bit != 0);
            let ends = [
                Some(63 - mask.leading_zeros().min(63)),
                mask.checked_ilog2(),
            ];
            let some = bits
                .take(2)
                .chain(ends.into_iter().flatten().map(|n| 1 << n));
            let changed = some.map(|bit| value ^ bit);
            changed
                .chain([*value, value | !mask, value & mask, *mask])
                .collect()
        }
        Op::In(ranges) | Op::NotIn(ranges) => ranges
            .iter()
            .flat_map(|(low, high)| [*low, *high])
            .collect(),
    }
}
