//! The debug registers (Intel SDM volume 3, 19.2): addresses in the first four, and which of them count in the eighth.

use std::mem::offset_of;

use crate::Error;
use crate::ptrace::{peek_user, request};

/// The register of addresses that count.
const CONTROL: usize = 7;

/// Sets the breakpoint `slot` of the stopped task `tid` to the instruction at `address`, or takes it away.
pub fn set(tid: i32, slot: usize, address: Option<u64>) -> Result<(), Error> {
    // Bit 2n makes the n-th count; its kind, in bits 16 + 4n and following, is 0: execution.
    let counts = 1 << (2 * slot);
    let others = peek_user(tid, offset(CONTROL))? & !counts;
    // An address is not changed while it counts.
    poke(tid, CONTROL, others)?;
    if let Some(address) = address {
        poke(tid, slot, address)?;
        poke(tid, CONTROL, others | counts)?;
    }
    Ok(())
}

fn offset(register: usize) -> u64 {
    let first = offset_of!(libc::user, u_debugreg);
    (first + register * size_of::<u64>()) as u64
}

fn poke(tid: i32, register: usize, value: u64) -> Result<(), Error> {
    request(
        "ptrace(POKEUSER)",
        libc::PTRACE_POKEUSER,
        tid,
        offset(register),
        value,
    )
}
