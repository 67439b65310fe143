//! Live processes: follows a program and all that it starts, and explains each denial.
//!
//! The tracer costs nothing while the program runs in its set: no system call is stopped that the
//! filter answers by itself. What it takes part in are signals, new tasks, execs and exits, and the
//! calls for which the filter asks (`SECCOMP_RET_TRACE`).
//!
//! A task that its filter kills stands at `PTRACE_EVENT_EXIT` with the registers of the call and
//! its memory still there. Such a stop, with no signal stop before it and at registers that the
//! filter kills, is the record on which the class `denied` rests; a bare SIGSYS is not.
//!
//! Limits. A task has one tracer: debuggers do not work inside. A child made with `CLONE_UNTRACED`
//! keeps its filter and has no tracer: its denials are not told, a call for which its filter asks
//! gets ENOSYS from the kernel, and it may outlive the root. A process that made itself
//! non-dumpable is told without its stack unless the launcher is privileged. Signals that a program
//! ignores wake it because it is traced; that a call returns EINTR for it (signal(7)) is kept from the
//! program, but on aarch64 not from a task in which the handler of another signal has run before, or which
//! was created after one has run anywhere: there the kernel tells an interrupted call not apart from the
//! return of a handler. Who has handlers must expect EINTR.

mod arguments;
mod audit;
mod borrowed;
mod core_calls;
mod decide;
mod denial;
mod denials;
mod entry;
mod files;
mod function;
#[cfg(feature = "fuzz")]
pub mod hostile;
mod image;
mod job;
mod memory;
mod native;
mod paths;
mod phases;
pub mod record;
mod source;
mod stack;
mod tracer;

pub use arguments::Shown;
pub use audit::{Access, Asked, Audit, Audited, Filtered, Maker, Unread};
pub use core_calls::core_calls;
pub use decide::{Action, Call, Decide, Decision};
pub use denial::{Answer, Denial, Elsewhere, Frame, Omitted};
pub use files::{FileId, Files};
pub use phases::{Held, Phase, Phases};
pub use source::{Function, Sources};
pub use tracer::{Mode, Record, Start, follow, follow_recorded};
