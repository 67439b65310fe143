//! The child between its creation and its exec: nothing here allocates, locks or unwinds.
#![expect(
    unsafe_code,
    reason = "clone copies a process whose other threads may hold locks"
)]

use std::os::fd::{AsFd, OwnedFd};

use portcullis_sys::exec::{self, CStringArray};
use portcullis_sys::signal::{self, Before, Mask};
use portcullis_sys::spawn::{self, Side};
use portcullis_sys::{Error, process, seccomp};

use crate::secret::ArmedFilter;

/// Everything the child needs, made before it exists.
pub(crate) struct Prepared<'a> {
    pub(crate) program: std::os::fd::BorrowedFd<'a>,
    pub(crate) arguments: &'a CStringArray,
    pub(crate) environment: &'a CStringArray,
    pub(crate) filter: &'a ArmedFilter,
    /// Stay open for the program.
    pub(crate) keep: &'a [i32],
    /// All that is open until the exec, ascending: those, and what is used here.
    pub(crate) open: &'a [i32],
    pub(crate) mask: &'a Mask,
    pub(crate) signals: &'a Before,
    /// Written by the child: one byte when it may be seized, a [`Complaint`] when it fails.
    pub(crate) up: OwnedFd,
    /// Read by the child: one byte when it has been seized.
    pub(crate) down: OwnedFd,
}

/// The steps of the child, in order; the byte that names one in a complaint.
pub(crate) const STEPS: [&str; 7] = [
    "become traceable",
    "wait for its tracer",
    "hide its memory",
    "give up raising privileges",
    "restore signals and descriptors",
    "load the filter",
    "execute the program",
];

/// A failure on its way to the launcher: the step and the error number.
pub(crate) const COMPLAINT: usize = 5;

/// What the child writes when it may be seized.
pub(crate) const READY: u8 = b'R';

/// Creates the child, which runs [`body`] and never returns.
pub(crate) fn create(prepared: &Prepared<'_>) -> Result<(i32, OwnedFd), Error> {
    // SAFETY: the child runs `body` only, which calls functions of portcullis-sys that are stated
    // to be fit for a child, works on memory made before, and ends in an exec or an exit.
    match unsafe { spawn::clone_process() }? {
        Side::Child => body(prepared),
        Side::Parent(pid, pidfd) => Ok((pid, pidfd)),
    }
}

fn body(prepared: &Prepared<'_>) -> ! {
    let (step, error) = match prepare(prepared) {
        Err(failure) => failure,
        // On success nothing of this remains. On failure the filter is loaded already and may
        // allow neither a write nor an exit: the tracer, which sees the call return, tells.
        Ok(()) => (
            6,
            exec::execute(
                prepared.program,
                prepared.arguments,
                prepared.environment,
                prepared.filter.cookie(),
            ),
        ),
    };
    let number = error.errno().to_le_bytes();
    let complaint = [step, number[0], number[1], number[2], number[3]];
    // If the launcher is gone there is nobody to complain to.
    let _ = process::write_message(prepared.up.as_fd(), &complaint);
    process::exit_now(127)
}

fn prepare(prepared: &Prepared<'_>) -> Result<(), (u8, Error)> {
    // The launcher is not dumpable, and this copy of it neither: an unprivileged tracer could not
    // seize it (ptrace(2), access check 5). It is for the moment of the seizing only.
    process::set_dumpable(true)
        .and_then(|()| process::write_message(prepared.up.as_fd(), &[READY]))
        .map_err(|e| (0, e))?;
    let mut go = [0];
    match process::read_message(prepared.down.as_fd(), &mut go) {
        Ok(1) => {}
        // The launcher died: nothing may run untraced.
        Ok(_) => process::exit_now(127),
        Err(e) => return Err((1, e)),
    }
    process::set_dumpable(false).map_err(|e| (2, e))?;
    process::no_new_privileges().map_err(|e| (3, e))?;
    process::close_from(3, prepared.open)
        .and_then(|()| {
            prepared
                .keep
                .iter()
                .try_for_each(|fd| process::keep_on_exec(*fd))
        })
        .and_then(|()| signal::restore_for_exec(prepared.signals))
        .and_then(|()| signal::set_mask(prepared.mask).map(drop))
        .map_err(|e| (4, e))?;
    seccomp::install(prepared.filter.instructions()).map_err(|e| (5, e))
}
