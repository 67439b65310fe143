//! Keeps a traced program from seeing an EINTR that it would not see without a tracer.
//!
//! A signal that a process ignores never wakes it; traced, it does (`sig_ignored` in
//! `kernel/signal.c` keeps every signal of a tracee), and calls that answer such a wake-up with
//! EINTR itself instead of a restart (`epoll_wait`, `semop`, `rt_sigtimedwait`, sockets with a
//! time-out: signal(7)) would return it.

use std::fs;

use portcullis_sys::Error;
use portcullis_sys::registers::Registers;

/// For a task at the stop of `signal`: when it is ignored and would yet make a call return EINTR,
/// the call is set to be restarted, and the signal is to be dropped (`true`). A time-out given in
/// the call's registers begins anew. On aarch64 no call can be restarted so late.
pub(crate) fn hide(tid: i32, signal: i32) -> Result<bool, Error> {
    let registers = Registers::of(tid)?;
    if !registers.is_interrupted() || !ignores(tid, signal) {
        return Ok(false);
    }
    registers.restart(tid)?;
    Ok(true)
}

/// Whether the task's process ignores `signal`, by its own wish or by default.
fn ignores(tid: i32, signal: i32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{tid}/status")) else {
        return false;
    };
    let set = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0)
    };
    if !(1..=64).contains(&signal) {
        return false;
    }
    let bit = 1_u64 << (signal - 1);
    let by_default = matches!(
        signal,
        libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH | libc::SIGCONT
    );
    set("SigIgn:") & bit != 0 || (by_default && set("SigCgt:") & bit == 0)
}
