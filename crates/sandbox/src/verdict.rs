//! How it ended, measured from outside.

use crate::cgroup::Shortage;
use crate::plan::Mode;

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Verdict<R> {
    /// Whether the filter held.
    pub mode: Mode,
    /// How the program ended.
    pub outcome: Outcome,
    /// What held, layer by layer.
    pub enforced: Vec<Layer>,
    /// What did not.
    pub not_enforced: Vec<Missing>,
    /// Limits that something of the run came up against without being what ended the program.
    pub reached: Vec<Reached>,
    /// What the kernel ended of the run for want of memory; `None` where nobody counts that.
    pub shortage: Option<Shortage>,
    /// What it consumed.
    pub usage: Usage,
    /// What the observer saw: denials and, when observing, calls outside the set.
    pub report: R,
}

impl<R> Verdict<R> {
    /// The exit code that the launcher passes on: the program's own, 128 + its signal, 159 after a
    /// denial, 124 when a limit ended it, 125 when Portcullis ended it.
    pub fn exit_code(&self) -> i32 {
        match &self.outcome {
            Outcome::Exited(code) => *code,
            Outcome::Signaled(signal) => 128 + signal,
            Outcome::Denied | Outcome::OwnFilter => 128 + libc::SIGSYS,
            Outcome::Limit(_) => 124,
            Outcome::Failed(_) | Outcome::Unbounded => 125,
        }
    }
}

/// How the program ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// By its filter: an exit stop at registers that the filter kills.
    Denied,
    /// By a filter that it installed itself.
    OwnFilter,
    /// It was over this limit, and ended for it.
    Limit(&'static str),
    /// Portcullis ended it, and why.
    Failed(String),
    /// Somebody took it out of its control group while it ran, so its limits were not kept to the end.
    Unbounded,
}

/// A limit that was reached, by the counters of the run's cgroup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    /// `processes`: a task was not made. `memory`: a process was ended.
    pub limit: &'static str,
    /// How often.
    pub count: u64,
}

/// A layer that held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layer {
    /// Its name.
    pub layer: &'static str,
    /// What of the kernel enforces it.
    pub mechanism: &'static str,
    /// Whom it binds.
    pub scope: &'static str,
    /// How much it allows.
    pub detail: String,
}

/// A layer of the default that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// Its name.
    pub layer: &'static str,
    /// Why not.
    pub reason: String,
    /// It is not the user's wish: he must be told.
    pub surprises: bool,
}

/// What the program, and the children that it waited for, consumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// User and system time in nanoseconds.
    pub cpu_ns: u64,
    /// From the launch exec to the end, in nanoseconds.
    pub wall_ns: u64,
    /// The largest resident size that one process reached, in bytes.
    pub peak_memory_bytes: u64,
}
