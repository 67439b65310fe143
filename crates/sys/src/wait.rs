//! Waiting for children and tracees.
#![expect(unsafe_code, reason = "the kernel fills in siginfo and rusage")]

use std::mem::MaybeUninit;

use crate::{Error, check};

/// How a task ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

/// What a stopped task stopped for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// A signal is about to be delivered.
    Signal(i32),
    /// Entry or exit of a system call.
    Syscall,
    /// A `PTRACE_EVENT_*`, and the signal beside it (the stopping signal for `PTRACE_EVENT_STOP`).
    Event(i32, i32),
}

/// `PTRACE_EVENT_*` of `linux/ptrace.h`.
#[expect(missing_docs, reason = "the kernel's own names")]
pub mod event {
    pub const FORK: i32 = libc::PTRACE_EVENT_FORK;
    pub const VFORK: i32 = libc::PTRACE_EVENT_VFORK;
    pub const CLONE: i32 = libc::PTRACE_EVENT_CLONE;
    pub const EXEC: i32 = libc::PTRACE_EVENT_EXEC;
    pub const EXIT: i32 = libc::PTRACE_EVENT_EXIT;
    pub const SECCOMP: i32 = libc::PTRACE_EVENT_SECCOMP;
    pub const STOP: i32 = libc::PTRACE_EVENT_STOP;
}

/// A change of one task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It stands still until it is resumed.
    Stopped(Stop),
    /// It is gone and was reaped.
    Ended(End, Usage),
}

/// What a process and the children it waited for consumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// User and system time in nanoseconds.
    pub cpu_ns: u64,
    /// The largest resident size that one of them reached, in bytes.
    pub peak_memory_bytes: u64,
}

/// Waits for the next change of a child or tracee of the calling thread; `None` when it has none
/// left. Interrupting signals are taken in between.
pub fn next() -> Result<Option<(i32, Change)>, Error> {
    wait(libc::P_ALL, 0, libc::__WALL)
}

/// Like [`next`], but for children that send no signal at their end: the first processes of namespaces
/// ([`clone_process`](crate::spawn::clone_process)). Tracees are all told, whatever they send (Linux 4.7).
pub fn next_that_signals() -> Result<Option<(i32, Change)>, Error> {
    wait(libc::P_ALL, 0, 0)
}

/// Like [`next`], for `pid` alone.
pub fn next_of(pid: i32) -> Result<Option<(i32, Change)>, Error> {
    wait(libc::P_PID, pid, libc::__WALL)
}

/// Like [`next_of`], without waiting; `None` when nothing has changed.
pub fn changed(pid: i32) -> Result<Option<Change>, Error> {
    let change = wait(libc::P_PID, pid, libc::__WALL | libc::WNOHANG)?;
    Ok(change.map(|(_, change)| change))
}

/// Whether `pid` is a child or tracee of the calling thread, running or not, whose end it has not been told yet.
pub fn is_there(pid: i32) -> Result<bool, Error> {
    let all = libc::WEXITED | libc::WSTOPPED | libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: integers only; the kernel writes nothing where the address is 0.
    let value = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PID,
            pid,
            std::ptr::null_mut::<libc::siginfo_t>(),
            all | libc::WNOHANG | libc::WNOWAIT,
            std::ptr::null_mut::<libc::rusage>(),
        )
    };
    match check("waitid", value) {
        Err(e) if e.errno() == libc::ECHILD => Ok(false),
        other => other.map(|_| true),
    }
}

/// Reaps children of the calling process until `last` is among them; the exit code of that, or 128 and the
/// signal that ended it. May be called by a child before its exec.
pub fn reap_until(last: i32) -> Result<i32, Error> {
    reap(Some(last))
}

/// Kills every other process of the namespace that the caller is the first of, and reaps all of them: they become its
/// children (pid_namespaces(7)). May be called by a child before its exec.
pub fn end_all_others() -> Result<(), Error> {
    // SAFETY: integers only; -1 is everybody that the caller may signal but itself, and it sees its namespace alone.
    match check("kill", unsafe {
        libc::syscall(libc::SYS_kill, -1, libc::SIGKILL)
    }) {
        // There is nobody.
        Err(e) if e.errno() == libc::ESRCH => return Ok(()),
        other => other?,
    };
    match reap(None) {
        Err(e) if e.errno() == libc::ECHILD => Ok(()),
        other => other.map(drop),
    }
}

/// What the calling process and the children that it reaped consumed. May be called by a child before its exec.
pub fn used_so_far() -> Result<Usage, Error> {
    let own = used_by(libc::RUSAGE_SELF)?;
    let reaped = used_by(libc::RUSAGE_CHILDREN)?;
    Ok(Usage {
        cpu_ns: own.cpu_ns.saturating_add(reaped.cpu_ns),
        peak_memory_bytes: own.peak_memory_bytes.max(reaped.peak_memory_bytes),
    })
}

fn used_by(whom: libc::c_int) -> Result<Usage, Error> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel fills in the structure, which lives.
    let value = unsafe { libc::syscall(libc::SYS_getrusage, whom, usage.as_mut_ptr()) };
    check("getrusage", value)?;
    // SAFETY: zeroed is a valid rusage, and the kernel has filled it in.
    Ok(used(&unsafe { usage.assume_init() }))
}

fn reap(last: Option<i32>) -> Result<i32, Error> {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let options = libc::WEXITED | libc::__WALL;
        // SAFETY: the structure is large enough for what waitid(2) writes, and lives.
        let value = unsafe {
            libc::syscall(
                libc::SYS_waitid,
                libc::P_ALL,
                0,
                info.as_mut_ptr(),
                options,
                std::ptr::null_mut::<libc::rusage>(),
            )
        };
        match check("waitid", value) {
            Err(e) if e.errno() == libc::EINTR => continue,
            other => other?,
        };
        // SAFETY: zeroed is a valid siginfo_t, and the kernel has filled it.
        let info = unsafe { info.assume_init() };
        // SAFETY: after a successful waitid the SIGCHLD fields are the active ones.
        if Some(unsafe { info.si_pid() }) == last {
            // SAFETY: as above.
            let status = unsafe { info.si_status() };
            return Ok(match info.si_code {
                libc::CLD_EXITED => status,
                _ => 128 + status,
            });
        }
    }
}

fn wait(kind: libc::idtype_t, id: i32, which: libc::c_int) -> Result<Option<(i32, Change)>, Error> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both structures are large enough for what waitid(2) writes, and live. The raw
        // call is made for its fifth argument, which libc's wrapper does not have.
        let value = unsafe {
            libc::syscall(
                libc::SYS_waitid,
                kind,
                id,
                info.as_mut_ptr(),
                libc::WEXITED | libc::WSTOPPED | libc::__WNOTHREAD | which,
                usage.as_mut_ptr(),
            )
        };
        match check("waitid", value) {
            Ok(_) => break,
            Err(e) if e.errno() == libc::EINTR => {}
            Err(e) if e.errno() == libc::ECHILD => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    // SAFETY: zeroed is a valid siginfo_t, and the kernel has filled it.
    let info = unsafe { info.assume_init() };
    // SAFETY: zeroed is a valid rusage, and the kernel has filled it.
    let usage = unsafe { usage.assume_init() };
    // SAFETY: after a successful waitid the SIGCHLD fields are the active ones.
    let pid = unsafe { info.si_pid() };
    if pid == 0 {
        // Nothing has changed, and it was not to be waited for.
        return Ok(None);
    }
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    let change = match info.si_code {
        libc::CLD_EXITED => Change::Ended(End::Exited(status), used(&usage)),
        libc::CLD_KILLED | libc::CLD_DUMPED => Change::Ended(End::Signaled(status), used(&usage)),
        // For a tracee the status is the stop's code: signal in the low byte, event above it.
        _ if status >> 8 != 0 => Change::Stopped(Stop::Event(status >> 8, status & 0xff)),
        _ if status == libc::SIGTRAP | 0x80 => Change::Stopped(Stop::Syscall),
        _ => Change::Stopped(Stop::Signal(status)),
    };
    Ok(Some((pid, change)))
}

fn used(usage: &libc::rusage) -> Usage {
    let nanoseconds = |t: libc::timeval| {
        u64::try_from(t.tv_sec)
            .unwrap_or(0)
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::try_from(t.tv_usec).unwrap_or(0).saturating_mul(1_000))
    };
    Usage {
        cpu_ns: nanoseconds(usage.ru_utime).saturating_add(nanoseconds(usage.ru_stime)),
        // ru_maxrss is in kilobytes (getrusage(2)).
        peak_memory_bytes: u64::try_from(usage.ru_maxrss)
            .unwrap_or(0)
            .saturating_mul(1024),
    }
}
