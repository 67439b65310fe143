//! The lifter of an architecture.

use super::{Convention, Flow, Machine, x86_64};

/// Decodes and lifts instructions of one function after another.
pub struct Lifter(x86_64::Lifter);

impl Lifter {
    /// One for the architecture of `convention`.
    pub fn of(_: &Convention) -> Lifter {
        Lifter(x86_64::Lifter::default())
    }

    /// Lifts the instruction that `code` begins with and that stands at `at`: its length and
    /// where control goes next. Length 0 only with [`Flow::Invalid`].
    pub fn lift<M: Machine>(&mut self, code: &[u8], at: u64, m: &mut M) -> (usize, Flow<M::V>) {
        self.0.lift(code, at, m)
    }
}
