//! Records every call that a program and all that it starts make.
//!
//! Each task begins under full tracing: it stops at the entry of every call, before any filter, and at its
//! exit. A [`Backend`] says when a task's known calls may run free: then a filter is put into it
//! (`inject`), under which a known call costs nothing and any other still stops. A call is known by its
//! number and the arguments that say what it does ([`Made`]), for the program that makes it: after an exec a
//! task is under full tracing again, which sees also what the filter that it keeps lets through. Whoever starts others has a
//! filter that looks at calls of its own code alone (`bounds`).
//!
//! Limits. What is no system call is not seen: operations of io_uring (a remark tells of it), and what the vdso
//! answers. A child that is made with `CLONE_UNTRACED` is seen, because the flag is taken out; that of `clone3`
//! lies in memory, where another task could put it back in between. Pointers are read while the task stands
//! still, but other tasks may change what they lead to. A program that asks for the promise never to gain
//! privileges (`PR_GET_NO_NEW_PRIVS`) sees it made where the recorder has no privileges; and see the crate's
//! limits.

mod backend;
mod bounds;
mod caller;
mod confined;
#[cfg(feature = "ebpf")]
pub mod ebpf;
mod fact;
mod first;
mod free;
mod identity;
mod inject;
mod launch;
mod made;
mod observed;
mod own;
mod prelude;
mod recorder;
mod seen;
mod task;
mod touched;

use std::io;
use std::path::PathBuf;

use portcullis_policy::Policy;
use portcullis_sys::wait::{End, Usage};

pub use backend::{Adaptive, Backend, Full, Standing};
pub use caller::Caller;
pub use confined::{Confined, NotConfined};
pub use fact::{Denier, Fact, Remark, Sink};
pub use identity::Identity;
pub use launch::Spec;
pub(crate) use made::Discriminator;
pub use made::{Made, Place};
pub(crate) use observed::observed;
pub use observed::{Observed, What};
pub(crate) use recorder::Beside;
pub use seen::{CallId, ImageId, Seen};
pub use touched::Touched;

/// Why nothing was recorded, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program needs what no traced program gets.
    #[error(
        "{} would run without {privilege}: a traced program gains none. Record it as root, or record a copy \
         without them", path.display()
    )]
    Privileges {
        /// The program.
        path: PathBuf,
        /// What it would lose.
        privilege: &'static str,
    },
    /// An argument or a variable holds a zero.
    #[error("an argument or a variable of the environment holds a zero byte")]
    Nul,
    /// The kernel refused to execute it.
    #[error("cannot execute {}: {reason}", path.display())]
    NotStarted {
        /// The program.
        path: PathBuf,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The kernel refused tracing.
    #[error(
        "{0}: this machine lets nobody trace its own programs, or this process is traced itself \
         (kernel.yama.ptrace_scope; a container without ptrace)"
    )]
    Untraceable(portcullis_sys::Error),
    /// A policy's filter could not be put into the program.
    #[error(
        "the policy's filter could not be put into the program: it is not of this machine's own architecture, \
         its kernel has no vdso, or refuses the filter. Nothing of it was run"
    )]
    NotConfined,
    /// A kernel interface failed.
    #[error(transparent)]
    Sys(#[from] portcullis_sys::Error),
}

/// How a recording ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// How the program itself ended.
    pub end: End,
    /// What it, and the children it waited for, consumed.
    pub usage: Usage,
    /// Processes and threads that were seen.
    pub tasks: u64,
    /// Calls that were seen.
    pub calls: u64,
    /// Filters that were put into tasks.
    pub filters: u64,
}

/// Why a back-end was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Nothing speaks against it.
    Default,
    /// This process stands behind a filter: what it denies is seen by full tracing only.
    Filtered,
    /// It was asked for.
    Asked,
    /// The policy has answers that the kernel alone can give: what it denies is seen by full tracing only.
    Policy,
}

/// The back-end that this machine and the policy of the recording allow, and why that one.
pub fn choose(confined: Option<&Confined>) -> (Box<dyn Backend>, Reason) {
    if launch::is_filtered() {
        (Box::new(Full), Reason::Filtered)
    } else if confined.is_some_and(|own| !own.sees_denials()) {
        (Box::new(Full), Reason::Policy)
    } else {
        (Box::<Adaptive>::default(), Reason::Default)
    }
}

/// Runs the program of `spec` to its end, and all that it starts, and tells `sink` what they do; from its first
/// instruction on under the policy of `confined`, when there is one. The calling thread is the tracer of them
/// all; when it ends, the kernel kills them.
pub fn record(
    spec: &Spec,
    confined: Option<&Confined>,
    backend: &mut dyn Backend,
    sink: &mut dyn Sink,
) -> Result<Ending, Error> {
    let (held, forwarding) = launch::launch(spec, confined.is_some() || backend.frees())?;
    recorder::follow(held.pid, forwarding, confined, spec.files, backend, sink)
}

/// A program that somebody else has started and confined: it stands at its exec stop, a tracee of the calling thread,
/// behind the filter of a policy.
#[derive(Clone, Copy)]
pub struct Started<'a> {
    /// Its process.
    pub pid: i32,
    /// What traces call it: who runs from memory has no file that tells.
    pub name: &'a str,
    /// What they call processes that it forks, from the moment on at which those have taken a filter of their own. Until
    /// then what they do is the program's.
    pub forks: &'a str,
    /// What its filter is equal to: what that denies is told as denied by a policy.
    pub policy: &'a Policy,
}

/// Follows `program` to its end, and all that it starts, and tells `sink` what they do. Every call stops, before any
/// filter. A child of the calling thread that sends no signal at its end is left to who made it.
pub fn follow(program: &Started<'_>, sink: &mut dyn Sink) -> Result<Ending, Error> {
    recorder::follow_started(program, sink)
}

/// A recording beside the tracer of a program ([`crate::follow_recorded`]): every call stops, and is told.
pub struct Recording<'a> {
    /// What is told.
    pub sink: &'a mut dyn Sink,
    /// What traces call the program.
    pub name: &'a str,
    /// The policy that it is under.
    pub policy: &'a Policy,
}
