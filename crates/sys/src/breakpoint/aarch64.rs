//! The set of breakpoint registers (`struct user_hwdebug_state` of `asm/ptrace.h`).

use crate::Error;
use crate::registers::{Access, regset};

/// `NT_ARM_HW_BREAK` of `linux/elf.h`.
const BREAKPOINTS: u64 = 0x402;
/// Words before the first breakpoint, and of each: its address, and what it is.
const HEADER: usize = 1;
const WORDS: usize = 2;
/// `DBGBCR_EL1` of the Arm ARM, D23.3: all four bytes of an instruction, of EL0, enabled.
const COUNTS: u64 = 0xf << 5 | 2 << 1 | 1;

/// Sets the breakpoint `slot` of the stopped task `tid` to the instruction at `address`, or takes it away.
pub fn set(tid: i32, slot: usize, address: Option<u64>) -> Result<(), Error> {
    // What is after the slot is not touched: for each that is named the kernel takes one from the processor's number.
    let mut words = vec![0; HEADER + WORDS * (slot + 1)];
    regset(tid, Access::Get, BREAKPOINTS, &mut words)?;
    let own = &mut words[HEADER + WORDS * slot..];
    own[1] = 0;
    if let Some(address) = address {
        own[0] = address;
        own[1] = COUNTS;
    }
    regset(tid, Access::Set, BREAKPOINTS, &mut words).map(drop)
}
