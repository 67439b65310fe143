//! aarch64, and arm in compatibility mode.

use std::io;

use super::Made;
use crate::Error;
use crate::ptrace::{arguments_at_signal, peek, request};

/// Bytes of `svc`.
pub const SYSCALL_LENGTH: u64 = 4;

/// `NT_PRSTATUS` of `linux/elf.h`: the general registers.
const GENERAL: u64 = 1;
/// `NT_ARM_SYSTEM_CALL`: the number of the call that is to be made, an int.
const SYSTEM_CALL: u64 = 0x404;
/// `NT_ARM_PAC_MASK`: which bits of data and of code addresses are signatures.
const PAC_MASK: u64 = 0x406;

/// `struct user_pt_regs`, and of a task in compatibility mode `struct user_regs` of arm in the same places.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    x: [u64; 31],
    sp: u64,
    pc: u64,
    pstate: u64,
    /// The task runs 32-bit code: `x` is r0 to r14, and what is above is 0.
    compat: bool,
}

/// The processor's state does not count: the kernel changes bits of it by itself (SSBS, between the stop of a
/// signal and the end of a task, seen on 6.12 and 7.3).
impl PartialEq for Registers {
    fn eq(&self, other: &Registers) -> bool {
        let own = |r: &Registers| (r.x, r.sp, r.pc, r.compat);
        own(self) == own(other)
    }
}

impl Eq for Registers {}

/// Words of `struct user_pt_regs`: x0 to x30, sp, pc, pstate.
const WORDS: usize = 34;
/// Bytes of arm's `struct user_regs`: r0 to r15, cpsr, orig_r0.
const COMPAT_BYTES: usize = 72;

impl Registers {
    /// Of a stopped task.
    pub fn of(pid: i32) -> Result<Registers, Error> {
        let mut words = [0_u64; WORDS];
        let filled = regset(pid, Access::Get, GENERAL, &mut words)?;
        if filled != COMPAT_BYTES {
            let mut x = [0; 31];
            x.copy_from_slice(&words[..31]);
            return Ok(Registers {
                x,
                sp: words[31],
                pc: words[32],
                pstate: words[33],
                compat: false,
            });
        }
        let half = |at: usize| (words[at / 2] >> (at % 2 * 32)) & 0xffff_ffff;
        let mut x = [0; 31];
        for (at, value) in x.iter_mut().enumerate().take(15) {
            *value = half(at);
        }
        Ok(Registers {
            x,
            sp: x[13],
            pc: half(15),
            pstate: half(16),
            compat: true,
        })
    }

    /// Gives them to a stopped task; those of a task in compatibility mode cannot be changed.
    pub fn set(&self, pid: i32) -> Result<(), Error> {
        if self.compat {
            return Err(Error {
                call: "ptrace(SETREGSET)",
                reason: io::Error::from_raw_os_error(libc::EOPNOTSUPP),
            });
        }
        let mut words = [0; WORDS];
        words[..31].copy_from_slice(&self.x);
        words[31..].copy_from_slice(&[self.sp, self.pc, self.pstate]);
        regset(pid, Access::Set, GENERAL, &mut words).map(drop)
    }

    /// The instruction to be executed next: behind a call, the one after it.
    pub fn ip(&self) -> u64 {
        self.pc
    }

    /// The stack pointer.
    pub fn sp(&self) -> u64 {
        self.sp
    }

    /// Moves there.
    pub fn set_ip(&mut self, ip: u64) {
        self.pc = ip;
    }

    /// The call in whose registers the task `pid` ends, of the 64-bit ABI or (`compat`) of the 32-bit
    /// one; `None` when it entered the kernel otherwise.
    ///
    /// At its end a task has forgotten that it was in a call (`forget_syscall` in the kernel's
    /// `signal.c`): what remains is that an instruction that makes calls lies behind it. A call that a
    /// filter kills has its first argument again in x0 (`syscall_rollback`).
    pub fn call(&self, pid: i32, compat: bool) -> Result<Option<Made>, Error> {
        let mut args = [0; 6];
        args.copy_from_slice(&self.x[..6]);
        if compat {
            // No native call takes these for its own: nothing is lost by believing them.
            return Ok(Some((self.x[7] as u32, args)));
        }
        Ok(match is_call(pid, self.pc.wrapping_sub(SYSCALL_LENGTH))? {
            true => Some((self.x[8] as u32, args)),
            false => None,
        })
    }

    /// At the end of a task in a call: whether the call can be one that a filter killed, and is not one that was
    /// interrupted. What has returned cannot be told, because x0 has its first argument or its result; but a new
    /// task that has not run yet can: there 0 stands behind the call that made it (`copy_thread` of the kernel's
    /// `process.c`), where `clone` has flags and `clone3` a pointer.
    pub fn was_killed(&self) -> bool {
        /// `EINTR`, and `ERESTARTSYS` to `ERESTART_RESTARTBLOCK` of the kernel's `linux/errno.h`.
        const INTERRUPTED: [i64; 6] = [-4, -512, -513, -514, -515, -516];
        let makes_tasks = [libc::SYS_clone, libc::SYS_clone3].contains(&(self.x[8] as i64));
        let is_new = makes_tasks && self.x[0] == 0;
        !is_new && !INTERRUPTED.contains(&(self.x[0] as i64))
    }

    /// Behind a call: whether the instruction that made it is `svc`, so that another one can be made there
    /// by [`Registers::calling`].
    pub fn is_behind_call(&self, pid: i32) -> Result<bool, Error> {
        Ok(!self.compat && is_call(pid, self.pc.wrapping_sub(SYSCALL_LENGTH))?)
    }

    /// Where in `code`, which begins at an instruction, one stands behind one by which
    /// [`Registers::calling`] can make a call.
    pub fn behind_call_in(code: &[u8]) -> Option<usize> {
        let word = |four: &[u8]| u32::from_le_bytes(four.try_into().unwrap_or_default());
        let at = code.chunks(4).position(|four| is_svc(word(four)));
        at.map(|at| (at + 1) * SYSCALL_LENGTH as usize)
    }

    /// Behind a call: the registers with which its instruction makes another one instead. (x7 as it is seen
    /// at the stop of a call says which stop it is, and what is set there is not taken:
    /// `report_syscall_enter` of the kernel's `ptrace.c`.)
    pub fn calling(mut self, number: u32, args: [u64; 6]) -> Registers {
        self.x[..6].copy_from_slice(&args);
        self.x[8] = number.into();
        self.pc = self.pc.wrapping_sub(SYSCALL_LENGTH);
        self
    }

    /// At the entry of a call: without these bits in its first argument.
    pub fn without_in_first(mut self, bits: u64) -> Registers {
        self.x[0] &= !bits;
        self
    }

    /// At the stop of a filter that asks: the call is not made, and the program sees `errno`
    /// (`el0_svc_common` of the kernel: number -1 skips the call and leaves x0).
    pub fn skip_call(mut self, pid: i32, errno: u16) -> Result<(), Error> {
        self.x[0] = (-i64::from(errno)) as u64;
        self.set(pid)?;
        set_system_call(pid, -1)
    }

    /// At the stop of a filter that asks: the call is not made, and the registers are those that it was made
    /// with, as behind a call that a filter traps (`syscall_rollback` of the kernel).
    pub fn roll_back(self, pid: i32) -> Result<(), Error> {
        self.set(pid)?;
        set_system_call(pid, -1)
    }

    /// Whether [`Registers::is_interrupted`] has to know whether a handler has run.
    pub const DEPENDS_ON_HANDLERS: bool = true;

    /// At the stop of a signal: whether a call was interrupted, is about to return `EINTR`, and can begin anew.
    ///
    /// At the stop the kernel has forgotten the call (`do_signal`): what remains, that `EINTR` stands behind an
    /// instruction that makes calls, is also what the return from a handler looks like that interrupted one. A
    /// task is therefore believed only when no handler has run in it (`handled`).
    pub fn is_interrupted(&self, pid: i32, handled: bool) -> Result<bool, Error> {
        let has_failed = self.x[0] as i64 == -i64::from(libc::EINTR);
        Ok(has_failed
            && !handled
            && !self.compat
            && is_call(pid, self.pc.wrapping_sub(SYSCALL_LENGTH))?)
    }

    /// Of an interrupted call: the registers with which it begins anew. They hide from the kernel that a
    /// call was interrupted: when a handler is to run, the former ones have to be set again.
    pub fn anew(mut self, pid: i32) -> Result<Registers, Error> {
        self.x[0] = arguments_at_signal(pid)?[0];
        self.pc = self.pc.wrapping_sub(SYSCALL_LENGTH);
        Ok(self)
    }

    /// By their numbers in unwind tables (DWARF for the Arm 64-bit architecture, 4.1): 0 to 30, 31 for the
    /// stack pointer, 32 for the program counter.
    pub fn by_dwarf_number(&self) -> Vec<u64> {
        let mut all = self.x.to_vec();
        all.extend([self.sp, self.pc]);
        all
    }

    /// The bits of a code address that are a signature (pointer authentication); none where the processor
    /// makes none.
    pub fn signature_bits(pid: i32) -> u64 {
        let mut masks = [0_u64; 2];
        match regset(pid, Access::Get, PAC_MASK, &mut masks) {
            Ok(_) => masks[1],
            Err(_) => 0,
        }
    }
}

/// Whether the instruction at `address` is `svc`.
fn is_call(pid: i32, address: u64) -> Result<bool, Error> {
    match peek(pid, address) {
        Ok(word) => Ok(is_svc(word as u32)),
        // Nothing is mapped there.
        Err(e) if e.errno() == libc::EIO || e.errno() == libc::EFAULT => Ok(false),
        Err(e) => Err(e),
    }
}

/// SVC of the Arm ARM, C6.2: the 16 bits of its operand do not count for Linux.
fn is_svc(instruction: u32) -> bool {
    instruction & 0xffe0_001f == 0xd400_0001
}

/// Sets the number of the call that a task at its filter's stop is to make; -1 for none.
fn set_system_call(pid: i32, number: i32) -> Result<(), Error> {
    regset(pid, Access::Set, SYSTEM_CALL, &mut [number]).map(drop)
}

pub(crate) enum Access {
    Get,
    Set,
}

/// Gets or sets a register set; the bytes that were transferred.
pub(crate) fn regset<T>(
    pid: i32,
    access: Access,
    set: u64,
    words: &mut [T],
) -> Result<usize, Error> {
    let mut vector = libc::iovec {
        iov_base: words.as_mut_ptr().cast(),
        iov_len: size_of_val(words),
    };
    let (call, code) = match access {
        Access::Get => ("ptrace(GETREGSET)", libc::PTRACE_GETREGSET),
        Access::Set => ("ptrace(SETREGSET)", libc::PTRACE_SETREGSET),
    };
    request(call, code, pid, set, (&raw mut vector) as u64)?;
    Ok(vector.iov_len)
}

/// What has a program that stands in its exec load a filter before its first instruction. For this architecture it is not
/// written: there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prelude {}

impl Prelude {
    /// Bytes of its code.
    pub const SIZE: usize = 0;
    /// How far behind its begin the task stands in the call.
    pub const BEHIND_CALL: u64 = 0;

    /// None.
    pub fn new(_at_exec: &Registers, _place: u64, _filter: u64, _size: u32) -> Option<Prelude> {
        None
    }

    /// Puts its code into the task's memory.
    pub fn put(&self, _pid: i32) -> Result<(), Error> {
        match *self {}
    }

    /// The task at the stop of its exec begins with it.
    pub fn begin(&self, _pid: i32) -> Result<(), Error> {
        match *self {}
    }

    /// For the task at the stop of a SIGTRAP: whether its filter was refused.
    pub fn is_refused(&self, _pid: i32) -> Result<bool, Error> {
        match *self {}
    }
}

/// An instruction that stops a traced task with SIGTRAP: `brk #0`.
pub struct Trap;

impl Trap {
    /// Its bytes, lowest first.
    pub const BYTES: u64 = 0xd420_0000;
    /// Which bits of a word they are.
    pub const MASK: u64 = 0xffff_ffff;
    /// How far behind its begin the task stands at the stop.
    pub const ADVANCES: u64 = 0;
    /// `si_code` of the signal.
    pub const CODE: i32 = libc::TRAP_BRKPT;
}
