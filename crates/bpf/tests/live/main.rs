//! Filters on this kernel: each rule of a policy with arguments that fit it and with arguments that are
//! spoiled in one place.
//!
//! No call may take effect, whatever it is: what runs is a copy of the policy whose calls that are made
//! (allowed, or logged) fail with an error number of their own instead. That the copy differs from the
//! policy in these answers and in nothing else is proved for each.
#![cfg(target_arch = "x86_64")]

mod policies;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{Program, compare, compile, run, verify};
use portcullis_policy::{Action, Call, Condition, Policy, Rule};

/// What a call that would be made fails with: an error number that no rule has.
const MARKER: Action = Action::Errno(3111);
/// `SIGSYS` on x86.
const SIGSYS: i64 = 31;
/// `ENOSYS`: what nobody answers for (seccomp(2), `SECCOMP_RET_TRACE` and `SECCOMP_RET_USER_NOTIF`).
const ENOSYS: i64 = 38;

#[test]
fn the_kernel_answers_each_rule_as_the_policy_does() {
    for (name, policy) in policies::all() {
        let name = name.as_str();
        let marked = marked(&policy);
        let program = compile(&marked).expect("fits");
        verify(program.clone(), &marked).unwrap_or_else(|e| panic!("{name}: {e}"));
        differs_in_the_marker_alone(&policy, &program);
        let calls = calls(&policy);
        assert!(!calls.is_empty(), "{name}");
        for (call, seen) in calls.iter().zip(live(name, &program, &calls)) {
            assert_eq!(
                Action::from_code(run(&program, call)),
                marked.decide(call).action
            );
            assert_eq!(seen, effect(marked.decide(call).action), "{name}: {call:?}");
        }
    }
}

/// The policy whose calls are not made.
fn marked(policy: &Policy) -> Policy {
    let mut marked = policy.clone();
    let mark = |action: &mut Action| {
        if action.permits() {
            *action = MARKER;
        }
    };
    for table in &mut marked.tables {
        table.rules.iter_mut().for_each(|r| mark(&mut r.action));
        mark(&mut table.default);
        mark(&mut table.newer);
    }
    mark(&mut marked.foreign);
    marked
}

fn differs_in_the_marker_alone(policy: &Policy, copy: &Program) {
    let own = compile(policy).expect("fits");
    let differences = compare(&own, copy, usize::MAX).expect("followed");
    assert!(!differences.is_empty(), "nothing is allowed");
    for difference in differences {
        assert!(difference.first.permits(), "{difference:?}");
        assert_eq!(difference.second, MARKER, "{difference:?}");
    }
}

/// Calls that pass by every filter: the kernel's own trampolines of probes make them, and others get
/// SIGILL (`seccomp_uprobe_exception`, kernel/seccomp.c, Linux 6.14).
const UNFILTERED: &[&str] = &["uretprobe", "uprobe"];

/// Calls that fit each rule, and the same with each of its arguments spoiled.
fn calls(policy: &Policy) -> Vec<Call> {
    let mut calls = Vec::new();
    let own = policy.tables.iter().filter(|t| t.arch == Arch::X86_64);
    for rule in own.flat_map(|t| &t.rules) {
        for number in [rule.calls.first.0, rule.calls.last.0] {
            let fitting = fitting(rule);
            let call = |args| Call {
                arch: Arch::X86_64.audit_arch(),
                number,
                // Where the call is made depends on the program; no policy looks at it.
                ip: 0,
                args,
            };
            calls.push(call(fitting));
            for index in 0..6 {
                for change in [1, 1 << 31, 1 << 32, 1 << 63] {
                    let mut args = fitting;
                    args[index] ^= change;
                    calls.push(call(args));
                }
            }
        }
    }
    let unfiltered = |c: &Call| {
        let name = Arch::X86_64.name(Sysno(c.number));
        name.is_some_and(|n| UNFILTERED.contains(&n))
    };
    calls.retain(|c| !unfiltered(c));
    calls.dedup();
    calls
}

/// Arguments of which each fulfils the rule's conditions on it.
fn fitting(rule: &Rule) -> [u64; 6] {
    std::array::from_fn(|index| {
        let own: Vec<&Condition> = rule
            .conditions
            .iter()
            .filter(|c| usize::from(c.index) == index)
            .collect();
        let ranges = own.iter().filter_map(|c| c.ranges()).flatten();
        let mut tried: Vec<u64> = ranges.flat_map(|(low, high)| [low, high]).collect();
        tried.extend(own.iter().filter_map(|c| match c.op {
            portcullis_policy::Op::Masked { value, .. } => Some(value),
            portcullis_policy::Op::NotMasked { mask, value } => {
                Some(value ^ (mask & mask.wrapping_neg()))
            }
            _ => None,
        }));
        let fits = |v: &&u64| own.iter().all(|c| c.holds(&[**v; 6]));
        match own.is_empty() {
            true => 0,
            false => *tried.iter().find(fits).expect("an argument that fits"),
        }
    })
}

/// What a program sees of an answer.
fn effect(action: Action) -> Effect {
    match action {
        Action::KillProcess | Action::KillThread | Action::Trap(_) => Effect::Signal(SIGSYS),
        Action::Errno(errno) => Effect::Value(-i64::from(errno)),
        Action::Trace(_) | Action::Notify => Effect::Value(-ENOSYS),
        Action::Log | Action::Allow => panic!("no call is to be made"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    /// What the call returned.
    Value(i64),
    /// What ended the program.
    Signal(i64),
}

/// Makes the calls behind the filter, each in a process of its own.
fn live(name: &str, program: &Program, calls: &[Call]) -> Vec<Effect> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let maker = directory.join("live-calls");
    let status = Command::new("gcc")
        .args(["-O2", "-Wall", "-Werror", "-o"])
        .arg(&maker)
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/live/calls.c"))
        .status();
    assert!(status.expect("gcc starts").success());
    let filter = directory.join(format!("live-{name}.bpf"));
    std::fs::write(&filter, program.to_bytes()).expect("written");
    let mut child = Command::new(maker)
        .arg(filter)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let line = |c: &Call| {
        let args = c.args.map(|a| a.to_string()).join(" ");
        format!("{} {args}\n", c.number)
    };
    let text: String = calls.iter().map(line).collect();
    let mut input = child.stdin.take().expect("a pipe");
    let writer = thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("written");
    assert!(output.status.success(), "{name}");
    let text = String::from_utf8(output.stdout).expect("text");
    let effect = |line: &str| {
        let (kind, number) = line.split_once(' ').expect("two words");
        let number = number.parse().expect("a number");
        match kind {
            "value" => Effect::Value(number),
            _ => Effect::Signal(number),
        }
    };
    let effects: Vec<Effect> = text.lines().map(effect).collect();
    assert_eq!(effects.len(), calls.len(), "{name}");
    effects
}
