//! `landlock(7)`: a ruleset for the calling thread and its descendants.
//!
//! The raw calls and no more, because rules are made by a child that must not allocate.
#![expect(unsafe_code, reason = "raw system calls with structures")]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::process::owned;
use crate::{Error, check};

/// `LANDLOCK_ACCESS_FS_*`, as a set of bits.
pub type FileAccess = u64;
/// `LANDLOCK_ACCESS_NET_*`.
pub type NetAccess = u64;
/// `LANDLOCK_SCOPE_*`.
pub type Scopes = u64;

/// What a ruleset denies but for its rules: `struct landlock_ruleset_attr`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Handled {
    /// Of files.
    pub files: FileAccess,
    /// Of TCP ports.
    pub net: NetAccess,
    /// Of what is outside the domain.
    pub scopes: Scopes,
}

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
const RULE_NET_PORT: u32 = 2;
/// `LANDLOCK_ACCESS_NET_CONNECT_TCP`.
const CONNECT_TCP: NetAccess = 1 << 1;

/// The newest ABI that the kernel knows; an error when it has no Landlock (ENOSYS) or it is not switched on
/// (EOPNOTSUPP).
pub fn abi() -> Result<u32, Error> {
    // SAFETY: no structure is passed.
    let value = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<Handled>(),
            0,
            CREATE_RULESET_VERSION,
        )
    };
    let abi = check("landlock_create_ruleset(VERSION)", value)?;
    Ok(u32::try_from(abi).unwrap_or(0))
}

/// A ruleset without rules. Kernels know the structure by its size: what is zero at its end is not passed.
/// May be called by a child before its exec.
pub fn ruleset(handled: &Handled) -> Result<OwnedFd, Error> {
    let size = match handled {
        Handled {
            net: 0, scopes: 0, ..
        } => 8,
        Handled { scopes: 0, .. } => 16,
        _ => size_of::<Handled>(),
    };
    // SAFETY: the structure lives, and `size` is within it.
    let value = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::from_ref(handled),
            size,
            0,
        )
    };
    check("landlock_create_ruleset", value).map(owned)
}

/// Allows `access` at and below `place`. May be called by a child before its exec.
pub fn allow(
    ruleset: BorrowedFd<'_>,
    place: BorrowedFd<'_>,
    access: FileAccess,
) -> Result<(), Error> {
    #[repr(C, packed)]
    struct PathBeneath {
        access: u64,
        place: i32,
    }
    let rule = PathBeneath {
        access,
        place: place.as_raw_fd(),
    };
    // SAFETY: the structure of this type of rule, which lives.
    let value = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const rule,
            0,
        )
    };
    check("landlock_add_rule", value).map(drop)
}

/// Allows to connect to `port` by TCP (ABI 4). May be called by a child before its exec.
pub fn allow_connect(ruleset: BorrowedFd<'_>, port: u16) -> Result<(), Error> {
    // `struct landlock_net_port_attr`: accesses, and the port as a number of 64 bits.
    let rule = [CONNECT_TCP, u64::from(port)];
    // SAFETY: the structure of this type of rule, which lives.
    let value = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_NET_PORT,
            rule.as_ptr(),
            0,
        )
    };
    check("landlock_add_rule", value).map(drop)
}

/// `LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON` (ABI 7): denials are audited also after an exec.
const LOG_NEW_EXEC: u32 = 1 << 1;

/// Puts the calling thread under `ruleset`, for good. It must have no-new-privileges set. `audited`: what it
/// denies to the program that is executed next has audit records (ABI 7). May be called by a child before its
/// exec.
pub fn restrict(ruleset: BorrowedFd<'_>, audited: bool) -> Result<(), Error> {
    let flags = if audited { LOG_NEW_EXEC } else { 0 };
    // SAFETY: integers only.
    let value =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), flags) };
    check("landlock_restrict_self", value).map(drop)
}
