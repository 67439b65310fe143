//! Policies, and what their filters consist of.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{Action, Baseline, Condition, Op, Policy, Rule, Span, Table, Width};

/// A policy and the shape of its filter.
pub(crate) struct Case {
    /// What it is about.
    pub(crate) name: &'static str,
    pub(crate) policy: Policy,
    /// Instructions, and how many of each kind.
    pub(crate) shape: &'static str,
}

/// A policy of x86_64 that kills what no rule allows, x32 and other architectures included.
pub(crate) fn policy(rules: Vec<Rule>) -> Policy {
    let table = Table {
        arch: Arch::X86_64,
        rules,
        baseline: Baseline::All,
        default: Action::KillProcess,
        newer: Action::KillProcess,
        x32_is_native: false,
    };
    Policy::of(table, Action::KillProcess)
}

/// A call is answered so.
pub(crate) fn answer(number: u32, action: Action) -> Rule {
    Rule {
        calls: Sysno(number).into(),
        conditions: vec![],
        action,
        provenance: vec![],
    }
}

/// A call is allowed.
pub(crate) fn allow(number: u32) -> Rule {
    answer(number, Action::Allow)
}

/// Calls are allowed.
pub(crate) fn span(first: u32, last: u32) -> Rule {
    Rule {
        calls: Span {
            first: Sysno(first),
            last: Sysno(last),
        },
        ..allow(first)
    }
}

/// The rule with conditions.
pub(crate) fn and(mut rule: Rule, conditions: Vec<Condition>) -> Rule {
    rule.conditions = conditions;
    rule
}

/// All 64 bits of an argument are this.
pub(crate) fn is(index: u8, value: u64) -> Condition {
    wide(index, Op::Equal(value))
}

/// All 64 bits of an argument are below this.
pub(crate) fn below(index: u8, value: u64) -> Condition {
    wide(index, Op::Less(value))
}

fn wide(index: u8, op: Op) -> Condition {
    let width = Width::W64;
    Condition { index, width, op }
}

fn low(index: u8, op: Op) -> Condition {
    let width = Width::W32;
    Condition { index, width, op }
}

fn one(conditions: Vec<Condition>) -> Policy {
    policy(vec![and(allow(1), conditions)])
}

/// The same, with x32 numbers like others, so that nothing but the case is in the filter.
fn bare(mut policy: Policy) -> Policy {
    policy.tables[0].x32_is_native = true;
    policy
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, policy, shape| Case {
        name,
        policy,
        shape,
    };
    let masked = |mask, value| Op::Masked { mask, value };
    let not_masked = |mask, value| Op::NotMasked { mask, value };
    let mut cases = vec![
        case(
            "no rule: the architecture does not matter",
            bare(policy(vec![])),
            "2: 1 ld, 1 ret",
        ),
        case(
            "one call",
            bare(policy(vec![allow(1)])),
            "6: 2 ld, 2 jeq, 2 ret",
        ),
        case(
            "a span of calls",
            bare(policy(vec![span(3, 9)])),
            "7: 2 ld, 1 jeq, 2 jge, 2 ret",
        ),
        case(
            "spans that touch are one",
            bare(policy(vec![span(3, 5), span(6, 9)])),
            "7: 2 ld, 1 jeq, 2 jge, 2 ret",
        ),
        case(
            "single numbers between others are exceptions",
            bare(policy(vec![
                answer(5, Action::KillProcess),
                answer(7, Action::KillProcess),
                span(3, 20),
            ])),
            "9: 2 ld, 3 jeq, 2 jge, 2 ret",
        ),
        case(
            "nine exceptions are too many for one part",
            bare(policy((1..10).map(|n| allow(10 * n)).collect())),
            "15: 2 ld, 9 jeq, 2 jge, 2 ret",
        ),
        case(
            "x32 numbers are cut off by bounds where that is shorter",
            policy(vec![allow(1)]),
            "6: 2 ld, 2 jeq, 2 ret",
        ),
        case(
            "what x32 has in common with the numbers without its bit is asked once",
            {
                let mut policy = policy((0..6).map(|n| span(40 * n, 40 * n + 20)).collect());
                let mut x32 = policy.tables[0].clone();
                x32.arch = Arch::X32;
                for rule in &mut x32.rules {
                    rule.calls.first.0 |= 0x4000_0000;
                    rule.calls.last.0 |= 0x4000_0000;
                }
                policy.tables.push(x32);
                policy
            },
            "18: 2 ld, 1 and, 1 jeq, 11 jge, 1 jset, 2 ret",
        ),
        case(
            "and by their bit where the bounds would be more",
            {
                let mut policy = policy(vec![span(0, 300), span(0x8000_0000, 0x8000_0100)]);
                policy.tables[0].default = Action::Errno(1);
                policy
            },
            "11: 2 ld, 1 jeq, 4 jge, 1 jset, 3 ret",
        ),
        case(
            "x32 shares what is alike, with its bit cleared",
            {
                let mut policy = policy((1..20).map(|n| span(4 * n, 4 * n + n % 3)).collect());
                let mut other = policy.tables[0].clone();
                other.arch = Arch::X32;
                for rule in &mut other.rules {
                    for end in [&mut rule.calls.first, &mut rule.calls.last] {
                        end.0 |= Arch::X32_BIT;
                    }
                }
                other.rules.push(allow(Arch::X32_BIT | 520));
                policy.tables.push(other);
                policy
            },
            "40: 2 ld, 1 and, 8 jeq, 26 jge, 1 jset, 2 ret",
        ),
        case(
            "64 bits are two words",
            bare(one(vec![is(0, 0x1_0000_0002)])),
            "10: 4 ld, 4 jeq, 2 ret",
        ),
        case(
            "32 bits are one",
            bare(one(vec![low(0, Op::Equal(2))])),
            "8: 3 ld, 3 jeq, 2 ret",
        ),
        case(
            "a range below one upper half",
            bare(one(vec![below(0, 7)])),
            "10: 4 ld, 2 jeq, 2 jge, 2 ret",
        ),
        case(
            "a range within one upper half",
            bare(one(vec![wide(
                0,
                Op::In(vec![(0x5_0000_0001, 0x5_0000_0009)]),
            )])),
            "11: 4 ld, 3 jeq, 2 jge, 2 ret",
        ),
        case(
            "a range over several upper halves",
            bare(one(vec![wide(
                0,
                Op::In(vec![(0x5_0000_0001, 0x9_0000_0009)]),
            )])),
            "15: 5 ld, 2 jeq, 6 jge, 2 ret",
        ),
        case(
            "a range of whole upper halves asks no lower one",
            bare(one(vec![wide(
                0,
                Op::In(vec![(0x5_0000_0000, 0x9_ffff_ffff)]),
            )])),
            "9: 3 ld, 2 jeq, 2 jge, 2 ret",
        ),
        case(
            "none of some bits is one instruction",
            bare(one(vec![low(0, masked(6, 0))])),
            "8: 3 ld, 2 jeq, 1 jset, 2 ret",
        ),
        case(
            "any of some bits as well",
            bare(one(vec![low(0, not_masked(6, 0))])),
            "8: 3 ld, 2 jeq, 1 jset, 2 ret",
        ),
        case(
            "all of one bit is the same as any",
            bare(one(vec![low(0, masked(4, 4))])),
            "8: 3 ld, 2 jeq, 1 jset, 2 ret",
        ),
        case(
            "a pattern of bits is masked",
            bare(one(vec![low(0, masked(6, 2))])),
            "9: 3 ld, 1 and, 3 jeq, 2 ret",
        ),
        case(
            "a bit leaves the word for what is asked next",
            bare(one(vec![low(0, masked(6, 0)), low(0, Op::NotEqual(8))])),
            "9: 3 ld, 3 jeq, 1 jset, 2 ret",
        ),
        case(
            "a masked word is loaded again for the whole",
            bare(one(vec![low(0, masked(6, 2)), low(0, Op::NotEqual(8))])),
            "11: 4 ld, 1 and, 4 jeq, 2 ret",
        ),
        case(
            "a pattern over both halves",
            bare(one(vec![wide(0, masked(1 << 40 | 6, 1 << 40 | 2))])),
            "11: 4 ld, 1 and, 3 jeq, 1 jset, 2 ret",
        ),
        case(
            "anything but a pattern over both halves",
            bare(one(vec![wide(0, not_masked(1 << 40 | 6, 1 << 40 | 2))])),
            "11: 4 ld, 1 and, 3 jeq, 1 jset, 2 ret",
        ),
        case(
            "anything but a pattern of one half",
            bare(one(vec![wide(0, not_masked(6, 2))])),
            "9: 3 ld, 1 and, 3 jeq, 2 ret",
        ),
        case(
            "anything but one number",
            bare(one(vec![wide(0, Op::NotEqual(5))])),
            "10: 4 ld, 3 jeq, 1 jge, 2 ret",
        ),
        case(
            "rules share what they ask",
            bare(policy(vec![
                and(allow(1), vec![is(0, 5)]),
                and(allow(9), vec![is(0, 5)]),
            ])),
            "11: 4 ld, 4 jeq, 1 jge, 2 ret",
        ),
        case(
            "rules share their last question",
            bare(policy(vec![
                and(allow(1), vec![is(0, 5), is(1, 6)]),
                and(allow(9), vec![is(0, 7), is(1, 6)]),
            ])),
            "19: 8 ld, 6 jeq, 3 jge, 2 ret",
        ),
        case(
            "a set is one tree",
            bare(one(vec![low(
                0,
                Op::In((0..9).map(|n| (3 * n, 3 * n)).collect()),
            )])),
            "16: 3 ld, 10 jeq, 1 jge, 2 ret",
        ),
        case(
            "behind a rule that fits nothing follows, and what the default says is not asked",
            bare(policy(vec![
                and(allow(1), vec![is(0, 5)]),
                and(answer(1, Action::KillProcess), vec![is(0, 6)]),
                answer(1, Action::KillProcess),
                and(allow(1), vec![is(0, 7)]),
            ])),
            "10: 4 ld, 3 jeq, 1 jge, 2 ret",
        ),
        case(
            "a newer number is another answer",
            {
                let mut policy = policy(vec![allow(1)]);
                policy.tables[0].baseline = Baseline::Number(Sysno(450));
                policy.tables[0].newer = Action::ENOSYS;
                policy
            },
            "10: 2 ld, 2 jeq, 2 jge, 1 jset, 3 ret",
        ),
        case(
            "an architecture of one answer loads no number",
            {
                let mut policy = bare(policy(vec![]));
                policy.foreign = Action::Trap(0);
                policy
            },
            "4: 1 ld, 1 jeq, 2 ret",
        ),
        case(
            "two architectures with the same numbers have one tree",
            {
                let mut policy = bare(policy(vec![span(3, 9)]));
                let mut other = policy.tables[0].clone();
                other.arch = Arch::Aarch64;
                policy.tables.push(other);
                policy
            },
            "10: 3 ld, 2 jeq, 2 jge, 1 ja, 2 ret",
        ),
    ];
    // What can never hold leaves no trace, and neither does what always holds.
    let never = [
        low(0, Op::Equal(1 << 32)),
        wide(0, Op::Less(0)),
        wide(0, Op::Greater(u64::MAX)),
        wide(0, Op::In(vec![])),
        wide(0, masked(6, 1)),
        wide(0, not_masked(0, 0)),
        is(6, 0),
    ];
    for condition in never {
        let policy = bare(one(vec![is(1, 5), condition]));
        cases.push(case("what never holds", policy, "2: 1 ld, 1 ret"));
    }
    let always = [
        low(0, Op::LessEqual(u64::from(u32::MAX))),
        wide(0, Op::GreaterEqual(0)),
        wide(0, Op::NotIn(vec![])),
        wide(0, masked(0, 0)),
        wide(0, not_masked(6, 1)),
    ];
    for condition in always {
        cases.push(case(
            "what always holds",
            bare(one(vec![condition])),
            "6: 2 ld, 2 jeq, 2 ret",
        ));
    }
    cases
}
