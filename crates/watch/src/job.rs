//! Job control: a traced program is stopped and continued as if nobody traced it.

use std::fs;

use portcullis_sys::{Error, process, signal};

/// The root stopped for job control: its shell waits for the launcher to stop as well. A SIGSTOP that somebody
/// sent to the root alone is not followed: who sent it knows nothing of the launcher, and would not continue
/// it.
pub(crate) fn stop_with(root: i32, by: i32) -> Result<(), Error> {
    let asked = signal::take_suspend_request();
    if by == libc::SIGSTOP && !asked {
        return Ok(());
    }
    if process::group_of(root).ok() == process::group_of(0).ok() {
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
    status(tid, "Tgid:").unwrap_or(tid)
}

/// Whether somebody traces a task: nobody does any more when its end has been told.
pub(crate) fn is_traced(tid: i32) -> bool {
    status(tid, "TracerPid:").is_some_and(|tracer| tracer != 0)
}

/// A number that the kernel tells of a task (proc_pid_status(5)), by the name before it with its colon.
pub(crate) fn status(tid: i32, field: &str) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let mut lines = status.lines();
    let number = lines.find_map(|line| line.strip_prefix(field))?;
    number.trim().parse().ok()
}
