//! The raw kernel interfaces that Portcullis needs, each wrapped once as a safe call.
//!
//! Every function that a child may call between its creation and its exec says so: it neither
//! allocates nor locks, and its error carries a static name and a number only.

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("Portcullis is for Linux on x86_64 and aarch64");

pub mod allocation;
pub mod audit;
pub mod breakpoint;
pub mod channel;
pub mod ebpf;
pub mod exec;
pub mod freezer;
pub mod ipc;
pub mod landlock;
pub mod limit;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod pidfd;
pub mod process;
pub mod ptrace;
pub mod registers;
pub mod seccomp;
pub mod shared;
pub mod signal;
pub mod spawn;
pub mod text;
pub mod wait;

use std::io;

/// A system call that failed. Building one allocates nothing.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {reason}")]
pub struct Error {
    /// What was asked of the kernel.
    pub call: &'static str,
    /// Its answer.
    pub reason: io::Error,
}

impl Error {
    /// The last error of this thread, as the failure of `call`.
    pub fn last(call: &'static str) -> Error {
        Error {
            call,
            reason: io::Error::last_os_error(),
        }
    }

    /// The error number.
    pub fn errno(&self) -> i32 {
        self.reason.raw_os_error().unwrap_or(0)
    }

    /// The task is gone: a tracee may be killed between its stop and our next request.
    pub fn is_gone(&self) -> bool {
        self.errno() == libc::ESRCH
    }
}

/// The value of a raw system call, -1 read as an error.
fn check(call: &'static str, value: libc::c_long) -> Result<libc::c_long, Error> {
    if value == -1 {
        Err(Error::last(call))
    } else {
        Ok(value)
    }
}
