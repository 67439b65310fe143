//! What a policy answers, written down a second time from the definition in words (portcullis-policy(5))
//! and slowly: arguments as lists of bits, no step shared with `Policy::decide`, the compiler or the proof.

use portcullis_bpf::{compile, run, verify};
use portcullis_policy::{Action, Baseline, Call, Condition, Op, Policy, Table, Width};
use proptest::prelude::*;

use crate::{points, random};

/// The answer to a call.
pub(crate) fn answer(policy: &Policy, call: &Call) -> Action {
    let Some(table) = table(policy, call) else {
        return policy.foreign;
    };
    for rule in &table.rules {
        let named = rule.calls.first.0 <= call.number && call.number <= rule.calls.last.0;
        if named && rule.conditions.iter().all(|c| fits(c, call)) {
            return rule.action;
        }
    }
    match table.baseline {
        Baseline::Number(newest) if call.number > newest.0 => table.newer,
        _ => table.default,
    }
}

/// The table that is asked: the one of the call's architecture. Of the architecture that x86_64 and x32
/// share, a number with the thirtieth bit is x32's, but for the one with all bits.
fn table<'a>(policy: &'a Policy, call: &Call) -> Option<&'a Table> {
    let x32 = call.arch == 0xc000_003e
        && call.number.to_string() != "4294967295"
        && bits(call.number.into()).nth(30) == Some(true);
    let called = |name: &str| policy.tables.iter().find(|t| t.arch.to_string() == name);
    match (call.arch, x32) {
        (0xc000_003e, true) => called("x32").or_else(|| {
            policy
                .tables
                .iter()
                .find(|t| t.arch.to_string() == "x86_64" && t.x32_is_native)
        }),
        (0xc000_003e, false) => called("x86_64"),
        (0x4000_0003, _) => called("i386"),
        (0xc000_00b7, _) => called("aarch64"),
        (0x4000_0028, _) => called("arm"),
        _ => None,
    }
}

/// Whether a condition holds. Both sides are numbers without a sign; of the argument only as many bits
/// count as the condition says, of the constant all do.
fn fits(condition: &Condition, call: &Call) -> bool {
    let Some(register) = call.args.get(usize::from(condition.index)) else {
        return false;
    };
    let width = match condition.width {
        Width::W32 => 32,
        Width::W64 => 64,
    };
    let argument = number(bits(*register).take(width));
    let wide = |v: &u64| u128::from(*v);
    let pattern = |mask: &u64| {
        let chosen = bits(*register).take(width).zip(bits(*mask));
        number(chosen.map(|(bit, counts)| bit && counts))
    };
    let among = |ranges: &[(u64, u64)]| {
        ranges
            .iter()
            .any(|(low, high)| !(argument < wide(low) || argument > wide(high)))
    };
    match &condition.op {
        Op::Equal(v) => argument == wide(v),
        Op::NotEqual(v) => argument != wide(v),
        Op::Less(v) => argument < wide(v),
        Op::LessEqual(v) => argument < wide(v) + 1,
        Op::Greater(v) => argument > wide(v),
        Op::GreaterEqual(v) => argument + 1 > wide(v),
        Op::Masked { mask, value } => pattern(mask) == wide(value),
        Op::NotMasked { mask, value } => pattern(mask) != wide(value),
        Op::In(ranges) => among(ranges),
        Op::NotIn(ranges) => !among(ranges),
    }
}

/// The bits of a number, the lowest first.
fn bits(value: u64) -> impl Iterator<Item = bool> {
    (0..64).map(move |n| value / 2u64.pow(n) % 2 == 1)
}

fn number(bits: impl Iterator<Item = bool>) -> u128 {
    bits.enumerate()
        .filter(|(_, bit)| *bit)
        .map(|(n, _)| 2u128.pow(n as u32))
        .sum()
}

proptest! {
    #[test]
    fn the_definition_in_words_is_what_is_compiled(policy in random::policy()) {
        let program = compile(&policy).expect("small");
        for call in points::of(&policy) {
            let expected = answer(&policy, &call);
            prop_assert_eq!(policy.decide(&call).action, expected, "{:?}", call);
            prop_assert_eq!(Action::from_code(run(&program, &call)), expected, "{:?}", call);
        }
        prop_assert!(verify(program, &policy).is_ok());
    }
}
