//! What a filter costs, and what the kernel makes of it.

use portcullis_abi::Arch;
use portcullis_policy::{Action, Policy, Segment, Segments};

use crate::Program;
use crate::instruction::{Instruction, code};
use crate::interpret::holds;

/// Instructions that all filters of a process may have together, each with four more
/// (`MAX_INSNS_PER_PATH` and `seccomp_attach_filter`, kernel/seccomp.c).
pub const PATH_BUDGET: usize = 32768;
/// What the kernel adds to the length of each filter there.
const PATH_OVERHEAD: usize = 4;
/// The bit of x32 numbers; they are never cached.
const X32: u32 = Arch::X32_BIT;

/// What a filter costs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cost {
    /// How many instructions it has.
    pub instructions: usize,
    /// The most that are run for one call.
    pub longest: usize,
}

impl Cost {
    /// Measures a filter.
    pub fn of(program: &Program) -> Cost {
        let all = program.instructions();
        // From the end: what an instruction goes to has been counted. Programs are checked, so that
        // every jump stays inside.
        let mut longest = vec![0usize; all.len() + 1];
        for (at, i) in all.iter().enumerate().rev() {
            let to = |skip: usize| longest.get(at + 1 + skip).copied().unwrap_or_default();
            longest[at] = 1 + match i.code {
                code::RET_K | code::RET_A => 0,
                code::JA => to(i.k as usize),
                op if op & 7 == code::JMP => to(i.jt.into()).max(to(i.jf.into())),
                _ => to(0),
            };
        }
        Cost {
            instructions: all.len(),
            longest: longest[0],
        }
    }

    /// How many such filters a process can have, one installed after the other.
    pub fn most_stacked(&self) -> usize {
        PATH_BUDGET / (self.instructions + PATH_OVERHEAD)
    }
}

/// Whether the kernel finds, when it installs the filter, that a call is allowed whatever its
/// arguments: it then never runs the filter for it.
///
/// The same emulation as `seccomp_is_const_allow` (kernel/seccomp.c): only loads of number and
/// architecture, comparisons with constants, and `and` with one.
pub fn is_cached(program: &Program, arch: u32, number: u32) -> bool {
    let mut a = 0u32;
    let mut at = 0;
    while let Some(&Instruction {
        code: op,
        jt,
        jf,
        k,
    }) = program.instructions().get(at)
    {
        at += 1;
        match op {
            code::LD_W_ABS if k == 0 => a = number,
            code::LD_W_ABS if k == 4 => a = arch,
            code::RET_K => return k == Action::Allow.code(),
            code::JA => at += k as usize,
            code::JEQ_K | code::JGE_K | code::JGT_K | code::JSET_K => {
                at += usize::from(if holds(op, a, k) { jt } else { jf });
            }
            code::AND_K => a &= k,
            _ => return false,
        }
    }
    false
}

/// Calls that `policy` allows whatever their arguments and that the kernel would run `program` for all
/// the same, by architecture and number; a compiled filter has none.
pub fn uncached(program: &Program, policy: &Policy) -> Vec<(u32, u32)> {
    let arches = policy.audit_arches().into_iter();
    let found = arches.map(|arch| uncached_of(program, arch, &policy.segments(arch)));
    found.flatten().collect()
}

/// Those of one architecture, whose numbers are cut into `segments`.
pub(crate) fn uncached_of(
    program: &Program,
    arch: u32,
    segments: &Segments<'_>,
) -> Vec<(u32, u32)> {
    let always = |segment: &&Segment| match segments.rules(segment) {
        [] => segment.otherwise == Action::Allow,
        [first, ..] => first.conditions.is_empty() && first.action == Action::Allow,
    };
    let native = segments.iter().filter(|s| s.first & X32 == 0);
    let numbers = native
        .filter(always)
        .flat_map(|s| s.first..=s.last.min(MOST_CACHED));
    let run = numbers.filter(|n| !is_cached(program, arch, *n));
    run.map(|n| (arch, n)).collect()
}

/// Numbers above are beyond every table for which the kernel keeps a cache (`NR_syscalls`,
/// `IA32_NR_syscalls`: below 512 in Linux 6.18).
const MOST_CACHED: u32 = 511;
