//! What is told of a call that was denied, or let through while observing.

use std::path::PathBuf;

use crate::arguments::Shown;
use crate::decide::Call;
use crate::files::FileId;

/// A call outside the set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The process that made it.
    pub pid: i32,
    /// The task whose own registers say so.
    pub tid: i32,
    /// The task's name: text of the program.
    pub thread: Vec<u8>,
    /// The file that the process executes.
    pub image: Option<PathBuf>,
    /// The call.
    pub call: Call,
    /// What became of it.
    pub answer: Answer,
    /// The rule that answered, by its place in the policy; `None` for a default.
    pub rule: Option<usize>,
    /// What arguments lead to, by argument. Observed: the program could have changed it since, so nothing may
    /// be decided by it.
    pub shown: Vec<(u8, Shown)>,
    /// The system call instruction first, then the return addresses of its callers.
    pub backtrace: Vec<Frame>,
    /// How often it was made at this instruction, with the same arguments that say what it does.
    pub count: u64,
}

/// What became of a call outside the set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Answer {
    /// The process was killed.
    Killed,
    /// The thread was killed.
    ThreadKilled,
    /// The program got a SIGSYS for it; it was killed when it had no way to take that.
    Trapped,
    /// It got this error number.
    Errno(u16),
    /// It was made: this was an observation.
    LetThrough,
    /// A filter of the program's own killed the process for it; the policy allows it.
    OwnKilled,
    /// A filter of the program's own killed the thread for it.
    OwnThreadKilled,
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
    /// The same file among those that the record holds open.
    pub file: Option<FileId>,
    /// The place was computed, from the first frame on, by tables that the compiler made or by code that leads
    /// nowhere else. Otherwise it is what the nearest return, frame pointers, or a word that looks like a return
    /// address say.
    pub certain: bool,
}

/// Denials that are counted and not told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Omitted {
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The call; `None` for all that no table knows.
    pub number: Option<u32>,
    /// What became of them.
    pub answer: Answer,
    /// How many there were.
    pub count: u64,
}
