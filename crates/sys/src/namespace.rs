//! Namespaces, and what a process is inside them.
#![expect(unsafe_code, reason = "raw system calls with integers and structures")]

use std::os::fd::AsRawFd;

use crate::{Error, check, process};

/// A set of kinds of namespaces, as the flags of clone(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Namespaces(libc::c_int);

impl Namespaces {
    /// None.
    pub const NONE: Namespaces = Namespaces(0);
    /// User ids and capabilities.
    pub const USER: Namespaces = Namespaces(libc::CLONE_NEWUSER);
    /// Process numbers.
    pub const PID: Namespaces = Namespaces(libc::CLONE_NEWPID);
    /// Mounts.
    pub const MOUNT: Namespaces = Namespaces(libc::CLONE_NEWNS);
    /// Network devices, addresses, ports and abstract sockets.
    pub const NET: Namespaces = Namespaces(libc::CLONE_NEWNET);
    /// System V IPC and POSIX message queues.
    pub const IPC: Namespaces = Namespaces(libc::CLONE_NEWIPC);
    /// Host name.
    pub const UTS: Namespaces = Namespaces(libc::CLONE_NEWUTS);
    /// The root of the cgroup tree.
    pub const CGROUP: Namespaces = Namespaces(libc::CLONE_NEWCGROUP);

    /// All of `self` and `other`.
    #[must_use]
    pub const fn and(self, other: Namespaces) -> Namespaces {
        Namespaces(self.0 | other.0)
    }

    /// Whether all of `other` are among them.
    pub const fn has(self, other: Namespaces) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of clone(2).
    pub(crate) const fn flags(self) -> libc::c_int {
        self.0
    }
}

/// Whether the kernel has time namespaces (`CONFIG_TIME_NS`, Linux 5.6).
pub fn has_clocks() -> bool {
    std::path::Path::new("/proc/self/ns/time").exists()
}

/// Children of the caller have clocks of their own from now on, that run as the caller's do until their offsets
/// are written to its `timens_offsets`, before the first child (time_namespaces(7)). May be called by a child
/// before its exec.
pub fn leave_clocks() -> Result<(), Error> {
    // SAFETY: an integer only.
    let value = unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWTIME) };
    check("unshare(CLONE_NEWTIME)", value).map(drop)
}

/// Capabilities by their numbers, as a set of bits.
pub type Capabilities = u64;

/// Lowers the calling thread to `kept`: permitted, effective and bounding sets; the inheritable set is
/// emptied. Numbers that the kernel does not know are passed over. May be called by a child before its exec.
pub fn keep_capabilities(kept: Capabilities) -> Result<(), Error> {
    for number in 0..64 {
        if kept & (1 << number) != 0 {
            continue;
        }
        // SAFETY: prctl with integer arguments only.
        let value =
            unsafe { libc::syscall(libc::SYS_prctl, libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        match check("prctl(PR_CAPBSET_DROP)", value) {
            // The first number above the kernel's last.
            Err(e) if e.errno() == libc::EINVAL => break,
            other => other?,
        };
    }
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let half = |kept: u64| CapabilityHalf {
        effective: kept as u32,
        permitted: kept as u32,
        inheritable: 0,
    };
    let data = [half(kept), half(kept >> 32)];
    // SAFETY: version 3 takes a header and two halves (capget(2)); the kernel reads both.
    let value = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    check("capset", value).map(drop)
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
struct CapabilityHalf {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Becomes user and group 0 of the caller's user namespace, whose maps are written, and leaves all other
/// groups. The kernel clears the parent-death signal and makes the process non-dumpable (prctl(2)). May be
/// called by a child before its exec: the calls themselves are made, because libc's change all threads.
pub fn become_first_user() -> Result<(), Error> {
    // SAFETY: an empty list is passed, so nothing is read.
    let value = unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) };
    check("setgroups", value)?;
    // SAFETY: integers only.
    let value = unsafe { libc::syscall(libc::SYS_setresgid, 0, 0, 0) };
    check("setresgid", value)?;
    // SAFETY: integers only.
    let value = unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) };
    check("setresuid", value).map(drop)
}

/// Brings the loopback device of the calling process's network namespace up. May be called by a child before
/// its exec.
pub fn bring_loopback_up() -> Result<(), Error> {
    // SAFETY: socket with integer arguments only.
    let socket = unsafe {
        libc::syscall(
            libc::SYS_socket,
            libc::AF_INET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            0,
        )
    };
    let socket = process::owned(check("socket", socket)?);
    // SAFETY: a zeroed ifreq is valid.
    let mut request = unsafe { std::mem::zeroed::<libc::ifreq>() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which lives.
    let value = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS,
            &raw const request,
        )
    };
    check("ioctl(SIOCSIFFLAGS, lo)", value).map(drop)
}
