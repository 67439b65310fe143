//! What a filter that libseccomp was asked for means, in the terms of our policies.
//!
//! Told by its manual pages (seccomp_rule_add(3), seccomp_arch_add(3), seccomp_attr_set(3)) and by its
//! tables, which all of this must fulfil:
//!
//! - Rules have no order. A rule without conditions answers its call whatever else is said of it, the
//!   first of several such rules. Among rules with conditions the narrower one wins where one is part of
//!   the other; of two with equal conditions the first is kept and the library refuses the second. Rules
//!   that overlap otherwise must agree, or nobody says which wins.
//! - A call is named on the native architecture and looked up by that name on each other. Where an
//!   architecture does not have it, its part of the rule is nothing. Numbers below zero are calls that
//!   no kernel has, but for -1, which a tracer uses to skip a call.
//! - On x86 the calls of sockets and of System V IPC are also, or only, sub-calls of `socketcall` and
//!   `ipc`: a rule for one is a rule for the sub-call as well, with its conditions on what then are the
//!   registers, so that only rules without conditions are allowed.
//! - Where registers have 32 bits only these are compared, the constants cut to them; x32 counts as such.
//! - Of a masked comparison the constant's bits outside of the mask say nothing.
//! - x86_64 and x32 are told apart by one comparison: numbers from 0x40000000 on are x32, save -1. The
//!   kernel looks at the one bit instead, and from 0x80000000 to 0xbfffffff the two disagree; a filter for
//!   x86_64 alone takes these for another architecture.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{Action, Baseline, Condition, Op, Policy, Rule, Span, Table, Width};

use crate::recorded::{Asked, Comparison, Named, Recorded};

/// `SYS_*` of linux/net.h.
const SOCKET_CALLS: &[(&str, u64)] = &[
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];
/// linux/ipc.h.
const IPC_CALLS: &[(&str, u64)] = &[
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The policy of a filter that was asked for on a machine of this architecture.
pub(crate) fn policy(recorded: &Recorded, native: Arch) -> Policy {
    let tables = recorded.arches.iter().map(|&arch| {
        let own = recorded.rules.iter().filter(|r| r.arches.contains(&arch));
        let mut rules: Vec<Rule> = own.flat_map(|r| rules(r, native, arch)).collect();
        in_order(&mut rules);
        if arch == Arch::X86_64 && !recorded.arches.contains(&Arch::X32) {
            rules.push(Rule {
                calls: Span {
                    first: Sysno(0x8000_0000),
                    last: Sysno(0xbfff_ffff),
                },
                conditions: vec![],
                action: recorded.bad_arch,
                provenance: vec![],
            });
        }
        Table {
            arch,
            rules,
            baseline: Baseline::All,
            default: recorded.default,
            newer: recorded.default,
            x32_is_native: false,
        }
    });
    Policy {
        tables: tables.collect(),
        foreign: recorded.bad_arch,
        phases: Vec::new(),
        ramp: None,
    }
}

/// The sub-call of a multiplexer that a name is on x86: the multiplexer's name, and its first argument.
pub(crate) fn multiplexed(arch: Arch, name: &str) -> Option<(&'static str, u64)> {
    let of = |list: &[(&str, u64)]| list.iter().find(|c| c.0 == name).map(|c| c.1);
    if arch != Arch::I386 {
        return None;
    }
    let socket = of(SOCKET_CALLS).map(|n| ("socketcall", n));
    socket.or_else(|| of(IPC_CALLS).map(|n| ("ipc", n)))
}

/// What a rule is on one architecture.
fn rules(asked: &Asked, native: Arch, arch: Arch) -> Vec<Rule> {
    let conditions = asked.conditions.iter();
    let conditions: Vec<Condition> = conditions.map(|c| condition(*c, arch)).collect();
    let rule = |number: Sysno, more: Option<Condition>| Rule {
        calls: number.into(),
        conditions: conditions.iter().cloned().chain(more).collect(),
        action: asked.action,
        provenance: vec![],
    };
    let name = match &asked.call {
        Named::Number(-1) => return vec![rule(Sysno(u32::MAX), None)],
        Named::Number(n) if *n < 0 => return vec![],
        Named::Number(n) if arch == native => {
            return vec![rule(Sysno(u32::try_from(*n).expect("a number")), None)];
        }
        // A number is translated by its name; without one the library refuses the rule.
        Named::Number(n) => match native.name(Sysno(u32::try_from(*n).expect("a number"))) {
            Some(name) => name,
            None => return vec![],
        },
        Named::Name(name) => name,
    };
    let own = arch.number(name).map(|n| rule(n, None));
    let part = multiplexed(arch, name).map(|(multiplexer, sub)| {
        let which = condition((0, Comparison::Equal, sub, 0), arch);
        rule(arch.number(multiplexer).expect("x86 has it"), Some(which))
    });
    own.into_iter().chain(part).collect()
}

fn condition(
    (index, comparison, first, second): (u8, Comparison, u64, u64),
    arch: Arch,
) -> Condition {
    let width = match arch {
        Arch::X86_64 | Arch::Aarch64 => Width::W64,
        Arch::X32 | Arch::I386 | Arch::Arm => Width::W32,
    };
    let (first, second) = (first & width.most(), second & width.most());
    let op = match comparison {
        Comparison::NotEqual => Op::NotEqual(first),
        Comparison::Less => Op::Less(first),
        Comparison::LessEqual => Op::LessEqual(first),
        Comparison::Equal => Op::Equal(first),
        Comparison::GreaterEqual => Op::GreaterEqual(first),
        Comparison::Greater => Op::Greater(first),
        Comparison::Masked => Op::Masked {
            mask: first,
            value: second & first,
        },
    };
    Condition { index, width, op }
}

/// Puts what wins first.
fn in_order(rules: &mut [Rule]) {
    let wider = |rule: &Rule| rules.iter().filter(|other| is_part_of(rule, other)).count();
    let mut keyed: Vec<(bool, usize, Rule)> = rules
        .iter()
        .map(|r| (!r.conditions.is_empty(), usize::MAX - wider(r), r.clone()))
        .collect();
    keyed.sort_by_key(|(conditional, narrowness, _)| (*conditional, *narrowness));
    for (place, (_, _, rule)) in rules.iter_mut().zip(keyed) {
        *place = rule;
    }
}

/// Whether what fits the one fits the other: each of the other's conditions follows from one of its own.
fn is_part_of(rule: &Rule, other: &Rule) -> bool {
    let follows = |wanted: &Condition| rule.conditions.iter().any(|own| implies(own, wanted));
    rule.calls == other.calls && other.conditions.iter().all(follows)
}

fn implies(own: &Condition, wanted: &Condition) -> bool {
    if own.index != wanted.index {
        return false;
    }
    match (own.ranges(), wanted.ranges(), &wanted.op) {
        (Some(own), Some(wanted), _) => own
            .iter()
            .all(|(low, high)| wanted.iter().any(|(from, to)| from <= low && high <= to)),
        (Some(own), None, Op::Masked { mask, value }) => own
            .iter()
            .all(|(low, high)| low == high && low & mask == *value),
        (None, _, _) => own == wanted,
        _ => false,
    }
}

/// The answer that a row of a table calls so.
pub(crate) fn answer(word: &str) -> Action {
    let data = |rest: &str| rest.trim_end_matches(')').parse().expect("16 bits");
    match word.split_once('(') {
        Some(("ERRNO", rest)) => Action::Errno(data(rest)),
        Some(("TRACE", rest)) => Action::Trace(data(rest)),
        None if word == "ALLOW" => Action::Allow,
        None if word == "KILL" => Action::KillThread,
        None if word == "KILL_PROCESS" => Action::KillProcess,
        None if word == "TRAP" => Action::Trap(0),
        None if word == "LOG" => Action::Log,
        _ => panic!("{word} is no answer"),
    }
}
