//! `seccomp(2)`: loading a filter.
#![expect(
    unsafe_code,
    reason = "a pointer to the program is handed to the kernel"
)]

use std::sync::atomic::AtomicU64;

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

impl SockFilter {
    /// Its bytes.
    pub fn word(self) -> u64 {
        let ([a, b], [c, d, e, f]) = (self.code.to_ne_bytes(), self.k.to_ne_bytes());
        u64::from_ne_bytes([a, b, self.jt, self.jf, c, d, e, f])
    }
}

/// Loads `filter` for the calling thread, which must have no-new-privileges set or be privileged.
/// A program that the kernel finds malformed, or longer than [`MAX_INSTRUCTIONS`], is `EINVAL`.
///
/// May be called by a child before its exec.
pub fn install(filter: &[SockFilter]) -> Result<(), Error> {
    load(filter.as_ptr(), filter.len())
}

/// [`install`] of instructions in memory that others share, each a word as [`SockFilter::word`] makes it.
///
/// May be called by a child before its exec.
pub fn install_words(words: &[AtomicU64]) -> Result<(), Error> {
    load(words.as_ptr().cast(), words.len())
}

fn load(filter: *const SockFilter, length: usize) -> Result<(), Error> {
    let program = libc::sock_fprog {
        len: u16::try_from(length).unwrap_or(0),
        filter: filter.cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: `program` points to `len` instructions of the layout the kernel reads (SockFilter is
    // repr(C) with sock_filter's fields, and a word has its bytes); the kernel copies them and writes nothing.
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
    fn a_word_has_the_bytes_of_an_instruction() {
        let instruction = SockFilter {
            code: 0x0102,
            jt: 3,
            jf: 4,
            k: 0x0506_0708,
        };
        // SAFETY: both have eight bytes and no padding.
        let bytes = unsafe { std::mem::transmute::<SockFilter, u64>(instruction) };
        assert_eq!(instruction.word(), bytes);
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
