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
    /// The phase whose filter denied it.
    pub phase: Option<usize>,
    /// The rule that answered, by its place in the policy; `None` for a default.
    pub rule: Option<usize>,
    /// What arguments lead to, by argument. Observed: the program could have changed it since, so nothing may
    /// be decided by it.
    pub shown: Vec<(u8, Shown)>,
    /// The system call instruction first, then the return addresses of its callers.
    pub backtrace: Vec<Frame>,
    /// How often it was made at this instruction, with the same arguments that say what it does.
    pub count: u64,
    /// Those of them whose arguments led elsewhere.
    pub others: Vec<Elsewhere>,
    /// Those of them whose arguments were not looked at: they had led to too many places.
    pub unlooked: u64,
}

/// Where else the arguments of a call led.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Elsewhere {
    /// Paths and addresses, by argument. Observed, as those of the first time.
    pub shown: Vec<(u8, Shown)>,
    /// How often.
    pub count: u64,
}

/// Different places, beside the first, that are told of one denial.
const PLACES: usize = 16;

impl Denial {
    /// How often its arguments led where they did the first time.
    pub fn count_of_first(&self) -> u64 {
        let others: u64 = self.others.iter().map(|other| other.count).sum();
        self.count.saturating_sub(others + self.unlooked)
    }

    /// The same was made again; `shown` looks where its arguments lead.
    pub(crate) fn again(&mut self, shown: impl FnOnce() -> Vec<(u8, Shown)>) {
        self.count += 1;
        let first = places(&self.shown);
        if first.is_empty() {
            return;
        }
        if self.unlooked > 0 {
            self.unlooked += 1;
            return;
        }
        let now = places(&shown());
        if now == first {
            return;
        }
        match self.others.iter().position(|other| other.shown == now) {
            Some(at) => self.others[at].count += 1,
            None if self.others.len() < PLACES => self.others.push(Elsewhere {
                shown: now,
                count: 1,
            }),
            None => self.unlooked = 1,
        }
    }
}

/// The paths and addresses among what arguments lead to.
fn places(shown: &[(u8, Shown)]) -> Vec<(u8, Shown)> {
    let is_place = |(_, shown): &&(u8, Shown)| matches!(shown, Shown::Path(_) | Shown::Address(_));
    shown.iter().filter(is_place).cloned().collect()
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
