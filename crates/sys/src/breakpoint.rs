//! Breakpoints of the processor, one task's own: its code stays as it is, other threads of the process run over the
//! same address unhindered, and neither children nor an exec inherit them.
//!
//! A task that reaches one stops with SIGTRAP before the instruction.

#[cfg_attr(target_arch = "x86_64", path = "breakpoint/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "breakpoint/aarch64.rs")]
mod native;

pub use native::set;

/// How many every task can have: all of x86_64, and what cores of aarch64 have at least but for the smallest.
pub const SLOTS: usize = 4;

/// `TRAP_HWBKPT` of siginfo.h: the `si_code` of that SIGTRAP.
pub const CODE: i32 = 4;
