//! What a recorder tells, when it first sees it.

use std::path::Path;

use portcullis_policy::Action;

use super::caller::Caller;
use super::identity::Identity;
use super::made::Made;
use super::observed::Observed;
use super::seen::{CallId, ImageId};
use super::touched::Touched;

/// Something that was not known before.
#[derive(Debug)]
pub enum Fact<'a> {
    /// A program was executed for the first time.
    Image {
        /// Which.
        id: ImageId,
        /// The file, as the kernel names it.
        path: &'a Path,
        /// What it holds.
        identity: Option<Identity>,
        /// The program that executed it; `None` for the first.
        by: Option<ImageId>,
    },
    /// A program made a call for the first time.
    Call {
        /// Which.
        id: CallId,
        /// The program.
        image: ImageId,
        /// The call.
        made: &'a Made,
        /// What its pointers led to. Observed: the program could have changed it since.
        observed: Vec<Observed>,
        /// The code that made it.
        caller: Caller,
    },
    /// A call returned something for the first time: an error, or success.
    Returned {
        /// The call.
        call: CallId,
        /// The error.
        error: Option<u16>,
    },
    /// A call was denied by a filter in this way for the first time.
    Denied {
        /// The call.
        call: CallId,
        /// Whose filter.
        by: Denier,
        /// Its answer.
        answer: Action,
    },
    /// From here on not every known call of the program is counted.
    Free {
        /// The program.
        image: ImageId,
    },
    /// How often calls were seen up to now, where that has changed since it was last told.
    Counts(Vec<(CallId, u64)>),
    /// A file was opened, or changed by its path; told each time, when it was asked for ([`Spec::files`]).
    ///
    /// [`Spec::files`]: super::Spec::files
    Touched(Touched),
    /// Something that a reader must know.
    Remark(Remark),
}

/// Whose filter denied a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Denier {
    /// The policy under which the program is recorded.
    Policy,
    /// The program's own, or that of one that started it, as it was read when it was installed.
    OwnFilter,
}

/// Something that a reader must know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Remark {
    /// The program has a filter of its own, and goes on under full tracing, so that what it denies is seen.
    OwnFilter(ImageId),
    /// It put a filter on threads that ran free: what it denied them until their next stop was not seen.
    OwnFilterOnFree(ImageId),
    /// It asked to trace, or to be traced, which the kernel refuses to a task that is traced already.
    Traces(ImageId),
    /// It would have had more privileges without a tracer.
    Privileges(ImageId),
    /// It set up a ring whose operations are no system calls.
    Ring(ImageId),
    /// It asked for a child without a tracer; it has one all the same.
    Untraced(ImageId),
    /// There were more different calls than are kept.
    TooMany,
    /// The program has a filter of its own, behind which calls are seen: one for which that ends a thread is not.
    FilterPassed(ImageId),
    /// So many tasks or programs were not followed: there were too many at one time.
    Lost(u64),
    /// So many times the kernel left out a program that should have seen something, because it had been interrupted on that
    /// processor (since Linux 7.0, `__bpf_trace_run`): for which task is not known.
    Missed(u64),
    /// So many times there was no room to tell of a call when it was made: it is told without its place.
    Late(u64),
}

/// Where facts go.
pub trait Sink {
    /// Takes one, before the program goes on.
    fn fact(&mut self, fact: Fact<'_>);
}
