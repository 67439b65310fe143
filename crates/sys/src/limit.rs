//! `setrlimit(2)`.
#![expect(unsafe_code, reason = "a structure is handed to the kernel")]

use crate::{Error, check};

/// `RLIMIT_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// `RLIMIT_AS`, in bytes.
    AddressSpace,
    /// `RLIMIT_CPU`, in seconds.
    Cpu,
    /// `RLIMIT_FSIZE`, in bytes.
    FileSize,
    /// `RLIMIT_MSGQUEUE`: bytes of the user's POSIX message queues, in the user namespace from Linux 5.14 on.
    MessageQueues,
    /// `RLIMIT_NOFILE`: one more than the highest descriptor.
    Files,
    /// `RLIMIT_NPROC`: tasks of the user in the user namespace.
    Processes,
}

/// Bounds `resource` of the calling process and its descendants, softly and hard. A hard limit that is lower
/// already is kept. May be called by a child before its exec.
pub fn set(resource: Resource, most: u64) -> Result<(), Error> {
    let resource = match resource {
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::FileSize => libc::RLIMIT_FSIZE,
        Resource::MessageQueues => libc::RLIMIT_MSGQUEUE,
        Resource::Files => libc::RLIMIT_NOFILE,
        Resource::Processes => libc::RLIMIT_NPROC,
    };
    let mut now = [0_u64; 2];
    // SAFETY: the kernel writes two numbers of 64 bits.
    let value = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            std::ptr::null::<u64>(),
            now.as_mut_ptr(),
        )
    };
    check("prlimit64", value)?;
    let most = most.min(now[1]);
    let new = [most, most];
    // SAFETY: the kernel reads two numbers of 64 bits.
    let value = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            new.as_ptr(),
            std::ptr::null_mut::<u64>(),
        )
    };
    check("prlimit64", value).map(drop)
}
