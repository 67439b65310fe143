//! Keeps a traced program from seeing an EINTR that it would not see without a tracer.
//!
//! A signal that a process ignores never wakes it; traced, it does (`sig_ignored` in
//! `kernel/signal.c` keeps every signal of a tracee), and calls that answer such a wake-up with
//! EINTR itself instead of a restart (`epoll_wait`, `semop`, `rt_sigtimedwait`, sockets with a
//! time-out: signal(7)) would return it.

use std::fs;

use portcullis_sys::Error;
use portcullis_sys::registers::Registers;

/// What is remembered of a task for that.
#[derive(Clone, Copy, Default)]
pub(crate) struct Interruption {
    /// Whether a handler may have run in it, or in the task that it is a copy of; not kept where that does not matter.
    handled: bool,
    /// A call that begins anew: the registers that a handler would have to interrupt, and those that are set.
    anew: Option<(Registers, Registers)>,
}

/// What a process does about a signal.
#[derive(PartialEq, Eq)]
enum Disposition {
    /// Nothing, by its own wish or by default.
    Ignored,
    /// It has a handler.
    Handled,
    /// What the kernel does.
    Default,
}

impl Interruption {
    /// Of a new task, when a handler has run (`handled`) or not in any task that it could be a copy of.
    pub(crate) fn of_new(handled: bool) -> Interruption {
        Interruption {
            handled,
            anew: None,
        }
    }

    /// Whether a handler may have run, where that matters ([`Registers::DEPENDS_ON_HANDLERS`]).
    pub(crate) fn handled(&self) -> bool {
        self.handled
    }

    /// For the task at the stop of `signal`: when it is ignored and would yet make a call return EINTR, the
    /// call is set to begin anew, and the signal is to be dropped (`true`). A time-out given in the call's
    /// registers begins anew as well.
    pub(crate) fn hides(&mut self, tid: i32, signal: i32) -> Result<bool, Error> {
        let registers = Registers::of(tid)?;
        let is_interrupted = registers.is_interrupted(tid, self.handled)?;
        let former = self.anew.filter(|(_, anew)| *anew == registers);
        let matters = is_interrupted || former.is_some();
        if !matters && (self.handled || !Registers::DEPENDS_ON_HANDLERS) {
            return Ok(false);
        }
        match Disposition::of(tid, signal) {
            Disposition::Ignored if is_interrupted => {
                let anew = registers.anew(tid)?;
                anew.set(tid)?;
                self.anew = Some((registers, anew));
                return Ok(true);
            }
            Disposition::Ignored => {}
            other => {
                // The next signal of the same wake-up: the call has not begun yet, and this one interrupts it.
                if let Some((interrupted, _)) = former {
                    interrupted.set(tid)?;
                }
                self.anew = None;
                self.handled |= other == Disposition::Handled;
            }
        }
        Ok(false)
    }
}

/// Whether the process of a stopped task does nothing about `signal` by its own wish.
pub(crate) fn is_ignored(tid: i32, signal: i32) -> bool {
    Disposition::of(tid, signal) == Disposition::Ignored
}

impl Disposition {
    /// Of the task's process; one that cannot be asked may have a handler.
    fn of(tid: i32, signal: i32) -> Disposition {
        let status = fs::read_to_string(format!("/proc/{tid}/status"));
        let (Ok(status), 1..=64) = (status, signal) else {
            return Disposition::Handled;
        };
        let has = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            mask.unwrap_or(0) & 1 << (signal - 1) != 0
        };
        let by_default = matches!(
            signal,
            libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH | libc::SIGCONT
        );
        match (has("SigIgn:"), has("SigCgt:")) {
            (true, _) => Disposition::Ignored,
            (_, true) => Disposition::Handled,
            _ if by_default => Disposition::Ignored,
            _ => Disposition::Default,
        }
    }
}
