//! The general registers of a stopped task, by what they mean to a system call, a signal and a stack.
//!
//! One implementation for each architecture that Portcullis runs on; what they offer is the same. The
//! numbers of registers in unwind tables are the psABI's, and `DWARF` of them are followed.

#[cfg_attr(target_arch = "x86_64", path = "registers/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "registers/aarch64.rs")]
mod native;

#[cfg(target_arch = "aarch64")]
pub(crate) use native::{Access, regset};
pub use native::{Prelude, Registers, SYSCALL_LENGTH, Trap};

/// A call as registers hold it: its number (`seccomp_data.nr` is an int: the upper half of the register
/// does not count) and its arguments.
pub type Made = (u32, [u64; 6]);

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("Portcullis runs on x86_64 and aarch64");
