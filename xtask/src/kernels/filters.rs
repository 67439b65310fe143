//! Suite: filters as the kernel runs them: each rule of a policy with arguments that fit it and with
//! arguments that are spoiled in one place.
//!
//! No call may take effect, whatever it is: what runs is a copy of the policy whose calls that are made
//! (allowed, or logged) fail with an error number of their own instead. That the copy differs from the
//! policy in these answers and in nothing else is proved for each.

mod policies;

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{Program, compare, compile, run, verify};
use portcullis_policy::{Action, Call, Condition, Op, Policy, Rule};

use super::feature::{Feature, Need};
use super::initramfs::Files;
use super::step::{Seen, Step, Word};
use super::suite::{Case, Environment};

/// What a call that would be made fails with: an error number that no rule has.
const MARKER: Action = Action::Errno(3111);
/// `SIGSYS` of both architectures.
const SIGSYS: i64 = 31;
/// `ENOSYS`: what nobody answers for (seccomp(2), `SECCOMP_RET_TRACE` and `SECCOMP_RET_USER_NOTIF`).
const ENOSYS: i64 = 38;

/// A case for each policy.
pub(crate) fn cases(environment: &Environment, files: &mut Files) -> Result<Vec<Case>> {
    let all = policies::all(environment.arch)?;
    let case = |(name, policy): (String, Policy)| {
        case(environment.arch, &name, &policy, files).with_context(|| name.clone())
    };
    all.into_iter().map(case).collect()
}

fn case(arch: Arch, name: &str, policy: &Policy, files: &mut Files) -> Result<Case> {
    let marked = marked(policy);
    let program = compile(&marked)?;
    verify(program.clone(), &marked)?;
    differs_in_the_marker_alone(policy, &program)?;
    let calls = calls(policy, arch);
    let mut text = String::new();
    let mut expected = Vec::new();
    for Made {
        way,
        number,
        registers,
    } in &calls
    {
        let call = way.call(*number, *registers);
        let decided = marked.decide(&call).action;
        ensure!(
            Action::from_code(run(&program, &call)) == decided,
            "the interpreter differs on {call:?}"
        );
        expected.push(effect(decided)?);
        let registers = registers.map(|register| register.to_string()).join(" ");
        writeln!(text, "{} {number} {registers}", way.name())?;
    }
    ensure!(!calls.is_empty(), "no call");
    let input = |kind: &str| format!("{name}.{kind}");
    files.add(input("bpf"), program.to_bytes());
    files.add(input("calls"), text);
    Ok(Case {
        name: name.to_owned(),
        needs: needs(&calls),
        step: Step {
            program: "calls".to_owned(),
            environment: Vec::new(),
            arguments: vec![Word::File(input("bpf")), Word::File(input("calls"))],
            seconds: 120,
        },
        judge: Box::new(move |seen| judge(&calls, &expected, seen)),
    })
}

fn needs(calls: &[Made]) -> Vec<Need> {
    let mut needs: Vec<Need> = [
        Feature::Seccomp,
        Feature::SeccompKillProcess,
        Feature::SeccompLog,
    ]
    .map(Need::from)
    .into();
    if calls.iter().any(|made| made.way == Way::Int80) {
        needs.push(Feature::Ia32.into());
    }
    needs
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

fn differs_in_the_marker_alone(policy: &Policy, copy: &Program) -> Result<()> {
    let differences = compare(&compile(policy)?, copy, usize::MAX)?;
    ensure!(!differences.is_empty(), "nothing is allowed");
    for difference in differences {
        ensure!(
            difference.first.permits() && difference.second == MARKER,
            "the copy differs: {difference:?}"
        );
    }
    Ok(())
}

/// How a call is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// By the instruction of a 64-bit program; what the kernel sees is the architecture's.
    Native(Arch),
    /// By `int 0x80` in a program of x86_64: a call of i386.
    Int80,
}

impl Way {
    /// The way into a table's calls, from a program of `machine`.
    fn into(table: Arch, machine: Arch) -> Option<Way> {
        match (table, machine) {
            (Arch::X86_64 | Arch::X32, Arch::X86_64) | (Arch::Aarch64, Arch::Aarch64) => {
                Some(Way::Native(machine))
            }
            (Arch::I386, Arch::X86_64) => Some(Way::Int80),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Way::Native(_) => "native",
            Way::Int80 => "int80",
        }
    }

    /// What a filter sees when this is put into the registers. Of a call of i386 that a 64-bit program
    /// makes it sees the upper halves as well, although the kernel then drops them
    /// (`syscall_get_arguments` of arch/x86/include/asm/syscall.h takes the registers as they are).
    fn call(self, number: u32, args: [u64; 6]) -> Call {
        let arch = match self {
            Way::Native(arch) => arch,
            Way::Int80 => Arch::I386,
        };
        Call {
            arch: arch.audit_arch(),
            number,
            // Where the call is made depends on the program; no policy looks at it.
            ip: 0,
            args,
        }
    }
}

/// A call that is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Made {
    way: Way,
    number: u32,
    registers: [u64; 6],
}

/// Calls that pass by every filter: the kernel's own trampolines of probes make them, and others get
/// SIGILL (`seccomp_uprobe_exception`, kernel/seccomp.c, Linux 6.14).
const UNFILTERED: &[&str] = &["uretprobe", "uprobe"];

/// Calls that fit each rule, and the same with each of its arguments spoiled; and calls of architectures
/// that the policy has no table for.
fn calls(policy: &Policy, machine: Arch) -> Vec<Made> {
    let mut calls = Vec::new();
    for table in &policy.tables {
        let Some(way) = Way::into(table.arch, machine) else {
            continue;
        };
        for rule in &table.rules {
            let fitting = fitting(rule);
            for number in [rule.calls.first.0, rule.calls.last.0] {
                let made = |registers| Made {
                    way,
                    number,
                    registers,
                };
                calls.push(made(fitting));
                for index in 0..6 {
                    for change in [1, 1 << 31, 1 << 32, 1 << 63] {
                        let mut spoiled = fitting;
                        spoiled[index] ^= change;
                        calls.push(made(spoiled));
                    }
                }
            }
        }
    }
    calls.extend(foreign(policy, machine));
    let unfiltered = |made: &Made| {
        let name = machine.name(Sysno(made.number));
        name.is_some_and(|n| UNFILTERED.contains(&n))
    };
    calls.retain(|made| !unfiltered(made));
    calls.dedup();
    calls
}

/// Calls of the architectures that a program of x86_64 reaches as well, where no table is theirs.
fn foreign(policy: &Policy, machine: Arch) -> Vec<Made> {
    let mut calls = Vec::new();
    for arch in [Arch::I386, Arch::X32] {
        let has_table = policy.tables.iter().any(|table| table.arch == arch);
        let (Some(way), false) = (Way::into(arch, machine), has_table) else {
            continue;
        };
        let numbers = ["read", "getpid", "execve"].map(|name| arch.number(name));
        calls.extend(numbers.into_iter().flatten().map(|number| Made {
            way,
            number: number.0,
            registers: [0; 6],
        }));
    }
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
            Op::Masked { value, .. } => Some(value),
            Op::NotMasked { mask, value } => Some(value ^ (mask & mask.wrapping_neg())),
            _ => None,
        }));
        let fits = |value: &u64| own.iter().all(|c| c.holds(&[*value; 6]));
        // A rule that no argument fits is tried with what does not fit it.
        tried.into_iter().find(fits).unwrap_or_default()
    })
}

/// What a program sees of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    /// What the call returned.
    Value(i64),
    /// What ended the program.
    Signal(i64),
}

/// What a program sees of an answer.
fn effect(action: Action) -> Result<Effect> {
    Ok(match action {
        Action::KillProcess | Action::KillThread | Action::Trap(_) => Effect::Signal(SIGSYS),
        Action::Errno(errno) => Effect::Value(-i64::from(errno)),
        Action::Trace(_) | Action::Notify => Effect::Value(-ENOSYS),
        Action::Log | Action::Allow => bail!("a call would be made"),
    })
}

/// Compares what was seen of each call; gives their number.
fn judge(calls: &[Made], expected: &[Effect], seen: &Seen) -> Result<usize> {
    let mut effects = Vec::with_capacity(calls.len());
    for line in seen.text(0)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let &[run, kind, number] = words.as_slice() else {
            bail!("{line:?} is no run of calls");
        };
        let number = number.parse().context("an outcome")?;
        let effect = match kind {
            "value" => Effect::Value(number),
            "signal" => Effect::Signal(number),
            _ => bail!("{line:?} has no outcome"),
        };
        let run: usize = run.parse().context("the length of a run")?;
        ensure!(run <= calls.len(), "a run of {run}");
        effects.extend(std::iter::repeat_n(effect, run));
    }
    ensure!(
        effects.len() == expected.len(),
        "{} calls were made and not {}",
        effects.len(),
        expected.len()
    );
    for (made, (effect, expected)) in calls.iter().zip(effects.iter().zip(expected)) {
        ensure!(
            effect == expected,
            "{made:?}: {effect:?} and not {expected:?}"
        );
    }
    Ok(calls.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::step::Ended;
    use super::*;

    #[test]
    fn one_call_with_another_outcome_is_seen() {
        let made = Made {
            way: Way::Native(Arch::X86_64),
            number: 0,
            registers: [0; 6],
        };
        let calls = [made; 3];
        let expected = [Effect::Value(-1), Effect::Value(-1), Effect::Signal(31)];
        let judged = |text: &str| {
            let seen = Seen {
                stdout: text.into(),
                stderr: Vec::new(),
                ended: Ended::Exit(0),
                took: Duration::ZERO,
            };
            judge(&calls, &expected, &seen)
        };
        assert_eq!(judged("2 value -1\n1 signal 31\n").unwrap(), 3);
        for wrong in [
            "2 value -1\n",
            "3 value -1\n",
            "2 value -1\n1 signal 31\n1 value 0\n",
            "1 value -1\n1 value 0\n1 signal 31\n",
            "2 value -1\n1 signal 4\n",
            "18446744073709551615 value -1\n",
        ] {
            assert!(judged(wrong).is_err(), "{wrong:?}");
        }
    }
}
