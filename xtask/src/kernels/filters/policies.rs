//! The policies that run.

use std::fs;

use anyhow::{Context as _, Result, anyhow, ensure};
use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{Action, Baseline, Condition, Op, Policy, Rule, Span, Table, Width, toml};

use crate::place;

/// The fewest profiles that are shipped for an architecture.
const FEWEST: usize = 3;
/// Numbers from here on are newer than every policy here.
const NEWEST: u32 = 470;

/// Policies by name, for a machine: the shipped profiles, and those that have every answer and every
/// comparison.
pub(super) fn all(arch: Arch) -> Result<Vec<(String, Policy)>> {
    let mut all = vec![
        ("every-answer".to_owned(), every_answer(arch)?),
        ("every-comparison".to_owned(), every_comparison(&[arch])),
    ];
    if arch == Arch::X86_64 {
        let every = every_comparison(&[arch, Arch::X32, Arch::I386]);
        all.push(("three-architectures".to_owned(), every));
    }
    let few = all.len();
    let directory = place::root().join("profiles");
    for entry in fs::read_dir(&directory).context("list the profiles")? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let name = path.file_stem().context("a profile without a name")?;
        let name = name.to_string_lossy().into_owned();
        if name.ends_with(".profile") {
            continue;
        }
        let policy = toml::read(&fs::read_to_string(&path)?)
            .map_err(|mistakes| anyhow!("{name}: {mistakes:?}"))?;
        if policy.tables.iter().any(|table| table.arch == arch) {
            all.push((name, policy));
        }
    }
    ensure!(all.len() >= few + FEWEST, "profiles of {arch} are missing");
    Ok(all)
}

fn rule(calls: impl Into<Span>, action: Action, conditions: Vec<Condition>) -> Rule {
    Rule {
        calls: calls.into(),
        conditions,
        action,
        provenance: vec![],
    }
}

fn table(arch: Arch, rules: Vec<Rule>, default: Action) -> Table {
    let base = if arch == Arch::X32 { Arch::X32_BIT } else { 0 };
    Table {
        arch,
        rules,
        baseline: Baseline::Number(Sysno(base + NEWEST)),
        default,
        newer: Action::ENOSYS,
        x32_is_native: false,
    }
}

fn every_answer(arch: Arch) -> Result<Policy> {
    let answers = [
        ("read", Action::Allow),
        ("getpid", Action::Log),
        ("write", Action::Errno(1)),
        ("openat", Action::Errno(0)),
        ("close", Action::Errno(4095)),
        ("fstat", Action::KillProcess),
        ("dup", Action::KillThread),
        ("ppoll", Action::Trap(0)),
        ("getppid", Action::Trace(7)),
        ("getuid", Action::Notify),
        ("exit_group", Action::Allow),
        ("kill", Action::Allow),
        ("reboot", Action::Allow),
    ];
    let mut rules = Vec::new();
    for (name, action) in answers {
        let number = arch.number(name).with_context(|| format!("no {name}"))?;
        rules.push(rule(number, action, vec![]));
    }
    for (first, last, action) in [(300, 310, Action::Errno(5)), (500, 510, Action::Errno(6))] {
        let span = Span {
            first: Sysno(first),
            last: Sysno(last),
        };
        rules.push(rule(span, action, vec![]));
    }
    Ok(Policy::of(
        table(arch, rules, Action::KillProcess),
        Action::KillProcess,
    ))
}

fn every_comparison(arches: &[Arch]) -> Policy {
    Policy {
        tables: arches.iter().map(|arch| comparisons(*arch)).collect(),
        foreign: Action::KillProcess,
        phases: Vec::new(),
        ramp: None,
    }
}

fn comparisons(arch: Arch) -> Table {
    let wide = |index, op| Condition {
        index,
        width: Width::W64,
        op,
    };
    let low = |index, op| Condition {
        index,
        width: Width::W32,
        op,
    };
    let ops = [
        Op::Equal(0x1_0000_0002),
        Op::Equal(2),
        Op::NotEqual(2),
        Op::Less(1 << 32),
        Op::LessEqual(7),
        Op::Greater(0x1_0000_0000),
        Op::GreaterEqual(5),
        Op::Masked { mask: 6, value: 2 },
        Op::Masked {
            mask: 1 << 40 | 1,
            value: 1 << 40,
        },
        Op::NotMasked { mask: 6, value: 2 },
        Op::In(vec![(1, 1), (3, 9), (1 << 33, 1 << 34)]),
        Op::NotIn(vec![(0, 1), (3, 9)]),
    ];
    let base = if arch == Arch::X32 { Arch::X32_BIT } else { 0 };
    let mut rules = Vec::new();
    let mut index = 0;
    for (number, op) in (base..).zip(ops) {
        rules.push(rule(
            Sysno(number),
            Action::Allow,
            vec![wide(index, op.clone())],
        ));
        let narrow = low(index, op);
        index = (index + 1) % 6;
        // A word of 32 bits cannot have bit 40.
        let possible = match narrow.op {
            Op::Masked { value, .. } => u32::try_from(value).is_ok(),
            _ => narrow.ranges().is_none_or(|ranges| !ranges.is_empty()),
        };
        if possible {
            let both = vec![narrow, low(index, Op::Equal(1))];
            rules.push(rule(Sysno(number + 200), Action::Allow, both));
        }
    }
    table(arch, rules, Action::Errno(1))
}
