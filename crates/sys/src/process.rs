//! What a process says about itself to the kernel, and handles to other processes.
#![expect(
    unsafe_code,
    reason = "raw system calls and descriptors that they return"
)]

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::{Error, check};

/// Sets `PR_SET_NO_NEW_PRIVS`: no exec of this process or its descendants raises privileges.
/// May be called by a child before its exec.
pub fn no_new_privileges() -> Result<(), Error> {
    // SAFETY: prctl with integer arguments only.
    let value = unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    check("prctl(PR_SET_NO_NEW_PRIVS)", value).map(drop)
}

/// The process group of the process `pid`, of the calling one when that is 0. The number is 0 for a group whose leader
/// is in a PID namespace around the caller's (pid_namespaces(7)), and for the group that a machine begins with, where nobody
/// made another.
pub fn group_of(pid: i32) -> Result<i32, Error> {
    // SAFETY: getpgid with an integer argument only.
    let value = unsafe { libc::getpgid(pid) };
    check("getpgid", value.into()).map(|_| value)
}

/// `PR_SET_MDWE`, `PR_MDWE_REFUSE_EXEC_GAIN` and `PR_GET_MDWE` of `linux/prctl.h`.
const SET_MDWE: libc::c_int = 65;
const REFUSE_EXEC_GAIN: libc::c_ulong = 1;
const GET_MDWE: libc::c_int = 66;

/// From now on no memory of this process, of what it becomes and of what it starts can be written and executed, and none
/// becomes executable that was not (Linux 6.3). May be called by a child before its exec.
pub fn refuse_executable_gain() -> Result<(), Error> {
    // SAFETY: prctl with integer arguments only.
    let value = unsafe { libc::syscall(libc::SYS_prctl, SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) };
    check("prctl(PR_SET_MDWE)", value).map(drop)
}

/// Whether this kernel has [`refuse_executable_gain`].
pub fn can_refuse_executable_gain() -> bool {
    // SAFETY: prctl with integer arguments only.
    let value = unsafe { libc::syscall(libc::SYS_prctl, GET_MDWE, 0, 0, 0, 0) };
    value >= 0
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

/// Closes `descriptor`, which nothing owns any more. May be called by a child before its exec, which has a copy
/// of what its parent owns.
pub fn close(descriptor: i32) -> Result<(), Error> {
    // SAFETY: an integer only; the caller says that nothing owns it.
    let value = unsafe { libc::syscall(libc::SYS_close, descriptor) };
    check("close", value).map(drop)
}

/// Closes every descriptor but that of `one`, which gets the number `number`. Whatever else of this process owned
/// a descriptor owns none any more. May be called by a child before its exec.
pub fn keep_only(one: BorrowedFd<'_>, number: i32) -> Result<OwnedFd, Error> {
    if one.as_raw_fd() != number {
        replace(one, number)?;
    }
    // SAFETY: open for `one`, whose owner is not heard of any more.
    let kept = unsafe { OwnedFd::from_raw_fd(number) };
    close_from(0, &[number])?;
    Ok(kept)
}

/// Lets `descriptor` stay open over the next exec. May be called by a child before its exec.
pub fn keep_on_exec(descriptor: i32) -> Result<(), Error> {
    // SAFETY: fcntl(F_SETFD) with integer arguments only.
    let value = unsafe { libc::syscall(libc::SYS_fcntl, descriptor, libc::F_SETFD, 0) };
    check("fcntl(F_SETFD)", value).map(drop)
}

/// Puts the file of `descriptor` in the place of `other`, close-on-exec. May be called by a child before its
/// exec.
pub fn replace(descriptor: BorrowedFd<'_>, other: i32) -> Result<(), Error> {
    // SAFETY: integers only; who owns `other` goes on owning the number, whose file is another one.
    let value = unsafe {
        libc::syscall(
            libc::SYS_dup3,
            descriptor.as_raw_fd(),
            other,
            libc::O_CLOEXEC,
        )
    };
    check("dup3", value).map(drop)
}

/// Puts the file of `descriptor` in the place of `other`, where it stays over the next exec. They are two numbers.
/// `sixth` stands in the register of the sixth argument, which the call does not have and a filter can read. May be
/// called by a child before its exec.
pub fn stand_for(descriptor: i32, other: i32, sixth: u64) -> Result<(), Error> {
    // SAFETY: integers only; the caller names two descriptors of its own.
    let value = unsafe { libc::syscall(libc::SYS_dup3, descriptor, other, 0, 0, 0, sixth) };
    check("dup3", value).map(drop)
}

/// A descriptor of its own for the file that `number` is open for: one that an exec left open.
pub fn inherited(number: i32) -> Result<OwnedFd, Error> {
    // SAFETY: integers only; whoever owns `number` goes on owning it.
    let value = unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_DUPFD_CLOEXEC, 3) };
    check("fcntl(F_DUPFD_CLOEXEC)", value).map(owned)
}

/// Opens the file at `path` to be read, close-on-exec. May be called by a child before its exec.
pub fn open(path: &CStr) -> Result<OwnedFd, Error> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    // SAFETY: a null-terminated path.
    let value = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) };
    check("open", value).map(owned)
}

/// Puts `bytes` into the file at `path`, which is there, by one write. May be called by a child before its
/// exec.
pub fn put(path: &CStr, bytes: &[u8]) -> Result<(), Error> {
    let flags = libc::O_WRONLY | libc::O_CLOEXEC | libc::O_NOCTTY;
    // SAFETY: a null-terminated path.
    let value = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) };
    let file = check("open", value).map(owned)?;
    write_message(file.as_fd(), bytes)
}

/// Which file `descriptor` is: device and inode. May be called by a child before its exec.
pub fn file_of(descriptor: BorrowedFd<'_>) -> Result<(u64, u64), Error> {
    let mut status = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the kernel fills in the structure. libc's fstat is a bare call and locks nothing.
    let value = unsafe { libc::fstat(descriptor.as_raw_fd(), status.as_mut_ptr()) };
    check("fstat", value.into())?;
    // SAFETY: zeroed is valid, and the kernel has filled it in.
    let status = unsafe { status.assume_init() };
    Ok((status.st_dev, status.st_ino))
}

/// The type and mode of the file that `number` is open for, and the flags that it was opened with (fstat(2),
/// `F_GETFL` of fcntl(2)); `EBADF` when it is closed.
pub fn opened(number: i32) -> Result<(u32, u32), Error> {
    let mut status = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the kernel fills in the structure, or refuses a number that is not open.
    let value = unsafe { libc::fstat(number, status.as_mut_ptr()) };
    check("fstat", value.into())?;
    // SAFETY: zeroed is valid, and the kernel has filled it in.
    let mode = unsafe { status.assume_init() }.st_mode;
    // SAFETY: integers only.
    let value = unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_GETFL) };
    let flags = check("fcntl(F_GETFL)", value)?;
    Ok((mode, u32::try_from(flags).unwrap_or(0)))
}

/// Owns a descriptor that a system call returned.
pub(crate) fn owned(descriptor: libc::c_long) -> OwnedFd {
    // SAFETY: the kernel just returned this descriptor, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(descriptor as i32) }
}

/// Ends the caller with SIGKILL when the thread that created it ends (prctl(2)). May be called by a child
/// before its exec.
pub fn die_with_parent() -> Result<(), Error> {
    // SAFETY: prctl with integer arguments only.
    let value = unsafe {
        libc::syscall(
            libc::SYS_prctl,
            libc::PR_SET_PDEATHSIG,
            libc::SIGKILL,
            0,
            0,
            0,
        )
    };
    check("prctl(PR_SET_PDEATHSIG)", value).map(drop)
}

/// Makes the caller the first of a session, and of a process group, without a terminal (setsid(2)). May be called by a child
/// before its exec.
pub fn begin_session() -> Result<(), Error> {
    // SAFETY: setsid takes nothing.
    let value = unsafe { libc::syscall(libc::SYS_setsid) };
    check("setsid", value).map(drop)
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
    Ok((owned(ends[0].into()), owned(ends[1].into())))
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

/// Does `work` while what this thread makes belongs to another user and group (setfsuid(2)), and while its rights to
/// files are his. Other threads keep their own.
pub fn with_file_owner<T>(uid: u32, gid: u32, work: impl FnOnce() -> T) -> Result<T, Error> {
    struct Back(i64, i64);
    impl Drop for Back {
        fn drop(&mut self) {
            // Always allowed: they are this thread's own effective ids.
            file_owner(libc::SYS_setfsuid, self.0);
            file_owner(libc::SYS_setfsgid, self.1);
        }
    }
    let set = |what, call, id: u32| {
        file_owner(call, id.into());
        match file_owner(call, NOBODY) == i64::from(id) {
            true => Ok(()),
            // The call itself says nothing of a failure.
            false => Err(Error {
                call: what,
                reason: std::io::Error::from_raw_os_error(libc::EPERM),
            }),
        }
    };
    let back = Back(
        file_owner(libc::SYS_setfsuid, NOBODY),
        file_owner(libc::SYS_setfsgid, NOBODY),
    );
    // The group first: afterwards there may be no right to change it.
    set("setfsgid", libc::SYS_setfsgid, gid)?;
    set("setfsuid", libc::SYS_setfsuid, uid)?;
    let done = work();
    drop(back);
    Ok(done)
}

/// An id that changes nothing, so that the present one is told.
const NOBODY: i64 = -1;

/// `setfsuid` or `setfsgid`, which give what was before. The raw calls are about this thread alone.
fn file_owner(call: i64, id: i64) -> i64 {
    // SAFETY: an integer only.
    unsafe { libc::syscall(call, id) }
}

/// A handle to the process `pid`, which must not have been reaped.
pub fn handle(pid: i32) -> Result<OwnedFd, Error> {
    // SAFETY: integers only.
    let value = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    check("pidfd_open", value).map(owned)
}

/// Sends `signal` to the task `tid` of the process `pid`. Only for a tracee that has not been reaped.
pub fn signal_task(pid: i32, tid: i32, signal: i32) -> Result<(), Error> {
    // SAFETY: integers only.
    let value = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) };
    check("tgkill", value).map(drop)
}

/// Kills the whole process that `pid` leads or belongs to. Only for a tracee or child that has not
/// been reaped: until then its number names nothing else.
pub fn kill_unreaped(pid: i32) -> Result<(), Error> {
    // SAFETY: kill with integer arguments only.
    let value = unsafe { libc::kill(pid, libc::SIGKILL) };
    check("kill(SIGKILL)", value.into()).map(drop)
}
