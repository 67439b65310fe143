//! `seccomp(2)`: loading a filter.
#![expect(
    unsafe_code,
    reason = "a pointer to the program is handed to the kernel"
)]

use crate::{Error, check};

/// `SECCOMP_RET_KILL_PROCESS` of `linux/seccomp.h`.
pub const RET_KILL_PROCESS: u32 = 0x8000_0000;
/// `SECCOMP_RET_ERRNO`; the low 16 bits carry the number.
pub const RET_ERRNO: u32 = 0x0005_0000;
/// `SECCOMP_RET_TRACE`; the low 16 bits reach the tracer as the event's message.
pub const RET_TRACE: u32 = 0x7ff0_0000;
/// `SECCOMP_RET_ALLOW`.
pub const RET_ALLOW: u32 = 0x7fff_0000;

/// `BPF_MAXINSNS`: the kernel takes no longer program.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// One classic BPF instruction, laid out as `struct sock_filter` of `linux/filter.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct SockFilter {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Loads `filter` for the calling thread, which must have no-new-privileges set or be privileged.
/// A program that the kernel finds malformed, or longer than [`MAX_INSTRUCTIONS`], is `EINVAL`.
///
/// May be called by a child before its exec.
pub fn install(filter: &[SockFilter]) -> Result<(), Error> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(0),
        filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: `program` points to `len` instructions of the layout the kernel reads (SockFilter is
    // repr(C) with sock_filter's fields); the kernel copies them and writes nothing.
    let value = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    check("seccomp(SET_MODE_FILTER)", value).map(drop)
}

/// Asks whether this kernel takes filters that kill a process (`SECCOMP_GET_ACTION_AVAIL`, Linux 4.14).
pub fn takes_filters() -> Result<(), Error> {
    let action = RET_KILL_PROCESS;
    // SAFETY: the kernel reads one number behind the pointer.
    let value = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            &raw const action,
        )
    };
    check("seccomp(GET_ACTION_AVAIL)", value).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_takes_filters() {
        takes_filters().unwrap();
    }

    #[test]
    fn layout_is_the_kernels() {
        assert_eq!(size_of::<SockFilter>(), size_of::<libc::sock_filter>());
        assert_eq!(
            std::mem::offset_of!(SockFilter, k),
            std::mem::offset_of!(libc::sock_filter, k)
        );
    }
}
