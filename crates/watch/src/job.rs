//! Job control: a traced program is stopped and continued as if nobody traced it.

use std::fs;

use portcullis_sys::{Error, signal};

/// The root stopped for job control: its shell waits for the launcher to stop as well. A SIGSTOP that somebody
/// sent to the root alone is not followed: who sent it knows nothing of the launcher, and would not continue
/// it.
pub(crate) fn stop_with(root: i32, by: i32) -> Result<(), Error> {
    let asked = signal::take_suspend_request();
    if by == libc::SIGSTOP && !asked {
        return Ok(());
    }
    let group_of = |pid| {
        rustix::process::getpgid(rustix::process::Pid::from_raw(pid))
            .ok()
            .map(rustix::process::Pid::as_raw_nonzero)
    };
    if group_of(root) == group_of(0) {
        signal::stop_self()?;
    }
    Ok(())
}

/// Whether a signal stops a process.
pub(crate) fn is_stop(signal: i32) -> bool {
    matches!(
        signal,
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU
    )
}

/// The process of a task that has not been reaped; the task's own number when it cannot be told.
pub(crate) fn process_of(tid: i32) -> i32 {
    fs::read_to_string(format!("/proc/{tid}/status"))
        .ok()
        .and_then(|status| {
            status
                .lines()
                .find_map(|line| line.strip_prefix("Tgid:"))
                .and_then(|id| id.trim().parse().ok())
        })
        .unwrap_or(tid)
}
