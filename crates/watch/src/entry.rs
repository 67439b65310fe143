//! A trap at the program's entry point: the loader has mapped everything by then, and the
//! program's own code has not begun. (Initialisers of its libraries have.)

use portcullis_sys::{Error, ptrace};

/// `int3`.
const TRAP: u64 = 0xcc;

/// The trap, set.
pub(crate) struct Entry {
    address: u64,
    original: u64,
}

impl Entry {
    /// Writes the trap into `pid`'s own copy of the page.
    pub(crate) fn set(pid: i32, address: u64) -> Result<Entry, Error> {
        let original = ptrace::peek(pid, address)?;
        ptrace::poke(pid, address, (original & !0xff) | TRAP)?;
        Ok(Entry { address, original })
    }

    /// For a task at a SIGTRAP stop: whether it is this trap. If so, the code is as it was and the
    /// task stands at its beginning.
    pub(crate) fn reached(&self, tid: i32) -> Result<bool, Error> {
        let mut registers = ptrace::registers(tid)?;
        if registers.rip != self.address.wrapping_add(1)
            || ptrace::signal_origin(tid)? != (libc::SIGTRAP, libc::SI_KERNEL)
        {
            return Ok(false);
        }
        // Only the byte is put back: the rest of the word may have been relocated since.
        let now = ptrace::peek(tid, self.address)?;
        if now & 0xff != TRAP {
            return Ok(false);
        }
        ptrace::poke(tid, self.address, (now & !0xff) | (self.original & 0xff))?;
        registers.rip = self.address;
        ptrace::set_registers(tid, &registers)?;
        Ok(true)
    }
}
