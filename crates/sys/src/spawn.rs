//! Creating the child.
#![expect(unsafe_code, reason = "clone(2)")]

use std::os::fd::{FromRawFd, OwnedFd};

use crate::{Error, check};

/// Which side of the clone this is.
pub enum Side {
    /// The new process.
    Child,
    /// The caller, with the child's number and a handle to it.
    Parent(i32, OwnedFd),
}

/// Clones the process: a copy of the memory, one thread, `SIGCHLD` at its end. The system call
/// itself is made, not libc's `fork`, so that no handler registered with `pthread_atfork` runs.
///
/// # Safety
/// The caller may have other threads, whose locks are copied in whatever state they are. Until it
/// executes another program or ends, the child must not allocate, lock, log or unwind.
pub unsafe fn clone_process() -> Result<Side, Error> {
    let mut pidfd: libc::c_int = -1;
    let flags = libc::c_long::from(libc::SIGCHLD) | libc::c_long::from(libc::CLONE_PIDFD);
    // SAFETY: without CLONE_VM the child has its own copy of this stack, so both returns are
    // sound; the kernel writes the descriptor through the parent_tid pointer (clone(2)).
    let value = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    let pid = check("clone", value)?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    // SAFETY: CLONE_PIDFD returned this descriptor, and nothing else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Side::Parent(i32::try_from(pid).unwrap_or(-1), pidfd))
}
