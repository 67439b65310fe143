//! Numbers and names: the union of a maintained list and of the kernel's headers, which also name
//! what the list leaves out because no kernel implements it any more. A filter must know those too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use super::inputs::Inputs;
use super::since::{self, Version};
use super::{NEWEST, Port, head};

/// `__X32_SYSCALL_BIT`.
const X32: u32 = 0x4000_0000;
/// `__ARM_NR_BASE`: private calls of arm stand above all others.
const ARM_PRIVATE: u32 = 0x000f_0000;
/// Macros that look like a call and are none, or are another name of one (`abi` knows the alias):
/// the ends of ranges, and `sync_file_range2`, which arm's table calls `arm_sync_file_range`.
const NO_CALL: &[&str] = &[
    "syscalls",
    "arch_specific_syscall",
    "SYSCALL_BASE",
    "OABI_SYSCALL_BASE",
    "SYSCALL_MASK",
];

/// Every call up to [`NEWEST`], by number.
pub(super) fn of(port: Port, inputs: &Inputs) -> Result<BTreeMap<u32, String>> {
    let mut calls = BTreeMap::new();
    let known = |number: u32| (number & !X32) <= NEWEST.1 || (ARM_PRIVATE..X32).contains(&number);
    for (name, number) in headers(port, inputs)?
        .into_iter()
        .chain(list(port, inputs)?)
    {
        let alias = port == Port::Arm && name == "sync_file_range2";
        // x32 has numbers of its own at 512, within the bit.
        let own = port == Port::X32 && (512..548).contains(&(number & !X32));
        if alias || !(known(number) || own) {
            continue;
        }
        let before = calls.insert(number, name.clone());
        if let Some(before) = before.filter(|b| *b != name) {
            bail!("{}: {number} is {before} and {name}", port.name());
        }
    }
    let names: BTreeSet<_> = calls.values().collect();
    if names.len() != calls.len() {
        bail!("{}: a name has two numbers", port.name());
    }
    Ok(calls)
}

/// What the list says: lines of a Python dictionary.
fn list(port: Port, inputs: &Inputs) -> Result<Vec<(String, u32)>> {
    let name = match port {
        Port::Aarch64 => "arm64",
        other => other.name(),
    };
    let text = inputs.wheel_table(name)?;
    let entries = text.lines().filter_map(|line| {
        let (name, number) = line.trim().strip_suffix(',')?.split_once(": ")?;
        Some((name.trim_matches('"').to_owned(), number.parse().ok()?))
    });
    Ok(entries.collect())
}

/// What the headers say.
fn headers(port: Port, inputs: &Inputs) -> Result<Vec<(String, u32)>> {
    let macros = inputs.macros(port, "#include <asm/unistd.h>\n")?;
    let mut calls = Vec::new();
    for (name, value) in &macros {
        let Some(call) = name
            .strip_prefix("__NR_")
            .or_else(|| name.strip_prefix("__ARM_NR_"))
        else {
            continue;
        };
        if NO_CALL.contains(&call) || call == "BASE" {
            continue;
        }
        let number = sum(value, &macros).with_context(|| format!("{name} is {value}"))?;
        calls.push((call.to_owned(), number));
    }
    Ok(calls)
}

/// The value of `a`, `(a + b)` or `(a+b)`, where each is a number or a macro that is one.
fn sum(text: &str, macros: &BTreeMap<String, String>) -> Result<u32> {
    let inner = text.trim_matches(|c: char| c == '(' || c == ')' || c.is_whitespace());
    inner.split('+').try_fold(0, |total: u32, term| {
        let term = term.trim();
        let value = match term.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16)?,
            None if term.starts_with(|c: char| c.is_ascii_digit()) => term.parse()?,
            None => sum(macros.get(term).context("no macro is called so")?, macros)?,
        };
        total.checked_add(value).context("beyond 32 bits")
    })
}

/// The module of one architecture.
pub(super) fn module(
    port: Port,
    calls: &BTreeMap<u32, String>,
    page: &BTreeMap<String, Version>,
) -> Result<String> {
    let note = match port {
        Port::X32 => "\nEach number carries `__X32_SYSCALL_BIT`, as the kernel sees it.",
        Port::Arm => "\nThe private calls of arm stand at `__ARM_NR_BASE`, 0xf0000.",
        _ => "",
    };
    let mut text = head(&format!(
        "The calls of {}, ascending, as of {}. Sources: the package `system-calls` (MIT), the\n\
         kernel's `asm/unistd.h` for what no kernel implements any more, and `since` of the task\n\
         (syscalls(2) and what it lacks).{note}",
        port.name(),
        NEWEST.0,
    ));
    text.push_str("use super::Row;\n\npub(super) const SYSCALLS: &[Row] = &[\n");
    for (number, name) in calls {
        let (major, minor, patch) = since::of(port, name, page)?;
        let number = if port == Port::X32 || *number >= ARM_PRIVATE {
            format!("0x{:04x}_{:04x}", number >> 16, number & 0xffff)
        } else {
            number.to_string()
        };
        let _ = writeln!(
            text,
            "    ({number}, \"{name}\", ({major}, {minor}, {patch})),"
        );
    }
    text.push_str("];\n");
    Ok(text)
}

/// The module of all names: the members of the group `@known`.
pub(super) fn known(calls: &BTreeMap<Port, BTreeMap<u32, String>>) -> String {
    let names: BTreeSet<&String> = calls.values().flat_map(BTreeMap::values).collect();
    let mut text = head("The name of every call of every architecture, sorted.");
    text.push_str("#[rustfmt::skip]\npub(super) const KNOWN: &[&str] = &[\n");
    for name in names {
        let _ = writeln!(text, "    \"{name}\",");
    }
    text.push_str("];\n");
    text
}
