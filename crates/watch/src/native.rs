//! Keeps a traced program from seeing an EINTR that it would not see without a tracer.
//!
//! A signal that a process ignores never wakes it; traced, it does (`sig_ignored` in
//! `kernel/signal.c` keeps every signal of a tracee), and calls that answer such a wake-up with
//! EINTR itself instead of a restart (`epoll_wait`, `semop`, `rt_sigtimedwait`, sockets with a
//! time-out: signal(7)) would return it.

use std::fs;

use portcullis_sys::{Error, ptrace};

/// `ERESTARTNOHAND` of the kernel's `linux/errno.h`: restart, unless a handler runs.
const RESTART_UNLESS_HANDLED: i64 = -514;

/// For a task at the stop of `signal`: when it is ignored and would yet make a call return EINTR,
/// the call is set to be restarted, and the signal is to be dropped (`true`). A time-out given in
/// the call's registers begins anew.
pub(crate) fn hide(tid: i32, signal: i32) -> Result<bool, Error> {
    let mut registers = ptrace::registers(tid)?;
    if registers.orig_rax == u64::MAX || registers.rax as i64 != -i64::from(libc::EINTR) {
        return Ok(false);
    }
    if !ignores(tid, signal) {
        return Ok(false);
    }
    registers.rax = RESTART_UNLESS_HANDLED as u64;
    ptrace::set_registers(tid, &registers)?;
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
