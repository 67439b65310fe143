//! Keeps a traced program from seeing an EINTR that it would not see without a tracer.
//!
//! A signal that a process ignores never wakes it; traced, it does (`sig_ignored` in
//! `kernel/signal.c` keeps every signal of a tracee), and calls that answer such a wake-up with
//! EINTR itself instead of a restart (`epoll_wait`, `semop`, `rt_sigtimedwait`, sockets with a
//! time-out: signal(7)) would return it.

use std::fs;

use portcullis_sys::Error;
use portcullis_sys::registers::Registers;

/// Most places of a task that are remembered: as many handlers may be nested.
const NESTED: usize = 8;

/// What is known of the interrupted calls of a task.
#[derive(Clone, Default)]
pub(crate) struct Interruptions {
    /// Where the task will stand once more when a handler has returned, if a call returned EINTR for it.
    after_handlers: Vec<Registers>,
}

impl Interruptions {
    /// For a task at the stop of `signal`: when it is ignored and would yet make a call return EINTR,
    /// the call is set to be restarted, and the signal is to be dropped (`true`). A time-out given in
    /// the call's registers begins anew.
    pub(crate) fn hide(&mut self, tid: i32, signal: i32) -> Result<bool, Error> {
        let registers = Registers::of(tid)?;
        if !ignores(tid, signal) {
            if let Some(after) = registers.after_handler(tid)? {
                self.after_handlers.truncate(NESTED - 1);
                self.after_handlers.insert(0, after);
            }
            return Ok(false);
        }
        if !registers.is_interrupted() {
            return Ok(false);
        }
        // The call has returned already, for a handler's sake. That this could also be the next such
        // call costs at most one EINTR, at a place where the program natively saw one.
        if let Some(at) = self.after_handlers.iter().position(|r| *r == registers) {
            self.after_handlers.remove(at);
            return Ok(false);
        }
        registers.restart(tid)
    }
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
