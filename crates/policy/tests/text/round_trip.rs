//! What is written is read back with the same meaning, and what a form cannot say is refused.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{
    Action, Baseline, Condition, Op, Policy, Rule, Table, Width,
    format::{minijail, systemd},
};
use proptest::prelude::*;

use crate::cases::{same, target};

fn rule(number: u32, conditions: Vec<Condition>, action: Action) -> Rule {
    Rule {
        calls: Sysno(number).into(),
        conditions,
        action,
        provenance: Vec::new(),
    }
}

fn policy(default: Action, foreign: Action, rules: Vec<Rule>) -> Policy {
    let table = Table {
        arch: Arch::X86_64,
        rules,
        baseline: Baseline::All,
        default,
        newer: default,
        x32_is_native: true,
    };
    Policy::of(table, foreign)
}

const VALUES: [u64; 8] = [0, 1, 2, 5, 0xff, 0xffff_ffff, 0x1_0000_0005, u64::MAX];

fn condition() -> impl Strategy<Value = Condition> {
    let value = prop::sample::select(VALUES.to_vec());
    let pair = (value.clone(), value.clone());
    let range = pair.clone().prop_map(|(a, b)| (a.min(b), a.max(b)));
    let ranges = prop::collection::vec(range, 1..3);
    let op = prop_oneof![
        value.clone().prop_map(Op::Equal),
        value.clone().prop_map(Op::NotEqual),
        value.clone().prop_map(Op::Less),
        value.clone().prop_map(Op::LessEqual),
        value.clone().prop_map(Op::Greater),
        value.prop_map(Op::GreaterEqual),
        pair.clone().prop_map(|(mask, value)| Op::Masked {
            mask: mask & 0xff,
            value
        }),
        pair.prop_map(|(mask, value)| Op::NotMasked {
            mask: mask & 0xff,
            value
        }),
        ranges.clone().prop_map(Op::In),
        ranges.prop_map(Op::NotIn),
    ];
    (0u8..2, op).prop_map(|(index, op)| Condition {
        index,
        width: Width::W64,
        op,
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![
        Action::Allow,
        Action::Errno(1),
        Action::KillProcess,
        Action::Log,
        Action::Trap(0),
        Action::Notify,
        Action::Trace(0),
    ])
}

proptest! {
    #[test]
    fn minijail_reads_what_it_writes(
        rules in prop::collection::vec(
            (0u32..4, prop::collection::vec(condition(), 0..3), action()), 0..8),
        default in prop::sample::select(vec![
            Action::KillProcess, Action::KillThread, Action::Trap(0), Action::Notify]),
    ) {
        let rules = rules.into_iter().map(|(number, conditions, action)| {
            rule(number, conditions, action)
        });
        let policy = policy(default, Action::KillThread, rules.collect());
        let text = minijail::write(&policy);
        prop_assert!(text.is_ok(), "{:?}", text);
        let text = text.unwrap_or_default();
        let none = |_: &str| Err("nothing is included".to_owned());
        let again = minijail::read(&text, &target(&[Arch::X86_64]), &none);
        prop_assert!(again.is_ok(), "{:?}\n{}", again, text);
        if let Ok(again) = again {
            let again = &again.filters[0].policy;
            prop_assert_eq!(same(&policy, again, &VALUES), Ok(()), "{}", text);
            prop_assert_eq!(minijail::write(again), Ok(text));
        }
    }

}

proptest! {
    // Each comparison is of all numbers of all architectures.
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Everything that a unit says is written again as it was.
    #[test]
    fn a_unit_is_written_as_it_was_read(
        names in prop::collection::vec(
            prop::sample::select(vec![
                "read", "write", "socket", "execve", "mount:EPERM", "ptrace:kill", "openat", "kill",
                "shmget:5", "ipc", "socketcall"]),
            1..6,
        ),
        denies in prop::bool::ANY,
        errno in prop::sample::select(vec!["", "SystemCallErrorNumber=EPERM\n"]),
        arches in prop::sample::select(vec![
            "", "SystemCallArchitectures=native\n", "SystemCallArchitectures=x86 x32\n"]),
        log in prop::sample::select(vec!["", "SystemCallLog=write\n", "SystemCallLog=~write\n"]),
    ) {
        let sign = if denies { "~" } else { "" };
        let list = names.join(" ");
        let text = format!("[Service]\nSystemCallFilter={sign}{list}\n{errno}{arches}{log}");
        let target = target(&[Arch::X86_64]);
        let source = systemd::read(&text, &target);
        prop_assert!(source.is_ok(), "{:?}", source);
        if let Ok(source) = source {
            let policy = &source.filters[0].policy;
            // Names of i386 alone have no place in what is written for x86_64.
            let foreign_names = ["ipc", "socketcall"].iter().any(|n| names.contains(n));
            match systemd::write(policy, Arch::X86_64) {
                Ok(written) => {
                    let again = systemd::read(&written, &target);
                    prop_assert!(again.is_ok(), "{:?}", again);
                    if let Ok(again) = again {
                        let again = &again.filters[0].policy;
                        prop_assert_eq!(same(policy, again, &[0, 1, 23]), Ok(()), "{}", written);
                    }
                }
                Err(refused) => prop_assert!(foreign_names, "{}: {:?}", text, refused),
            }
        }
    }
}

#[test]
fn minijail_compares_half_a_register_bit_by_bit() {
    let narrow = |op| Condition {
        index: 0,
        width: Width::W32,
        op,
    };
    let masked = |mask, value| Op::Masked { mask, value };
    for op in [
        Op::Equal(5),
        Op::NotEqual(5),
        Op::Equal(1 << 40),
        masked(0xf, 5),
        masked(0xf, 0x15),
        Op::NotMasked {
            mask: 0xf0,
            value: 0x50,
        },
    ] {
        let policy = policy(
            Action::Trap(0),
            Action::KillThread,
            vec![rule(1, vec![narrow(op.clone())], Action::Allow)],
        );
        let text = minijail::write(&policy).expect("bits can be said");
        let none = |_: &str| Err(String::new());
        let again = minijail::read(&text, &target(&[Arch::X86_64]), &none).expect("it is read");
        let values = [0, 4, 5, 6, 0x15, 0x50, 0x55, u64::MAX];
        assert_eq!(
            same(&policy, &again.filters[0].policy, &values),
            Ok(()),
            "{text}"
        );
    }
    let less = narrow(Op::Less(5));
    let policy = policy(
        Action::Trap(0),
        Action::KillThread,
        vec![
            rule(0, vec![], Action::Allow),
            rule(1, vec![less], Action::Allow),
        ],
    );
    let refused = minijail::write(&policy).expect_err("an order of 32 bits");
    assert_eq!(refused.rule, Some((0, 1)));
}

#[test]
fn what_a_form_cannot_say_is_refused_by_rule() {
    let allow = |number| rule(number, vec![], Action::Allow);
    let refused = |p: &Policy| {
        let refused = minijail::write(p).expect_err("it cannot be said");
        (refused.rule, refused.message)
    };
    let good = policy(Action::KillProcess, Action::KillThread, vec![allow(0)]);
    assert_eq!(
        minijail::write(&good),
        Ok("@default kill-process\nread: allow\n".into())
    );

    let mut newer = good.clone();
    newer.tables[0].baseline = Baseline::Number(Sysno(400));
    newer.tables[0].newer = Action::ENOSYS;
    let message = "minijail answers newer calls as all calls that are not listed";
    assert_eq!(refused(&newer), (None, message.into()));

    let mut trace = good.clone();
    trace.tables[0]
        .rules
        .push(rule(1, vec![], Action::Trace(3)));
    let message = "minijail cannot answer a call with Trace(3) here";
    assert_eq!(refused(&trace), (Some((0, 1)), message.into()));

    let mut unnamed = good.clone();
    unnamed.tables[0].rules.push(allow(400));
    let message = "minijail knows calls by name, and 400 has some without";
    assert_eq!(refused(&unnamed), (Some((0, 1)), message.into()));

    let mut asks = good.clone();
    let equal = Condition {
        index: 0,
        width: Width::W64,
        op: Op::Equal(1),
    };
    asks.tables[0]
        .rules
        .push(rule(1, vec![equal], Action::Allow));
    let unit = systemd::write(&asks, Arch::X86_64).expect_err("no arguments in units");
    assert_eq!(unit.rule, Some((0, 1)));
    assert_eq!(unit.message, "a unit cannot ask for arguments of calls");
    let unit = systemd::write(&good, Arch::Aarch64).expect_err("another architecture");
    assert_eq!(unit.message, "the policy has no table for aarch64");
}

/// A unit puts `@default` on every list of what is allowed; what a policy does not allow of it is taken
/// off.
#[test]
fn a_unit_for_one_architecture_says_no_more_than_the_policy() {
    let mut policy = policy(
        Action::Errno(1),
        Action::KillThread,
        vec![
            rule(0, vec![], Action::Allow),
            rule(59, vec![], Action::Allow),
            rule(101, vec![], Action::KillProcess),
        ],
    );
    policy.tables[0].x32_is_native = false;
    let text = systemd::write(&policy, Arch::X86_64).expect("a unit can say it");
    let lines: Vec<&str> = text.lines().collect();
    let head = [
        "[Service]",
        "SystemCallArchitectures=native",
        "SystemCallErrorNumber=1",
        "SystemCallFilter=@default read execve",
    ];
    assert_eq!(lines[..4], head, "{text}");
    assert!(lines[4].contains(" exit_group "), "{text}");
    assert_eq!(lines[5..], ["SystemCallFilter=~ptrace:kill"], "{text}");
    let again = systemd::read(&text, &target(&[Arch::X86_64])).expect("it is read");
    assert_eq!(same(&policy, &again.filters[0].policy, &[0]), Ok(()));

    // The thread's end is what a unit has for foreign calls.
    policy.foreign = Action::KillProcess;
    let refused = systemd::write(&policy, Arch::X86_64).expect_err("not the process's end");
    assert!(
        refused
            .message
            .contains("would be answered with KillThread"),
        "{refused}"
    );
}
