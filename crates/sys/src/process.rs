//! What a process says about itself to the kernel, and handles to other processes.
#![expect(
    unsafe_code,
    reason = "raw system calls and descriptors that they return"
)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::{Error, check};

/// Sets `PR_SET_NO_NEW_PRIVS`: no exec of this process or its descendants raises privileges.
/// May be called by a child before its exec.
pub fn no_new_privileges() -> Result<(), Error> {
    // SAFETY: prctl with integer arguments only.
    let value = unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    check("prctl(PR_SET_NO_NEW_PRIVS)", value).map(drop)
}

/// Sets whether other processes of the same user may trace this one and read its memory.
/// An exec of a readable file makes a process dumpable again. May be called by a child before its
/// exec.
pub fn set_dumpable(dumpable: bool) -> Result<(), Error> {
    // SAFETY: prctl with integer arguments only.
    let value = unsafe {
        libc::syscall(
            libc::SYS_prctl,
            libc::PR_SET_DUMPABLE,
            libc::c_long::from(dumpable),
            0,
            0,
            0,
        )
    };
    check("prctl(PR_SET_DUMPABLE)", value).map(drop)
}

/// Closes every descriptor from `first` on that is not in `kept`, which ascends (Linux 5.9: the flag
/// that only marks them close-on-exec came two releases later). May be called by a child before its
/// exec.
pub fn close_from(first: i32, kept: &[i32]) -> Result<(), Error> {
    let mut from = first;
    for fd in kept.iter().copied().chain([i32::MAX]) {
        if from < fd {
            // SAFETY: close_range with integer arguments only; the caller names what it still needs.
            let value = unsafe { libc::syscall(libc::SYS_close_range, from, fd - 1, 0) };
            check("close_range", value)?;
        }
        from = from.max(fd.saturating_add(1));
    }
    Ok(())
}

/// Lets `descriptor` stay open over the next exec. May be called by a child before its exec.
pub fn keep_on_exec(descriptor: i32) -> Result<(), Error> {
    // SAFETY: fcntl(F_SETFD) with integer arguments only.
    let value = unsafe { libc::syscall(libc::SYS_fcntl, descriptor, libc::F_SETFD, 0) };
    check("fcntl(F_SETFD)", value).map(drop)
}

/// Writes all of `bytes`, a message short enough for one pipe write. May be called by a child
/// before its exec.
pub fn write_message(to: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Error> {
    // SAFETY: the kernel reads `bytes.len()` bytes from a live slice.
    let value =
        unsafe { libc::syscall(libc::SYS_write, to.as_raw_fd(), bytes.as_ptr(), bytes.len()) };
    check("write", value).map(drop)
}

/// Reads at most `into.len()` bytes; 0 is the end. Retries when a signal interrupted it. May be
/// called by a child before its exec.
pub fn read_message(from: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, Error> {
    loop {
        // SAFETY: the kernel writes at most `into.len()` bytes to a live, exclusive slice.
        let value = unsafe {
            libc::syscall(
                libc::SYS_read,
                from.as_raw_fd(),
                into.as_mut_ptr(),
                into.len(),
            )
        };
        match check("read", value) {
            Ok(n) => return Ok(usize::try_from(n).unwrap_or(0)),
            Err(e) if e.errno() == libc::EINTR => {}
            Err(e) => return Err(e),
        }
    }
}

/// Ends the calling process at once, running nothing of it. May be called by a child before its
/// exec.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit runs no handlers and does not return.
    unsafe { libc::_exit(code) }
}

/// A pipe whose ends are close-on-exec: the end to read, the end to write.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two descriptors into the array.
    let value = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    check("pipe2", value.into())?;
    // SAFETY: the kernel just returned this descriptor, and nothing else owns it.
    let read = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above, for the other end.
    let write = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((read, write))
}

/// Sends `signal` to the process of `pidfd`.
pub fn signal_process(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Error> {
    // SAFETY: no siginfo is passed; the rest are integers.
    let value = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check("pidfd_send_signal", value).map(drop)
}

/// Kills the whole process that `pid` leads or belongs to. Only for a tracee or child that has not
/// been reaped: until then its number names nothing else.
pub fn kill_unreaped(pid: i32) -> Result<(), Error> {
    // SAFETY: kill with integer arguments only.
    let value = unsafe { libc::kill(pid, libc::SIGKILL) };
    check("kill(SIGKILL)", value.into()).map(drop)
}
