//! The lifter of an architecture.

use portcullis_abi::Arch;

use super::{Convention, Flow, Machine, aarch64, x86_64};

/// Decodes and lifts instructions of one function after another.
pub struct Lifter(Of);

enum Of {
    X86_64(Box<x86_64::Lifter>),
    Aarch64(aarch64::Lifter),
}

impl Lifter {
    /// One for the architecture of `convention`.
    pub fn of(convention: &Convention) -> Lifter {
        Lifter(match convention.arch {
            Arch::Aarch64 => Of::Aarch64(aarch64::Lifter),
            _ => Of::X86_64(Box::default()),
        })
    }

    /// Lifts the instruction that `code` begins with and that stands at `at`: its length and
    /// where control goes next. Length 0 only with [`Flow::Invalid`].
    pub fn lift<M: Machine>(&mut self, code: &[u8], at: u64, m: &mut M) -> (usize, Flow<M::V>) {
        match &mut self.0 {
            Of::X86_64(lifter) => lifter.lift(code, at, m),
            Of::Aarch64(lifter) => lifter.lift(code, at, m),
        }
    }
}
