//! Ways around a rule.

use super::families::{BEHIND_POINTERS, FAMILIES, Family, MULTIPLEXERS, UNDOING};
use super::view::{Access, View};
use super::{Code, Finding};
use crate::{Action, Place, Policy};
use portcullis_abi::Arch;

/// asm-generic/ioctls.h: puts a character into the terminal's input.
const TIOCSTI: u64 = 0x5412;
/// The same by the way of the console's selection (ioctl_console(2)).
const TIOCLINUX: u64 = 0x541c;

/// Calls of other architectures.
pub(super) fn foreign(policy: &Policy, findings: &mut Vec<Finding>) {
    let denies = policy.tables.iter().any(|t| {
        let mut rules = t.rules.iter();
        !t.default.permits() || rules.any(|r| !r.action.permits())
    });
    if denies && policy.foreign.permits() {
        findings.push(Finding {
            place: Place::default(),
            code: Code::Foreign,
            message: "calls of other architectures are allowed: what is denied can be had through \
                      them, as through `int 0x80` on x86_64"
                .into(),
            advice: "answer foreign calls with `kill`, or give each architecture a table".into(),
        });
    }
}

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    x32(view, findings);
    for family in FAMILIES {
        siblings(view, family, findings);
    }
    multiplexers(view, findings);
    io_uring(view, findings);
    terminal(view, findings);
    for (name, does) in UNDOING {
        let rule = match view.access(name) {
            Some(Access::Open(Some(rule)) | Access::Partly(rule)) => rule,
            _ => continue,
        };
        if view.table.rules[rule].action.permits() {
            let of = view.of_arch();
            let message = format!("`{name}`{of} is allowed, which {does}");
            let advice = "keep it only where the program is trusted with that";
            findings.push(view.finding(Code::Undoes, Some(rule), message, advice));
        }
    }
}

fn x32(view: &View<'_>, findings: &mut Vec<Finding>) {
    let has_table = view.policy.tables.iter().any(|t| t.arch == Arch::X32);
    if view.table.arch != Arch::X86_64 || !view.table.x32_is_native || has_table {
        return;
    }
    let mut rules = view.table.rules.iter();
    let denied = rules.position(|r| !r.action.permits() && r.calls.first.0 < Arch::X32_BIT);
    let Some(denied) = denied.filter(|_| view.otherwise(Arch::X32_BIT).permits()) else {
        return;
    };
    findings.push(view.finding(
        Code::X32,
        Some(denied),
        format!(
            "calls with the bit of x32 in their number pass this list: {} is denied, and number \
             {:#x} is the same call",
            view.shown(&view.table.rules[denied]),
            view.table.rules[denied].calls.first.0 | Arch::X32_BIT
        ),
        "answer x32 calls as foreign ones, with `kill`",
    ));
}

fn siblings(view: &View<'_>, family: &Family, findings: &mut Vec<Finding>) {
    let accesses: Vec<(&str, Access)> = family
        .calls
        .iter()
        .filter_map(|name| Some((*name, view.access(name)?)))
        .collect();
    let open: Vec<&str> = accesses
        .iter()
        .filter(|(_, access)| matches!(access, Access::Open(_)))
        .map(|(name, _)| *name)
        .collect();
    if open.is_empty() {
        return;
    }
    for (name, access) in &accesses {
        let rule = match access {
            Access::Partly(rule) if family.conditions => *rule,
            // ENOSYS asks the program to take the other call.
            Access::Denied(rule) if view.table.rules[*rule].action != Action::ENOSYS => *rule,
            _ => continue,
        };
        let partly = matches!(access, Access::Partly(_));
        let of = view.of_arch();
        let names = open.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>();
        let names = names.join(", ");
        if partly && open.iter().all(|n| BEHIND_POINTERS.contains(n)) {
            let message = format!(
                "`{name}`{of} has conditions, and {names} does the same with arguments that a \
                 filter cannot see"
            );
            let advice = "answer it with ENOSYS: programs then take the call that can be filtered";
            findings.push(view.finding(Code::BehindPointer, Some(rule), message, advice));
            continue;
        }
        let how = if partly {
            "has conditions"
        } else {
            "is denied"
        };
        let message = format!("`{name}`{of} {how}, and {names} does the same and is allowed");
        let advice = "treat all of them alike";
        findings.push(view.finding(Code::Sibling, Some(rule), message, advice));
    }
}

fn multiplexers(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (through, calls) in MULTIPLEXERS {
        let Some(Access::Open(open)) = view.access(through) else {
            continue;
        };
        let restricted = calls.iter().find(|name| {
            matches!(
                view.access(name),
                Some(Access::Partly(_) | Access::Denied(_) | Access::Unlisted)
            )
        });
        if let Some(name) = restricted {
            let of = view.of_arch();
            let message = format!(
                "`{through}`{of} is allowed and makes `{name}` as well, which is restricted; its \
                 arguments are behind a pointer"
            );
            let advice = "allow it only for the first arguments that are meant, or not at all";
            findings.push(view.finding(Code::Multiplexer, open, message, advice));
        }
    }
}

fn io_uring(view: &View<'_>, findings: &mut Vec<Finding>) {
    let rule = match view.access("io_uring_setup") {
        Some(Access::Open(rule)) => rule,
        Some(Access::Partly(rule)) => Some(rule),
        _ => return,
    };
    if view.denies() {
        let of = view.of_arch();
        let message = format!(
            "`io_uring_setup`{of} is allowed: what the ring opens, connects and reads passes no \
             filter"
        );
        let advice = "answer the three calls of io_uring with ENOSYS";
        findings.push(view.finding(Code::IoUring, rule, message, advice));
    }
}

fn terminal(view: &View<'_>, findings: &mut Vec<Finding>) {
    let Some(number) = view.table.arch.number("ioctl") else {
        return;
    };
    let asked = |command: u64| view.decide(number, [0, command, 0, 0, 0, 0]);
    let (denied, allowed) = (asked(TIOCSTI), asked(TIOCLINUX));
    if !denied.action.permits() && allowed.action.permits() {
        let rule = view.own(denied).or(view.own(allowed));
        let of = view.of_arch();
        let message = format!(
            "`ioctl`{of} is denied for TIOCSTI and not for TIOCLINUX, which puts input into a \
             terminal as well"
        );
        findings.push(view.finding(Code::Terminal, rule, message, "deny 0x541c, too"));
    }
}
