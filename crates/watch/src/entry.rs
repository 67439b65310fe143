//! A trap at the program's entry point: the loader has mapped everything by then, and the
//! program's own code has not begun. (Initialisers of its libraries have.)

use portcullis_sys::registers::{Registers, Trap};
use portcullis_sys::{Error, ptrace};

/// The trap, set.
pub(crate) struct Entry {
    address: u64,
    original: u64,
}

impl Entry {
    /// Writes the trap into `pid`'s own copy of the page.
    pub(crate) fn set(pid: i32, address: u64) -> Result<Entry, Error> {
        let original = ptrace::peek(pid, address)?;
        ptrace::poke(pid, address, (original & !Trap::MASK) | Trap::BYTES)?;
        Ok(Entry { address, original })
    }

    /// For a task at a SIGTRAP stop: whether it is this trap. If so, the code is as it was and the
    /// task stands at its beginning.
    pub(crate) fn reached(&self, tid: i32) -> Result<bool, Error> {
        let mut registers = Registers::of(tid)?;
        if registers.ip() != self.address.wrapping_add(Trap::ADVANCES)
            || ptrace::signal_origin(tid)? != (libc::SIGTRAP, Trap::CODE)
        {
            return Ok(false);
        }
        // Only the instruction is put back: the rest of the word may have been relocated since.
        let now = ptrace::peek(tid, self.address)?;
        if now & Trap::MASK != Trap::BYTES {
            return Ok(false);
        }
        ptrace::poke(
            tid,
            self.address,
            (now & !Trap::MASK) | (self.original & Trap::MASK),
        )?;
        registers.set_ip(self.address);
        registers.set(tid)?;
        Ok(true)
    }
}
