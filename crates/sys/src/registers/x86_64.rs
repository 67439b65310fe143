//! x86_64, and i386 in compatibility mode.

use super::Made;
use crate::Error;
use crate::ptrace::{peek, request};

/// Bytes of `syscall`, and of `int 0x80` and `sysenter`.
pub const SYSCALL_LENGTH: u64 = 2;

/// `struct user_regs_struct`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Registers {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    rbp: u64,
    rbx: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rax: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    orig_rax: u64,
    rip: u64,
    cs: u64,
    eflags: u64,
    rsp: u64,
    ss: u64,
    fs_base: u64,
    gs_base: u64,
    ds: u64,
    es: u64,
    fs: u64,
    gs: u64,
}

impl Registers {
    /// Of a stopped task.
    pub fn of(pid: i32) -> Result<Registers, Error> {
        let mut registers = Registers::default();
        // GETREGS, not GETREGSET: for a 64-bit tracer it has this layout whatever mode the task is in.
        request(
            "ptrace(GETREGS)",
            libc::PTRACE_GETREGS,
            pid,
            0,
            (&raw mut registers) as u64,
        )?;
        Ok(registers)
    }

    /// Gives them to a stopped task.
    pub fn set(&self, pid: i32) -> Result<(), Error> {
        request(
            "ptrace(SETREGS)",
            libc::PTRACE_SETREGS,
            pid,
            0,
            std::ptr::from_ref(self) as u64,
        )
    }

    /// The instruction to be executed next: behind a call, the one after it.
    pub fn ip(&self) -> u64 {
        self.rip
    }

    /// The stack pointer.
    pub fn sp(&self) -> u64 {
        self.rsp
    }

    /// Moves there.
    pub fn set_ip(&mut self, ip: u64) {
        self.rip = ip;
    }

    /// The call in whose registers the task `pid` ends, of the 64-bit ABI or (`compat`) of the 32-bit
    /// one; `None` when it entered the kernel otherwise.
    pub fn call(&self, _pid: i32, compat: bool) -> Result<Option<Made>, Error> {
        // An interrupt or exception leaves -1 (entry_64.S); so does a call with that number, whose
        // `syscall` instruction however has also put the return address in rcx.
        if self.orig_rax == u64::MAX && self.rcx != self.rip {
            return Ok(None);
        }
        let r = self;
        let args = match compat {
            // Whole registers, as the filter saw them (`syscall_get_arguments` in the kernel's
            // `asm/syscall.h`): a 64-bit program has more than 32 bits in them.
            true => [r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp],
            false => [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9],
        };
        Ok(Some((r.orig_rax as u32, args)))
    }

    /// At the end of a task in a call: whether the call can be one that a filter killed, and is not one that was
    /// interrupted or has returned. A killed call has its number in rax again (`syscall_rollback`), or -ENOSYS
    /// from its entry when one thread of several was killed.
    pub fn was_killed(&self) -> bool {
        self.rax == self.orig_rax || self.rax as i64 == -i64::from(libc::ENOSYS)
    }

    /// Behind a call: whether the instruction that made it is `syscall`, so that another one can be made
    /// there by [`Registers::calling`].
    pub fn is_behind_call(&self, pid: i32) -> Result<bool, Error> {
        match peek(pid, self.rip.wrapping_sub(SYSCALL_LENGTH)) {
            Ok(word) => Ok(word & 0xffff == 0x050f),
            Err(e) if e.errno() == libc::EIO || e.errno() == libc::EFAULT => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Where in `code` one stands behind an instruction by which [`Registers::calling`] can make a call.
    pub fn behind_call_in(code: &[u8]) -> Option<usize> {
        let at = code.windows(2).position(|two| two == [0x0f, 0x05]);
        at.map(|at| at + SYSCALL_LENGTH as usize)
    }

    /// Behind a call: the registers with which its instruction makes another one instead.
    pub fn calling(mut self, number: u32, args: [u64; 6]) -> Registers {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9] = args;
        self.rax = number.into();
        // No call to be begun anew by a signal that comes in between.
        self.orig_rax = u64::MAX;
        self.rip = self.rip.wrapping_sub(SYSCALL_LENGTH);
        self
    }

    /// At the entry of a call: without these bits in its first argument.
    pub fn without_in_first(mut self, bits: u64) -> Registers {
        self.rdi &= !bits;
        self
    }

    /// At the stop of a filter that asks: the call is not made, and the program sees `errno` (seccomp(2):
    /// number -1 skips the call).
    pub fn skip_call(mut self, pid: i32, errno: u16) -> Result<(), Error> {
        self.orig_rax = u64::MAX;
        self.rax = (-i64::from(errno)) as u64;
        self.set(pid)
    }

    /// At the stop of a filter that asks: the call is not made, and the registers are those that it was made
    /// with, as behind a call that a filter traps (`syscall_rollback` of the kernel).
    pub fn roll_back(mut self, pid: i32) -> Result<(), Error> {
        self.rax = self.orig_rax;
        self.orig_rax = u64::MAX;
        self.set(pid)
    }

    /// At the stop of a signal: whether a call was interrupted, is about to return `EINTR`, and can begin anew.
    /// A return from a handler is none (`orig_ax` is -1 then, `restore_sigcontext` of the kernel), so that it
    /// does not matter whether one has run (`handled`).
    pub fn is_interrupted(&self, _pid: i32, _handled: bool) -> Result<bool, Error> {
        Ok(self.orig_rax != u64::MAX && self.rax as i64 == -i64::from(libc::EINTR))
    }

    /// Of an interrupted call: the registers with which it begins anew, unless a handler runs.
    pub fn anew(mut self, _pid: i32) -> Result<Registers, Error> {
        /// `ERESTARTNOHAND` of the kernel's `linux/errno.h`.
        const RESTART_UNLESS_HANDLED: i64 = -514;
        self.rax = RESTART_UNLESS_HANDLED as u64;
        Ok(self)
    }

    /// By their numbers in unwind tables (psABI, figure 3.36): 0 to 15, and 16 for the return address.
    pub fn by_dwarf_number(&self) -> Vec<u64> {
        let r = self;
        vec![
            r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11,
            r.r12, r.r13, r.r14, r.r15, r.rip,
        ]
    }

    /// The bits of a code address that are a signature: none.
    pub fn signature_bits(_pid: i32) -> u64 {
        0
    }
}

/// An instruction that stops a traced task with SIGTRAP: `int3`.
pub struct Trap;

impl Trap {
    /// Its bytes, lowest first.
    pub const BYTES: u64 = 0xcc;
    /// Which bits of a word they are.
    pub const MASK: u64 = 0xff;
    /// How far behind its begin the task stands at the stop.
    pub const ADVANCES: u64 = 1;
    /// `si_code` of the signal.
    pub const CODE: i32 = libc::SI_KERNEL;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers() -> Registers {
        Registers {
            orig_rax: 0xffff_ffff_0000_0029,
            rip: 0x1000,
            rcx: 0x1000,
            rdi: 1,
            rbx: 0x1_0000_0007,
            ..Registers::default()
        }
    }

    #[test]
    fn number_is_32_bits_and_args_follow_the_abi() {
        let (number, args) = registers().call(0, false).unwrap().unwrap();
        assert_eq!((number, args[0]), (41, 1));
        let (_, args) = registers().call(0, true).unwrap().unwrap();
        assert_eq!(args[0], 0x1_0000_0007);
    }

    #[test]
    fn an_exception_is_no_call_but_number_minus_one_is() {
        let mut r = registers();
        r.orig_rax = u64::MAX;
        assert_eq!(r.call(0, false).unwrap().unwrap().0, u32::MAX);
        r.rcx = 0;
        assert_eq!(r.call(0, false).unwrap(), None);
    }
}
