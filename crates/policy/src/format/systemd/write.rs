//! Writes a policy as the settings of a unit.

use std::collections::BTreeSet;

use portcullis_abi::Arch;

use super::super::Unsayable;
use super::read;
use crate::{Action, Call, Condition, Op, Policy, Rule, Target, Width};

/// The multiplexers of i386 make calls up to this number.
const MULTIPLEXED: u64 = 25;

/// Writes a policy as a drop-in for a machine of the architecture `native`;
/// [`read`](super::read) gives one that answers each call alike.
///
/// What is written is read again and compared with the policy, call by call, so a policy is refused
/// exactly when the settings cannot say it: conditions on arguments, an own answer for newer calls,
/// actions other than those of a list, answers for other architectures that are not those of the
/// same names. Why a rule is there is not written.
pub fn write(policy: &Policy, native: Arch) -> Result<String, Unsayable> {
    let Some(table) = policy.tables.iter().find(|t| t.arch == native) else {
        return Err(Unsayable::whole(format!(
            "the policy has no table for {native}"
        )));
    };
    for (at, table) in (0..).zip(&policy.tables) {
        if let Some(rule) = table
            .rules
            .iter()
            .position(|r| !is_multiplexed(table.arch, r))
        {
            let message = "a unit cannot ask for arguments of calls";
            return Err(Unsayable::rule((at, rule), message));
        }
    }
    let allows = match table.default {
        Action::Allow | Action::Log => false,
        Action::KillProcess | Action::Errno(1..) => true,
        other => {
            return Err(Unsayable::whole(format!(
                "a unit answers unlisted calls by killing the process, an error or not at all; \
                 the policy says {other:?}"
            )));
        }
    };
    // Names that other architectures have alone are listed as these answer them; the native table
    // comes first and decides about the rest.
    let mut listed: Vec<(String, Action)> = Vec::new();
    let mut seen = BTreeSet::new();
    let others = policy.tables.iter().filter(|t| t.arch != native);
    for table in std::iter::once(table).chain(others) {
        for (number, name) in table.arch.syscalls() {
            if !seen.insert(name) {
                continue;
            }
            let decision = policy.decide(&call(table.arch.audit_arch(), number.0, 0));
            match decision.action {
                Action::Allow | Action::Log | Action::KillProcess | Action::Errno(_) => {
                    listed.push((name.to_owned(), decision.action));
                }
                other => {
                    let message = format!("a unit cannot answer a call with {other:?}");
                    return Err(Unsayable {
                        rule: decision.rule,
                        ..Unsayable::whole(message)
                    });
                }
            }
        }
    }
    let text = settings(policy, native, table.default, allows, &listed);
    let target = Target {
        arches: vec![native],
        capabilities: Vec::new(),
        kernel: (0, 0),
    };
    let again = read(&text, &target).map_err(|mistake| Unsayable::whole(mistake.message))?;
    let Some(again) = again.filters.first() else {
        return Err(Unsayable::whole("a unit without settings says nothing"));
    };
    let Some(differing) = difference(policy, &again.policy) else {
        return Ok(text);
    };
    let wanted = policy.decide(&differing);
    let said = again.policy.decide(&differing).action;
    let message = format!(
        "a unit cannot say this policy: the call {} of {} would be answered with {said:?} and \
             not {:?}",
        differing.number,
        shown(differing.arch),
        wanted.action,
    );
    Err(Unsayable {
        rule: wanted.rule,
        ..Unsayable::whole(message)
    })
}

fn settings(
    policy: &Policy,
    native: Arch,
    default: Action,
    allows: bool,
    listed: &[(String, Action)],
) -> String {
    let mut text = "[Service]\n".to_owned();
    let mut line = |key: &str, words: Vec<String>| {
        text.push_str(&format!("{key}={}\n", words.join(" ")));
    };
    if policy.foreign != Action::Allow {
        let arches = policy.tables.iter().map(|t| word(t.arch, native));
        line("SystemCallArchitectures", arches.collect());
    }
    if let Action::Errno(number) = default {
        line("SystemCallErrorNumber", vec![number.to_string()]);
    }
    let with = |wanted: fn(&Action) -> bool| {
        let wanted = listed.iter().filter(move |(_, action)| wanted(action));
        wanted.map(|(name, action)| match action {
            Action::Errno(number) => format!("{name}:{number}"),
            Action::KillProcess => format!("{name}:kill"),
            _ => name.clone(),
        })
    };
    let denied = listed.iter().filter(|(_, action)| !action.permits());
    if allows {
        // An empty list would be no list.
        let always = std::iter::once("@default".to_owned());
        line(
            "SystemCallFilter",
            always.chain(with(|a| a.permits())).collect(),
        );
        // Takes off the list what systemd puts there by itself.
        let off: Vec<String> = denied.clone().map(|(name, _)| name.clone()).collect();
        if !off.is_empty() {
            line("SystemCallFilter", prefixed(off));
        }
        let own: Vec<String> = denied
            .filter(|(_, action)| *action != default)
            .map(|(name, action)| match action {
                Action::Errno(number) => format!("{name}:{number}"),
                _ => format!("{name}:kill"),
            })
            .collect();
        if !own.is_empty() {
            line("SystemCallFilter", prefixed(own));
        }
    } else {
        let own: Vec<String> = with(|a| !a.permits()).collect();
        if !own.is_empty() {
            line("SystemCallFilter", prefixed(own));
        }
    }
    match default {
        Action::Log => {
            let silent: Vec<String> = with(|a| *a == Action::Allow).collect();
            match silent.is_empty() {
                true => line("SystemCallLog", vec!["~".into()]),
                false => line("SystemCallLog", prefixed(silent)),
            }
        }
        _ => {
            let logged: Vec<String> = with(|a| *a == Action::Log).collect();
            if !logged.is_empty() {
                line("SystemCallLog", logged);
            }
        }
    }
    text
}

fn prefixed(mut words: Vec<String>) -> Vec<String> {
    if let Some(first) = words.first_mut() {
        first.insert(0, '~');
    }
    words
}

fn word(arch: Arch, native: Arch) -> String {
    match arch {
        own if own == native => "native",
        Arch::X86_64 => "x86-64",
        Arch::X32 => "x32",
        Arch::I386 => "x86",
        Arch::Aarch64 => "arm64",
        Arch::Arm => "arm",
    }
    .into()
}

/// A call that two policies answer differently, which ask for no arguments but the number of a
/// multiplexed call.
fn difference(one: &Policy, two: &Policy) -> Option<Call> {
    let mut arches: Vec<u32> = Arch::ALL.iter().map(|a| a.audit_arch()).collect();
    arches.push(0);
    for arch in arches {
        let starts = |p: &Policy| -> Vec<u32> {
            let segments = p.segments(arch);
            segments.iter().map(|s| s.first).collect()
        };
        let mut numbers = [starts(one), starts(two)].concat();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            for first in 0..=MULTIPLEXED {
                let call = call(arch, number, first);
                if one.decide(&call).action != two.decide(&call).action {
                    return Some(call);
                }
            }
        }
    }
    None
}

/// Whether a rule asks nothing of arguments but which call a multiplexer of i386 makes.
fn is_multiplexed(arch: Arch, rule: &Rule) -> bool {
    let which = |condition: &Condition| {
        (condition.index, condition.width) == (0, Width::W32)
            && matches!(condition.op, Op::Equal(0..MULTIPLEXED))
    };
    rule.conditions.iter().all(which) && (arch == Arch::I386 || rule.conditions.is_empty())
}

fn call(arch: u32, number: u32, first: u64) -> Call {
    Call {
        arch,
        number,
        ip: 0,
        args: [first, 0, 0, 0, 0, 0],
    }
}

fn shown(audit_arch: u32) -> String {
    match Arch::of_audit(audit_arch).next() {
        Some(arch) => arch.to_string(),
        None => "another architecture".into(),
    }
}
