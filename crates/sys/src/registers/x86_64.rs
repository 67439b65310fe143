//! x86_64, and i386 in compatibility mode.

use super::Made;
use crate::Error;
use crate::ptrace::{peek, poke, request};

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

    /// Whether [`Registers::is_interrupted`] has to know whether a handler has run.
    pub const DEPENDS_ON_HANDLERS: bool = false;

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

/// What has a program that stands in its exec load a filter before its first instruction: a few instructions of ours,
/// which go to that by themselves. Registers and flags are then as without them, and the filter's bytes are 0. When the
/// filter is refused the task stops with SIGTRAP: the kernel has that program ignore and block it no more
/// (`force_sig_info_to_task`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prelude {
    code: [u8; Prelude::SIZE],
    place: u64,
    begins: Registers,
    goes_on: Registers,
}

impl Prelude {
    /// Bytes of its code.
    pub const SIZE: usize = 48;
    /// How far behind its begin the task stands in the call.
    pub const BEHIND_CALL: u64 = 7;
    /// The same, when the filter was refused.
    const REFUSED: u64 = 39;
    const SIZE_AT: usize = 15;
    const ENTRY_AT: usize = 40;
    #[rustfmt::skip]
    const CODE: [u8; Prelude::SIZE] = [
        0xb8, 0x3d, 0x01, 0, 0, // mov $SYS_seccomp, %eax; its arguments are in their registers
        0x0f, 0x05,             // syscall
        0x85, 0xc0,             // test %eax, %eax
        0x75, 0x1b,             // jne refused
        0x48, 0x89, 0xd7,       // mov %rdx, %rdi
        0xb9, 0, 0, 0, 0,       // mov $size, %ecx
        0xf3, 0xaa,             // rep stosb: the filter is written over with al, which is 0; rcx counts to 0
        0x85, 0xf6,             // test %esi, %esi: of 4, which clears all flags
        0x89, 0xc7,             // mov %eax, %edi
        0x89, 0xc6,             // mov %eax, %esi
        0x89, 0xc2,             // mov %eax, %edx
        0x41, 0x89, 0xc3,       // mov %eax, %r11d, where the call has left the flags
        0xff, 0x25, 2, 0, 0, 0, // jmp *entry(%rip)
        0xcc, 0xcc,             // refused: int3
        0, 0, 0, 0, 0, 0, 0, 0, // entry: where the program's first instruction is
    ];

    /// For a native program with the registers `at_exec`: the code lies at `place`, the filter, of `size` bytes with its
    /// header, at `filter`. `None` when those are not the registers of a program that begins (`ELF_PLAT_INIT` and
    /// `start_thread` of the kernel: 0, but for those of code and stack).
    pub fn new(at_exec: &Registers, place: u64, filter: u64, size: u32) -> Option<Prelude> {
        let goes_on = Registers {
            // What the exec returns is written there behind this stop.
            rax: 0,
            orig_rax: u64::MAX,
            ..*at_exec
        };
        let fresh = Registers {
            orig_rax: u64::MAX,
            rip: at_exec.rip,
            rsp: at_exec.rsp,
            cs: at_exec.cs,
            ss: at_exec.ss,
            eflags: at_exec.eflags,
            ..Registers::default()
        };
        if goes_on != fresh || at_exec.eflags & !RESERVED != INTERRUPTS {
            return None;
        }
        let mut code = Prelude::CODE;
        code[Prelude::SIZE_AT..Prelude::SIZE_AT + 4].copy_from_slice(&size.to_le_bytes());
        code[Prelude::ENTRY_AT..].copy_from_slice(&at_exec.rip.to_le_bytes());
        let begins = Registers {
            rdi: libc::SECCOMP_SET_MODE_FILTER.into(),
            // Not without the flag: kernels before 5.16 slow a task with a filter down (spec_store_bypass).
            rsi: libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            rdx: filter,
            rip: place,
            ..*at_exec
        };
        Some(Prelude {
            code,
            place,
            begins,
            goes_on,
        })
    }

    /// Puts its code into the task's memory, also where that is not writable.
    pub fn put(&self, pid: i32) -> Result<(), Error> {
        let words = self.code.as_chunks().0.iter();
        for (at, word) in words.enumerate() {
            let address = self.place.wrapping_add(8 * at as u64);
            poke(pid, address, u64::from_le_bytes(*word))?;
        }
        Ok(())
    }

    /// The task at the stop of its exec begins with it.
    pub fn begin(&self, pid: i32) -> Result<(), Error> {
        self.begins.set(pid)
    }

    /// For the task at the stop of a SIGTRAP: whether its filter was refused. It stands at its first instruction then.
    pub fn is_refused(&self, pid: i32) -> Result<bool, Error> {
        let is_refused = Registers::of(pid)?.rip == self.place.wrapping_add(Prelude::REFUSED);
        if is_refused {
            self.goes_on.set(pid)?;
        }
        Ok(is_refused)
    }
}

/// `X86_EFLAGS_IF`: interrupts, which are on wherever programs run.
const INTERRUPTS: u64 = 1 << 9;
/// `X86_EFLAGS_FIXED`, which is always set.
const RESERVED: u64 = 1 << 1;

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

    #[test]
    fn a_prelude_is_for_a_program_that_begins() {
        let at_exec = Registers {
            rax: (-i64::from(libc::ENOSYS)) as u64,
            orig_rax: 59,
            rip: 0x1000,
            rsp: 0x2000,
            cs: 0x33,
            ss: 0x2b,
            eflags: INTERRUPTS,
            ..Registers::default()
        };
        let prelude = Prelude::new(&at_exec, 0x3fd0, 0x1f00, 0x1a8).unwrap();
        assert_eq!(
            prelude.code[Prelude::BEHIND_CALL as usize - 2..][..2],
            [0x0f, 0x05]
        );
        assert_eq!(prelude.code[14..19], [0xb9, 0xa8, 1, 0, 0]);
        assert_eq!(prelude.code[40..], 0x1000_u64.to_le_bytes());
        assert_eq!((prelude.begins.rip, prelude.begins.rdx), (0x3fd0, 0x1f00));
        assert_eq!((prelude.goes_on.rip, prelude.goes_on.rax), (0x1000, 0));
        for other in [
            Registers { rdi: 1, ..at_exec },
            Registers { r11: 1, ..at_exec },
            Registers {
                eflags: INTERRUPTS | 1 << 10,
                ..at_exec
            },
            Registers {
                fs_base: 1,
                ..at_exec
            },
        ] {
            assert_eq!(Prelude::new(&other, 0x3fd0, 0x1f00, 0x1a8), None);
        }
    }
}
