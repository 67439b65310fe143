//! The shape of compiled filters: one case for each thing that the compiler does to make them small.
//!
//! A case is a policy and what its filter consists of. A change of the compiler that makes a filter
//! longer, or does another thing than the case is about, is seen here; that filters mean what they should
//! is proved for each case too. `cargo xtask coverage` says whether a branch of the compiler is left that
//! no test takes.

mod cases;

use std::collections::BTreeMap;

use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{Cost, NoFilter, Program, compile, compile_for, path, uncached, verify};
use portcullis_policy::{Action, Baseline, Call, Policy};

use cases::{Case, allow, and, cases, is, policy, span};

#[test]
fn filters_have_the_shape_that_each_case_says() {
    let mut wrong = Vec::new();
    for Case {
        name,
        policy,
        shape,
    } in cases()
    {
        let program = compile(&policy).unwrap_or_else(|e| panic!("{name}: {e}"));
        let found = shape_of(&program);
        if found != shape {
            wrong.push(format!("{name}: {found}\n  expected: {shape}\n{program}"));
        }
        assert!(uncached(&program, &policy).is_empty(), "{name}");
        verify(program, &policy).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How many instructions there are, and how many of each kind, loads first and returns last.
fn shape_of(program: &Program) -> String {
    let kinds = [
        (0x20, "ld"),
        (0x54, "and"),
        (0x15, "jeq"),
        (0x35, "jge"),
        (0x45, "jset"),
        (0x05, "ja"),
        (0x06, "ret"),
    ];
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for instruction in program.instructions() {
        *counts.entry(instruction.code).or_default() += 1;
    }
    let of = |(code, name)| counts.get(&code).map(|n| format!("{n} {name}"));
    let parts: Vec<String> = kinds.into_iter().filter_map(of).collect();
    assert_eq!(
        parts.len(),
        counts.len(),
        "an operation that no case knows: {program}"
    );
    format!("{}: {}", program.instructions().len(), parts.join(", "))
}

/// Every second number below 2 * `most` is allowed if its first argument is the number.
fn many(most: u32) -> Policy {
    let rule = |n: u32| and(allow(2 * n), vec![is(0, u64::from(2 * n))]);
    policy((0..most).map(rule).collect())
}

#[test]
fn far_jumps_reach_by_way_of_others_and_answers_are_repeated() {
    let policy = many(400);
    let program = compile(&policy).expect("fits");
    let count = |code: u16| {
        let all = program.instructions().iter();
        all.filter(|i| i.code == code).count()
    };
    let (hops, returns) = (count(0x05), count(0x06));
    assert!(hops > 0, "no jump is far");
    // Two answers, and copies of them where the first is out of reach.
    assert!(returns > 2, "no answer is far");
    for number in 0..900 {
        for arg in [0, u64::from(number), u64::from(number) | 1 << 32] {
            let call = Call {
                arch: Arch::X86_64.audit_arch(),
                number,
                ip: 0,
                args: [arg, 0, 0, 0, 0, 0],
            };
            let answer = Action::from_code(portcullis_bpf::run(&program, &call));
            assert_eq!(answer, policy.decide(&call).action, "{call:?}");
        }
    }
    verify(program, &policy).expect("equal");
}

#[test]
fn a_hot_call_takes_fewer_instructions_and_nothing_else_changes() {
    // Numbers that no two neighbours answer alike, so that each is a leaf of the tree.
    let answer = |n: u32| cases::answer(n, Action::Errno(n as u16));
    let mut policy = policy((0..256).map(answer).collect());
    // x32 numbers are asked by their bit then, and their tree has no part for a hot call.
    policy.tables[0].baseline = Baseline::Number(Sysno(450));
    policy.tables[0].newer = Action::ENOSYS;
    let steps = |program: &Program, number: u32| {
        let call = Call {
            arch: Arch::X86_64.audit_arch(),
            number,
            ip: 0,
            args: [0; 6],
        };
        path(program, &call).len()
    };
    let plain = compile(&policy).expect("fits");
    for hot in [0, 100, 255] {
        let hinted = compile_for(&policy, &[hot]).expect("fits");
        assert!(steps(&hinted, hot) < steps(&plain, hot), "{hot}");
        assert_eq!(
            hinted.instructions().len(),
            plain.instructions().len(),
            "order costs nothing"
        );
        verify(hinted, &policy).expect("equal");
    }
    // A hint about a number that no call has changes nothing either.
    let beyond = compile_for(&policy, &[u32::MAX, 1 << 30]).expect("fits");
    verify(beyond, &policy).expect("equal");
}

#[test]
fn what_does_not_fit_is_refused_with_a_reason() {
    // 2000 calls with a condition each: two comparisons of halves, one of the number.
    let refused = compile(&many(2000)).expect_err("too long");
    assert!(matches!(refused, NoFilter::Refused(_)), "{refused:?}");
    // Each argument cuts the rules in another order, so that hardly two cases have the same rules left.
    let orders = [1, 5, 7, 11, 13, 17];
    let rules = (1..23u64).map(|at| {
        let bound = |(n, order)| cases::below(n as u8, 1000 * (at * order % 23));
        let conditions = orders.into_iter().enumerate().map(bound).collect();
        and(cases::answer(3, Action::Errno(at as u16)), conditions)
    });
    let many_cases = policy(rules.collect());
    // More values than a filter can tell apart are not all tried first.
    let values = (0..8000u64).map(|v| and(cases::answer(3, Action::Allow), vec![is(0, 2 * v)]));
    for policy in [many_cases, policy(values.collect())] {
        let refused = compile(&policy).expect_err("too many cases");
        let of_call = matches!(refused, NoFilter::Cases { number: 3, .. });
        assert!(of_call, "{refused:?}");
    }
}

#[test]
fn a_long_list_of_values_is_proved() {
    use portcullis_policy::{Condition, Op, Width};
    for width in [Width::W32, Width::W64] {
        let list = (0..200).map(|v| (3 * v, 3 * v)).collect();
        let condition = Condition {
            index: 0,
            width,
            op: Op::In(list),
        };
        let policy = policy(vec![and(allow(3), vec![condition])]);
        verify(compile(&policy).expect("fits"), &policy).expect("equal");
    }
}

#[test]
fn three_architectures_share_what_is_alike() {
    let table = |arch: Arch| {
        let mut own = policy((0..100).map(|n| span(4 * n, 4 * n + 1)).collect());
        let mut table = own.tables.remove(0);
        table.arch = arch;
        if arch == Arch::X32 {
            for rule in &mut table.rules {
                for end in [&mut rule.calls.first, &mut rule.calls.last] {
                    *end = Sysno(end.0 | Arch::X32_BIT);
                }
            }
        }
        table
    };
    let of = |arches: &[Arch]| {
        let policy = Policy {
            tables: arches.iter().map(|a| table(*a)).collect(),
            foreign: Action::KillProcess,
            phases: Vec::new(),
            ramp: None,
        };
        let program = compile(&policy).expect("fits");
        let cost = Cost::of(&program);
        verify(program, &policy).expect("equal");
        cost.instructions
    };
    let alone = of(&[Arch::X86_64]);
    let three = of(&[Arch::X86_64, Arch::X32, Arch::I386]);
    // i386 has the tree of x86_64 but for the numbers of x32, which are foreign to one of the two.
    assert!(three < 3 * alone, "{three} for three, {alone} for one");
}
