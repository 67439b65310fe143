//! Writes a policy as lines of minijail.

use std::collections::BTreeMap;

use portcullis_abi::{Arch, Sysno};

use super::super::Unsayable;
use super::super::formula::Formula;
use super::KILL;
use crate::{Action, Baseline, Condition, Op, Policy, Rule, Table, Width};

/// A line with more alternatives than this is refused.
const MOST_ALTERNATIVES: usize = 4096;

/// Writes a policy; [`read`](super::read) for the policy's architecture gives one that answers each
/// call alike.
///
/// Refused are: several architectures, an answer of its own for newer calls or for x32, an answer
/// to foreign calls other than that a thread is killed, calls without a name, actions and
/// comparisons that minijail does not have. Why a rule is there is not written.
pub fn write(policy: &Policy) -> Result<String, Unsayable> {
    let [table] = policy.tables.as_slice() else {
        return Err(Unsayable::whole(
            "minijail's policies are for one architecture",
        ));
    };
    check(policy, table)?;
    let denies = table.default == Action::Allow;
    let mut text = match table.default {
        Action::Allow => "@denylist\n".to_owned(),
        Action::KillProcess | Action::KillThread | Action::Trap(_) | Action::Notify => {
            format!("@default {}\n", action(table.default))
        }
        other => {
            return Err(Unsayable::whole(format!(
                "minijail cannot answer unlisted calls with {other:?}; it can kill, trap, notify \
                 or, with `@denylist`, allow"
            )));
        }
    };
    let mut by_call: BTreeMap<Sysno, Vec<(usize, &Rule)>> = BTreeMap::new();
    for (index, rule) in table.rules.iter().enumerate() {
        let sayable = match rule.action {
            Action::Errno(_) => true,
            Action::Trace(data) => data == 0 && !denies,
            _ => !denies,
        };
        if !sayable {
            let message = format!("minijail cannot answer a call with {:?} here", rule.action);
            return Err(at(index, message));
        }
        for number in numbers(table, index, rule)? {
            by_call.entry(number).or_default().push((index, rule));
        }
    }
    for (number, rules) in &by_call {
        if let Some(name) = table.arch.name(*number) {
            text.push_str(&line(table, name, rules)?);
        }
    }
    Ok(text)
}

/// That minijail answers what no rule is about as the policy does.
fn check(policy: &Policy, table: &Table) -> Result<(), Unsayable> {
    if table.baseline != Baseline::All && table.newer != table.default {
        return Err(Unsayable::whole(
            "minijail answers newer calls as all calls that are not listed",
        ));
    }
    if policy.foreign != KILL {
        return Err(Unsayable::whole(
            "minijail kills the thread that makes a call of another architecture; the policy \
             answers such calls otherwise",
        ));
    }
    let x32_is_foreign = table.arch == Arch::X86_64 && !table.x32_is_native;
    if x32_is_foreign && policy.foreign != table.default {
        return Err(Unsayable::whole(
            "minijail answers x32 calls as all calls that are not listed; make the default the \
             same as the answer to foreign calls",
        ));
    }
    Ok(())
}

fn numbers(table: &Table, index: usize, rule: &Rule) -> Result<Vec<Sysno>, Unsayable> {
    let named = table.arch.syscalls().map(|(number, _)| number);
    let named: Vec<Sysno> = named.filter(|n| rule.calls.contains(n.0)).collect();
    let size = u64::from(rule.calls.last.0.saturating_sub(rule.calls.first.0)) + 1;
    match named.len() as u64 == size {
        true => Ok(named),
        false => Err(at(
            index,
            format!(
                "minijail knows calls by name, and {} has some without",
                table.call_name(rule.calls)
            ),
        )),
    }
}

fn line(table: &Table, name: &str, rules: &[(usize, &Rule)]) -> Result<String, Unsayable> {
    // Alternatives with the same answer, one after the other.
    let mut parts: Vec<(Vec<String>, Action)> = Vec::new();
    for (index, rule) in rules {
        let conditions = rule
            .conditions
            .iter()
            .map(|c| sayable(table.arch, *index, c));
        let all = Formula::All(conditions.collect::<Result<_, _>>()?);
        let all = all
            .alternatives(MOST_ALTERNATIVES)
            .ok_or_else(|| at(*index, "it takes too many alternatives in minijail"))?;
        if all.iter().any(Vec::is_empty) {
            parts.push((Vec::new(), rule.action));
            break;
        }
        let said = all.iter().map(|c| conjunction(table.arch, *index, c));
        let said: Vec<String> = said.collect::<Result<_, _>>()?;
        match parts.last_mut() {
            _ if said.is_empty() => {}
            Some((alternatives, action)) if *action == rule.action => alternatives.extend(said),
            _ => parts.push((said, rule.action)),
        }
    }
    let parts = parts
        .iter()
        .map(|(alternatives, answer)| match alternatives.is_empty() {
            true => action(*answer),
            false => format!("{}; {}", alternatives.join(" || "), action(*answer)),
        });
    let parts: Vec<String> = parts.collect();
    Ok(match parts.as_slice() {
        [] => String::new(),
        [one] => format!("{name}: {one}\n"),
        _ => format!("{name}: {{ {} }}\n", parts.join(", ")),
    })
}

/// A condition in the comparisons that minijail has. What is narrower than a register is said bit by
/// bit, because `&` and `in` are the comparisons that can leave the upper half out.
fn sayable(arch: Arch, index: usize, condition: &Condition) -> Result<Formula, Unsayable> {
    let same = |op: Op| {
        let Condition { index, width, .. } = *condition;
        Formula::Test(Condition { index, width, op })
    };
    let masked = |mask: u64, value: u64| {
        if value & !mask != 0 {
            return Formula::constant(false);
        }
        let bits = (0..64).map(|n| 1u64 << n).filter(|bit| value & bit != 0);
        let mut all: Vec<Formula> = bits
            .map(|bit| {
                same(Op::NotMasked {
                    mask: bit,
                    value: 0,
                })
            })
            .collect();
        if mask & !value != 0 {
            let mask = mask & !value;
            all.push(same(Op::Masked { mask, value: 0 }));
        }
        Formula::All(all)
    };
    let not = |formula| Formula::Not(Box::new(formula));
    let narrow = condition.width == Width::W32;
    let half: u64 = if narrow { 0xffff_ffff } else { u64::MAX };
    let native = narrow == (arch.register_bits() == 32);
    if !narrow && !native {
        let message = format!("minijail compares 32 bits on {arch}, the rule 64");
        return Err(at(index, message));
    }
    Ok(match &condition.op {
        Op::Masked { mask, value } => masked(mask & half, *value),
        Op::NotMasked { mask, value } => not(masked(mask & half, *value)),
        Op::Equal(v) | Op::NotEqual(v) if !native => {
            let equal = match v & !half {
                0 => masked(half, *v),
                _ => Formula::constant(false),
            };
            match condition.op {
                Op::Equal(_) => equal,
                _ => not(equal),
            }
        }
        Op::In(ranges) if native => Formula::Any(
            ranges
                .iter()
                .map(|(low, high)| match low == high {
                    true => same(Op::Equal(*low)),
                    false => Formula::All(vec![
                        same(Op::GreaterEqual(*low)),
                        same(Op::LessEqual(*high)),
                    ]),
                })
                .collect(),
        ),
        Op::NotIn(_) if native => {
            let op = condition.op.clone().opposite();
            let inside = Condition {
                op,
                ..condition.clone()
            };
            not(sayable(arch, index, &inside)?)
        }
        _ if native => Formula::Test(condition.clone()),
        _ => {
            return Err(at(
                index,
                format!(
                    "minijail compares {} bits; an order among other widths has no words there",
                    arch.register_bits()
                ),
            ));
        }
    })
}

fn conjunction(arch: Arch, index: usize, conditions: &[Condition]) -> Result<String, Unsayable> {
    let all: u64 = match arch.register_bits() {
        64 => u64::MAX,
        _ => 0xffff_ffff,
    };
    let said = conditions.iter().map(|condition| {
        let (sign, value) = match &condition.op {
            Op::Equal(v) => ("==", *v),
            Op::NotEqual(v) => ("!=", *v),
            Op::Less(v) => ("<", *v),
            Op::LessEqual(v) => ("<=", *v),
            Op::Greater(v) => (">", *v),
            Op::GreaterEqual(v) => (">=", *v),
            // `sayable` leaves only these two forms, with the value zero.
            Op::NotMasked { mask, .. } => ("&", *mask),
            Op::Masked { mask, .. } => ("in", !mask & all),
            Op::In(_) | Op::NotIn(_) => return Err(at(index, "minijail has no ranges")),
        };
        if value & !all != 0 {
            let message = format!("{value:#x} is wider than the registers of {arch}");
            return Err(at(index, message));
        }
        Ok(format!("arg{} {sign} {value:#x}", condition.index))
    });
    let said: Vec<String> = said.collect::<Result<_, _>>()?;
    Ok(said.join(" && "))
}

fn action(action: Action) -> String {
    match action {
        Action::KillProcess => "kill-process".into(),
        Action::KillThread => "kill-thread".into(),
        Action::Trap(_) => "trap".into(),
        Action::Errno(number) => format!("return {number}"),
        Action::Notify => "user-notify".into(),
        Action::Trace(_) => "trace".into(),
        Action::Log => "log".into(),
        Action::Allow => "allow".into(),
    }
}

fn at(rule: usize, message: impl Into<String>) -> Unsayable {
    Unsayable::rule((0, rule), message)
}
