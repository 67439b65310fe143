//! Rules and calls as a person reads them.

use std::fmt::Write as _;

use portcullis_abi::{Arch, ArgValue, Sysno};

use crate::{Action, Condition, Op, Rule, Table, Width};

/// Values that are written down; of more, how many there are.
const MOST_SHOWN: usize = 8;

/// The name of a call, or its number when no table knows it.
pub fn call(arch: Arch, number: Sysno) -> String {
    arch.name(number).map_or(number.to_string(), str::to_owned)
}

/// A rule: `ioctl(arg1:32 == 0x5401): allow`.
pub fn rule(table: &Table, rule: &Rule) -> String {
    let conditions: Vec<String> = rule.conditions.iter().map(condition).collect();
    let conditions = match conditions.is_empty() {
        true => String::new(),
        false => format!("({})", conditions.join(", ")),
    };
    let calls = table.call_name(rule.calls);
    format!("{calls}{conditions}: {}", action(rule.action))
}

/// An answer: `errno 38`.
pub fn action(action: Action) -> String {
    match action {
        Action::KillProcess => "kill the process".into(),
        Action::KillThread => "kill the thread".into(),
        Action::Trap(_) => action.to_string(),
        Action::Errno(errno) => format!("errno {errno}"),
        Action::Notify => "ask the supervisor".into(),
        Action::Trace(data) => format!("trace {data}"),
        Action::Log => "log".into(),
        Action::Allow => "allow".into(),
    }
}

fn condition(condition: &Condition) -> String {
    let width = match condition.width {
        Width::W32 => ":32",
        Width::W64 => "",
    };
    let arg = format!("arg{}{width}", condition.index);
    match &condition.op {
        Op::Equal(v) => format!("{arg} == {v:#x}"),
        Op::NotEqual(v) => format!("{arg} != {v:#x}"),
        Op::Less(v) => format!("{arg} < {v:#x}"),
        Op::LessEqual(v) => format!("{arg} <= {v:#x}"),
        Op::Greater(v) => format!("{arg} > {v:#x}"),
        Op::GreaterEqual(v) => format!("{arg} >= {v:#x}"),
        Op::Masked { mask, value } => format!("{arg} & {mask:#x} == {value:#x}"),
        Op::NotMasked { mask, value } => format!("{arg} & {mask:#x} != {value:#x}"),
        Op::In(all) => format!("{arg} in {}", ranges(all)),
        Op::NotIn(all) => format!("{arg} not in {}", ranges(all)),
    }
}

fn ranges(all: &[(u64, u64)]) -> String {
    let one = |&(from, to): &(u64, u64)| match from == to {
        true => format!("{from:#x}"),
        false => format!("{from:#x}..={to:#x}"),
    };
    let all: Vec<String> = all.iter().map(one).collect();
    format!("[{}]", all.join(", "))
}

/// What is known of arguments: `arg1 = 0x5401`.
pub fn arguments(args: &[(u8, ArgValue)]) -> String {
    let mut text = String::new();
    for (index, known) in args {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}arg{index} = {}", value(known));
    }
    text
}

/// What is known of an argument: `0x1|0x2`.
pub fn value(value: &ArgValue) -> String {
    let hex = |all: &[u64]| {
        let shown: Vec<String> = all
            .iter()
            .take(MOST_SHOWN)
            .map(|v| format!("{v:#x}"))
            .collect();
        let more = match all.len().saturating_sub(MOST_SHOWN) {
            0 => String::new(),
            more => format!("|… {more} more"),
        };
        format!("{}{more}", shown.join("|"))
    };
    match value {
        ArgValue::Any => "anything".into(),
        ArgValue::Values(all) => hex(all),
        ArgValue::Ranges(all) => {
            let one = |&(from, to, step): &(u64, u64, u64)| match step {
                0 | 1 => format!("{from:#x}..={to:#x}"),
                _ => format!("{from:#x}..={to:#x} by {step:#x}"),
            };
            let all: Vec<String> = all.iter().take(MOST_SHOWN).map(one).collect();
            all.join("|")
        }
        ArgValue::Masked { mask, values } => format!("{} in the bits {mask:#x}", hex(values)),
        ArgValue::Text(text) => format!("{text:?}"),
    }
}
