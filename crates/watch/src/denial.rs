//! What is told of a call that was denied, or let through while observing.

use std::path::PathBuf;

use crate::decide::Call;

/// A call outside the set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The process that made it.
    pub pid: i32,
    /// The task whose own registers say so.
    pub tid: i32,
    /// The call.
    pub call: Call,
    /// What became of it.
    pub answer: Answer,
    /// The rule that answered, by its place in the policy; `None` for a default.
    pub rule: Option<usize>,
    /// Strings that path arguments pointed to, by argument. Observed: the program could have
    /// changed them since, so nothing may be decided by them.
    pub strings: Vec<(u8, Vec<u8>)>,
    /// The system call instruction first, then the return addresses of its callers.
    pub backtrace: Vec<Frame>,
    /// How often it was made at this instruction.
    pub count: u64,
}

/// What became of a call outside the set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// The process was killed.
    Killed,
    /// It got this error number.
    Errno(u16),
    /// It was made: this was an observation.
    LetThrough,
}

/// One place on a stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Address in the process.
    pub address: u64,
    /// The file mapped there, as the kernel names it.
    pub object: Option<PathBuf>,
    /// The address in that file, not relocated, as its symbols have it.
    pub file_address: Option<u64>,
}
