//! Answers that break programs which do nothing wrong.

use super::families::FALL_BACKS;
use super::rules::said;
use super::view::{Access, View};
use super::{Code, Finding};
use crate::Action;

/// Calls after which a signal handler can run.
const HANDLERS: [&str; 3] = ["rt_sigaction", "sigaction", "signal"];
/// Calls that the kernel continues by `restart_syscall` after a stop (restart_syscall(2)).
const RESTARTED: [&str; 6] = [
    "nanosleep",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "poll",
    "futex",
    "futex_time64",
];
/// What the vDSO does without the kernel where it can (vdso(7)).
const VDSO: [&str; 5] = [
    "clock_gettime",
    "clock_gettime64",
    "gettimeofday",
    "time",
    "getcpu",
];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    newer(view, findings);
    if !view.allows() {
        return;
    }
    fall_backs(view, findings);
    let handled = HANDLERS.iter().any(|name| view.permits(name));
    let restarted = RESTARTED.iter().any(|name| view.permits(name));
    let own = [
        (
            "rt_sigreturn",
            handled,
            "a handler can be installed and not return",
        ),
        (
            "sigreturn",
            handled,
            "a handler can be installed and not return",
        ),
        (
            "restart_syscall",
            restarted,
            "a wait that is stopped cannot go on",
        ),
    ];
    for (name, needed, why) in own {
        let rule = match view.access(name) {
            Some(Access::Denied(rule) | Access::Partly(rule)) => Some(rule),
            Some(Access::Unlisted) => None,
            _ => continue,
        };
        if needed {
            let of = view.of_arch();
            let message = format!("`{name}`{of} is denied: {why}");
            let advice = "allow it without conditions; the kernel inserts it";
            findings.push(view.finding(Code::KernelsOwn, rule, message, advice));
        }
    }
    let denied = VDSO.iter().filter(|name| {
        let access = view.access(name);
        access.is_some_and(|access| !matches!(access, Access::Open(_)))
    });
    let denied: Vec<String> = denied.map(|name| format!("`{name}`")).collect();
    if !denied.is_empty() {
        let message = format!(
            "denied{}: {}; programs ask the vDSO, and it asks the kernel by these where the clock \
             of the machine allows nothing else",
            view.of_arch(),
            denied.join(", ")
        );
        let advice = "allow them; a trace on one machine does not show what another needs";
        findings.push(view.finding(Code::Vdso, None, message, advice));
    }
}

fn fall_backs(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (name, instead) in FALL_BACKS {
        let Some(number) = view.table.arch.number(name) else {
            continue;
        };
        let decision = view.decide(number, [0; 6]);
        let Action::Errno(errno) = decision.action else {
            continue;
        };
        let older = instead.iter().find(|name| view.permits(name));
        if let Some(older) = older.filter(|_| decision.action != Action::ENOSYS && errno != 0) {
            let of = view.of_arch();
            let message = format!(
                "`{name}`{of} is answered with {}, and `{older}` is allowed: the C library tries \
                 the older way only after ENOSYS",
                said(decision.action)
            );
            let rule = view.own(decision);
            findings.push(view.finding(Code::FallBack, rule, message, "answer it with ENOSYS"));
        }
    }
}

fn newer(view: &View<'_>, findings: &mut Vec<Finding>) {
    let Some(number) = view.table.arch.newest().0.checked_add(1) else {
        return;
    };
    let answer = view.otherwise(number);
    if matches!(answer, Action::Errno(1..)) && answer != Action::ENOSYS {
        let message = format!(
            "calls{} that are not known yet are answered with {}: programs that try them first \
             take that for a refusal",
            view.of_arch(),
            said(answer)
        );
        let advice = "answer newer calls with ENOSYS";
        findings.push(view.finding(Code::NewerCalls, None, message, advice));
    }
}
