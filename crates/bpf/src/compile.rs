//! From a policy to a filter.
//!
//! A policy becomes a decision diagram over the words of `struct seccomp_data`
//! ([`decision`]): equal parts are one, rules that cannot matter any more are gone, and nothing is
//! asked twice. Each of its nodes tells ranges of one word apart, and becomes a tree of few comparisons
//! ([`tree`]). The filter is made from its end to its start, because jumps only go forward: what an
//! instruction jumps to exists already when the instruction is made ([`layout`]).
//!
//! Architecture and number are asked first and alone, with nothing but loads and comparisons with
//! constants: that is what the kernel's own emulation follows when it looks for numbers that are always
//! allowed (`seccomp_is_const_allow`, kernel/seccomp.c), and those skip the filter altogether.

mod decision;
mod layout;
mod question;
mod tree;

use portcullis_policy::{Policy, Segments};

use crate::cost::uncached_of;
use crate::{Invalid, Program};
use decision::Diagram;
use tree::Emitter;

/// Why there is no filter: the policy needs a longer one than the kernel takes, or a worse one came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoFilter {
    /// As a filter it is one that the kernel refuses.
    #[error(
        "the policy cannot be a filter: {0}; allow whole calls where arguments do not matter, \
         or write neighbouring values as one range"
    )]
    Refused(Invalid),
    /// It tells more cases apart than fit.
    #[error(
        "the policy cannot be a filter: the conditions of call {number} make more than {most} cases; \
         merge rules that differ in one argument, or leave an argument out"
    )]
    Cases {
        /// The call's number.
        number: u32,
        /// How many would be followed.
        most: usize,
    },
    /// A call that is always allowed would run the filter, which is a defect of the compiler.
    #[error(
        "the filter that was made would be run for call {number} on {arch:#x}, which is always allowed; \
         please report it"
    )]
    Uncached {
        /// `AUDIT_ARCH_*`.
        arch: u32,
        /// The call's number.
        number: u32,
    },
}

/// Compiles a policy. What comes out is not trusted: [`crate::verify()`] proves it.
pub fn compile(policy: &Policy) -> Result<Program, NoFilter> {
    compile_for(policy, &[])
}

/// The same, with the numbers of calls that will be made most often: they are found by the fewest
/// comparisons. It changes the order of the filter, never its meaning.
pub fn compile_for(policy: &Policy, hot: &[u32]) -> Result<Program, NoFilter> {
    let mut diagram = Diagram::default();
    let arches = policy.audit_arches().into_iter();
    let arches: Vec<(u32, Segments<'_>)> = arches.map(|a| (a, policy.segments(a))).collect();
    let mut numbers = Vec::with_capacity(arches.len());
    for (arch, segments) in &arches {
        numbers.push((*arch, diagram.numbers(segments)?));
    }
    let instructions = Emitter::new(&diagram, hot).filter(&numbers, policy.foreign);
    cached(
        Program::new(instructions).map_err(NoFilter::Refused)?,
        &arches,
    )
}

/// The filter, when the kernel never runs it for what is always allowed.
fn cached(program: Program, arches: &[(u32, Segments<'_>)]) -> Result<Program, NoFilter> {
    let mut run = arches.iter();
    match run.find_map(|(arch, of)| uncached_of(&program, *arch, of).first().copied()) {
        None => Ok(program),
        Some((arch, number)) => Err(NoFilter::Uncached { arch, number }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instruction;
    use portcullis_abi::{Arch, Sysno};
    use portcullis_policy::Derivation;

    #[test]
    fn a_filter_that_looks_at_arguments_too_early_is_refused() {
        let policy = Derivation::new(Arch::X86_64, [Sysno(0)]).policy();
        let program = compile(&policy).expect("small");
        let mut rows = program.instructions().to_vec();
        rows.insert(
            0,
            Instruction {
                code: 0x20,
                jt: 0,
                jf: 0,
                k: 16,
            },
        );
        let slow = Program::new(rows).expect("the kernel takes it");
        let arch = Arch::X86_64.audit_arch();
        let segments = [(arch, policy.segments(arch))];
        let refused = cached(slow, &segments).expect_err("it is run for read");
        assert_eq!(refused, NoFilter::Uncached { arch, number: 0 });
    }
}
