//! From a filter back to a policy, by all ways through it.

use std::collections::BTreeMap;

use portcullis_abi::Arch;
use portcullis_policy::{Action, Baseline, Condition, Policy, Rule, Span, Table};

use crate::Program;
use crate::describe::describe;
use crate::paths::{Effort, walk};
use crate::region::{ARCH, NUMBER, Region, Test};
use crate::verify::{NotEqual, Unknown, verify};

/// The architectures that a filter may tell apart by `seccomp_data.arch`.
const ARCHES: [Arch; 4] = [Arch::X86_64, Arch::I386, Arch::Aarch64, Arch::Arm];
/// The bit of x32 numbers.
const X32: u32 = Arch::X32_BIT;
/// More rules than any filter of 4096 instructions makes in practice.
const MOST_RULES: usize = 1 << 13;

/// Why a filter is no policy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoPolicy {
    /// It cannot be followed.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// It tells calls apart that policies do not.
    #[error("the filter's answer depends on {0}, which policies cannot say")]
    Unsayable(&'static str),
    /// The result was not proved equal, which is a defect here.
    #[error("the policy that was read from the filter is not the same: {0}")]
    NotEqual(NotEqual),
}

/// Calls of one architecture that get one answer.
struct Part {
    numbers: Span,
    conditions: Vec<Condition>,
    action: Action,
}

/// The policy that answers every call as `program` does; that it does is proved.
pub fn import(program: &Program) -> Result<Policy, NoPolicy> {
    let mut parts: BTreeMap<Arch, Vec<Part>> = BTreeMap::new();
    let mut effort = Effort::new();
    let mut others = Region::all();
    for arch in ARCHES {
        let this = Test::Masked(u32::MAX, arch.audit_arch());
        others = others.cut(ARCH, this, false);
        let own = Region::all().cut(ARCH, this, true);
        walk(program, own, &mut effort, &mut |region, action, _| {
            let Some(described) = describe(region).map_err(Unknown::from)? else {
                return Err(NoPolicy::Unsayable("where a call is made"));
            };
            let parts = parts.entry(arch).or_default();
            for numbers in described.numbers {
                if parts.len() >= MOST_RULES {
                    return Err(Unknown::TooHard.into());
                }
                parts.push(Part {
                    numbers,
                    conditions: described.conditions.clone(),
                    action,
                });
            }
            Ok(())
        })?;
    }
    let mut foreign = None;
    walk(
        program,
        others,
        &mut effort,
        &mut |_, action, _| match *foreign.get_or_insert(action) == action {
            true => Ok(()),
            false => Err(NoPolicy::Unsayable("an architecture that no table is of")),
        },
    )?;
    let foreign = foreign.unwrap_or(Action::KillProcess);
    let mut tables = Vec::new();
    for (arch, parts) in parts {
        if parts.iter().any(|p| p.action != foreign) {
            let x32_is_native = arch == Arch::X86_64 && !x32_gets(program, foreign)?;
            tables.push(table(arch, parts, x32_is_native));
        }
    }
    let policy = Policy {
        tables,
        foreign,
        phases: Vec::new(),
        ramp: None,
    };
    verify(program.clone(), &policy).map_err(NoPolicy::NotEqual)?;
    Ok(policy)
}

/// Whether every x32 call gets this answer.
fn x32_gets(program: &Program, answer: Action) -> Result<bool, Unknown> {
    let x32 = Region::all()
        .cut(ARCH, Test::Masked(u32::MAX, Arch::X32.audit_arch()), true)
        .cut(NUMBER, Test::Masked(X32, X32), true)
        .cut(NUMBER, Test::Masked(u32::MAX, u32::MAX), false);
    let mut all = true;
    walk(program, x32, &mut Effort::new(), &mut |_, action, _| {
        all &= action == answer;
        Ok::<(), Unknown>(())
    })?;
    Ok(all)
}

/// The parts have no call in common, so that their order says nothing and what the default answers
/// needs no rule.
fn table(arch: Arch, mut parts: Vec<Part>, x32_is_native: bool) -> Table {
    if arch == Arch::X86_64 && !x32_is_native {
        parts = parts.into_iter().flat_map(without_x32).collect();
    }
    let mut sizes: BTreeMap<Action, u64> = BTreeMap::new();
    for part in &parts {
        let numbers = u64::from(part.numbers.last.0 - part.numbers.first.0) + 1;
        *sizes.entry(part.action).or_default() += numbers;
    }
    let default = sizes.into_iter().max_by_key(|(_, size)| *size);
    let default = default.map_or(Action::KillProcess, |(action, _)| action);
    parts.retain(|p| p.action != default);
    parts.sort_by_key(|p| p.numbers);
    let rule = |part: Part| Rule {
        calls: part.numbers,
        conditions: part.conditions,
        action: part.action,
        provenance: Vec::new(),
    };
    Table {
        arch,
        rules: parts.into_iter().map(rule).collect(),
        baseline: Baseline::All,
        default,
        newer: default,
        x32_is_native,
    }
}

/// The part of the numbers that are none of x32.
fn without_x32(part: Part) -> Vec<Part> {
    let native = [
        (0, X32 - 1),
        (X32 << 1, (X32 | X32 << 1) - 1),
        (u32::MAX, u32::MAX),
    ];
    let within = native.into_iter().filter_map(|(low, high)| {
        let first = part.numbers.first.0.max(low);
        let last = part.numbers.last.0.min(high);
        (first <= last).then(|| Part {
            numbers: Span {
                first: portcullis_abi::Sysno(first),
                last: portcullis_abi::Sysno(last),
            },
            conditions: part.conditions.clone(),
            action: part.action,
        })
    });
    within.collect()
}
