//! What is answered to calls that no rule is about: formats leave that to their compilers.

use portcullis_abi::Arch;

use super::super::libseccomp::{ABOVE_X32, BAD_ARCH};
use super::super::{Concessions, Unsayable, scmp};
use super::Compiler;
use crate::{Action, Baseline, Policy, Rule, Table};

/// Refuses a policy whose answers to calls that no rule is about are not the compiler's.
pub(super) fn check(
    policy: &Policy,
    at: usize,
    compiler: Compiler,
    conceded: Concessions,
) -> Result<(), Unsayable> {
    let table = &policy.tables[at];
    let refuse = |message: String| Err(Unsayable::whole(message));
    let arch = table.arch;
    if table.default != policy.tables[0].default {
        return refuse(format!(
            "the default of {arch} is another one; the format has one default"
        ));
    }
    if !conceded.newer && table.baseline != Baseline::All && table.newer != table.default {
        return refuse(format!(
            "newer calls are answered {} here; the format has the default {} alone",
            scmp::shown(table.newer),
            scmp::shown(table.default)
        ));
    }
    let foreign = match compiler {
        Compiler::Libseccomp => BAD_ARCH,
        Compiler::Seccompiler => Action::KillProcess,
    };
    if !conceded.foreign && policy.foreign != foreign {
        return refuse(format!(
            "calls of other architectures are answered {} here; the format's compiler answers {}",
            scmp::shown(policy.foreign),
            scmp::shown(foreign)
        ));
    }
    if arch != Arch::X86_64 || conceded.foreign {
        return Ok(());
    }
    match compiler {
        Compiler::Seccompiler if !table.x32_is_native && policy.foreign != table.default => refuse(
            "numbers of x32 are foreign here; the format's compiler does not look at them".into(),
        ),
        Compiler::Libseccomp if table.x32_is_native => {
            refuse("numbers of x32 are like others here; libseccomp takes them for foreign".into())
        }
        Compiler::Libseccomp if !conceded.newer && !above_x32_is_foreign(policy, table) => refuse(
            "numbers from 0x80000000 up, which no kernel has, are answered as unknown ones here; \
             libseccomp answers them as foreign"
                .into(),
        ),
        _ => Ok(()),
    }
}

fn above_x32_is_foreign(policy: &Policy, table: &Table) -> bool {
    let touches = |r: &&Rule| r.calls.first <= ABOVE_X32.last && ABOVE_X32.first <= r.calls.last;
    let unlisted = match table.baseline {
        Baseline::All => table.default,
        Baseline::Number(_) | Baseline::Kernel(_) => table.newer,
    };
    // With x32 in the file libseccomp answers them as it answers unknown calls.
    let with_x32 = has_x32(policy);
    let expected = if with_x32 { table.default } else { BAD_ARCH };
    match table.rules.iter().find(touches) {
        None => unlisted == expected,
        Some(r) => is_above_x32(r) && !with_x32,
    }
}

/// Whether x32 is in what is written.
pub(super) fn has_x32(policy: &Policy) -> bool {
    policy.tables.iter().any(|t| t.arch == Arch::X32)
}

/// Whether it is the rule by which readers say what libseccomp does above x32's numbers.
pub(super) fn is_above_x32(rule: &Rule) -> bool {
    rule.calls == ABOVE_X32 && rule.conditions.is_empty() && rule.action == BAD_ARCH
}
