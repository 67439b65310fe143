//! What the kernel says about a process to whoever holds a handle to it, also after the end.
#![expect(
    unsafe_code,
    reason = "ioctl(2) and clock_gettime(2) fill structures in"
)]

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::wait::End;
use crate::{Error, check};

/// What is known of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// It exists, running or not yet reaped: its number and its parent's, in the caller's namespace.
    There {
        /// Its number.
        pid: i32,
        /// Its parent's number; 0 for one outside.
        parent: i32,
    },
    /// It was reaped, by whomever, after it ended so.
    Gone(End),
}

/// `struct pidfd_info` of `linux/pidfd.h`, as long as Linux 6.15 has it.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Info {
    mask: u64,
    cgroup: u64,
    pid: u32,
    process: u32,
    parent: u32,
    users: [u32; 8],
    exit: i32,
}

/// `PIDFD_INFO_PID`.
const NUMBERS: u64 = 1;
/// `PIDFD_INFO_EXIT`, Linux 6.15.
const EXIT: u64 = 1 << 3;
/// `_IOWR(0xff, 11, struct pidfd_info)`.
const GET_INFO: u64 = 0xc000_0000 | ((size_of::<Info>() as u64) << 16) | 0xff0b;

/// Asks about the process of `pidfd`. How it ended is told by Linux 6.15 and later, to whoever had the handle
/// open when it was reaped; else that is an error: `ESRCH`, or `ENOTTY` before Linux 6.13.
pub fn known(pidfd: BorrowedFd<'_>) -> Result<Known, Error> {
    let mut info = Info {
        mask: NUMBERS | EXIT,
        ..Info::default()
    };
    // SAFETY: the request carries the structure's size, and the kernel writes no more than that.
    let value = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    check("ioctl(PIDFD_GET_INFO)", value.into())?;
    if info.mask & EXIT != 0 {
        return Ok(Known::Gone(end_of(info.exit)));
    }
    Ok(Known::There {
        pid: i32::try_from(info.process).unwrap_or(-1),
        parent: i32::try_from(info.parent).unwrap_or(0),
    })
}

/// A wait status (wait(2)) of a process that ended.
fn end_of(status: i32) -> End {
    match status & 0x7f {
        0 => End::Exited(status >> 8 & 0xff),
        signal => End::Signaled(signal),
    }
}

/// Processor time, in nanoseconds, that the process `pid` and its threads have used; also of one that has ended
/// and was not reaped. Processes that it started do not count.
pub fn cpu_ns(pid: i32) -> Result<u64, Error> {
    // `MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)` of the kernel's posix-timers.h.
    let clock = (!pid << 3) | 2;
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the kernel fills in one timespec.
    let value = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    check("clock_gettime(CPU of a process)", value.into())?;
    // SAFETY: zeroed is valid, and the kernel has filled it in.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::process::Command;

    use super::*;
    use crate::process;

    #[test]
    fn the_structure_is_the_kernels() {
        assert_eq!(size_of::<Info>(), 64);
        assert_eq!(GET_INFO, 0xc040_ff0b);
    }

    #[test]
    fn a_process_is_known_until_it_is_reaped_and_its_end_afterwards() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "exit 7"])
            .spawn()
            .unwrap();
        let pid = child.id().cast_signed();
        let handle = process::handle(pid).unwrap();
        match known(handle.as_fd()) {
            Ok(found) => {
                let parent = std::process::id().cast_signed();
                assert_eq!(found, Known::There { pid, parent });
            }
            // Linux before 6.13.
            Err(e) => assert_eq!(e.errno(), libc::ENOTTY),
        }
        assert!(cpu_ns(pid).is_ok());
        child.wait().unwrap();
        match known(handle.as_fd()) {
            Ok(found) => assert_eq!(found, Known::Gone(End::Exited(7))),
            Err(e) => assert!([libc::ENOTTY, libc::ESRCH].contains(&e.errno())),
        }
        assert!(cpu_ns(pid).is_err());
    }

    #[test]
    fn a_status_is_read() {
        assert_eq!(end_of(0x700), End::Exited(7));
        assert_eq!(end_of(9), End::Signaled(9));
        // With a core dump.
        assert_eq!(end_of(0x8b), End::Signaled(11));
    }
}
