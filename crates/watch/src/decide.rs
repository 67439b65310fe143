//! Calls, and the policy's answer to them.

use portcullis_abi::Arch;
use portcullis_sys::ptrace::Registers;

/// `AUDIT_ARCH_X86_64`.
pub const X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`: a call by `int 0x80` or `sysenter`.
pub const I386: u32 = 0x4000_0003;

/// Bit 30 of a number: the x32 ABI (`__X32_SYSCALL_BIT`).
const X32_BIT: u32 = Arch::X32_BIT;

/// A system call as a filter sees it (`struct seccomp_data`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Call {
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// Its number.
    pub number: u32,
    /// The instruction after the one that made it.
    pub ip: u64,
    /// Its register arguments.
    pub args: [u64; 6],
}

impl Call {
    /// The call in whose registers a task stands; `None` when it entered the kernel otherwise.
    pub(crate) fn of(arch: u32, registers: &Registers) -> Option<Call> {
        // An interrupt or exception leaves -1 (entry_64.S); so does a call with that number, whose
        // `syscall` instruction however has also put the return address in rcx.
        if registers.orig_rax == u64::MAX && registers.rcx != registers.rip {
            return None;
        }
        let low = |word: u64| word & 0xffff_ffff;
        let r = registers;
        Some(Call {
            arch,
            // seccomp_data.nr is an int: the upper half of the register does not count.
            number: low(r.orig_rax) as u32,
            ip: r.rip,
            args: if arch == I386 {
                [r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp].map(low)
            } else {
                [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9]
            },
        })
    }

    /// Not a call of the native 64-bit ABI.
    pub fn is_foreign(&self) -> bool {
        self.arch != X86_64 || (self.number & X32_BIT != 0 && self.number != u32::MAX)
    }
}

/// What the policy answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// The call is made.
    Allow,
    /// It is not made and returns this error number.
    Errno(u16),
    /// The process is killed.
    Kill,
}

/// An answer and where it comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Decision {
    /// The answer.
    pub action: Action,
    /// The rule that gave it, by its place in the policy; `None` for a default.
    pub rule: Option<usize>,
}

/// The policy's own answers: of the proved filter before its answers are mapped for the tracer.
pub trait Decide {
    /// The answer to `call`, on its number and register values alone.
    fn decide(&self, call: &Call) -> Decision;

    /// Whether `call`, which the task `tid` stands at and the policy kills, may be made all the same
    /// because of code that the program loaded since. Never asked for what nobody may add.
    fn widened(&self, tid: i32, call: &Call) -> bool {
        let _ = (tid, call);
        false
    }
}

impl<F: Fn(&Call) -> Decision> Decide for F {
    fn decide(&self, call: &Call) -> Decision {
        self(call)
    }
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
        let call = Call::of(X86_64, &registers()).unwrap();
        assert_eq!((call.number, call.args[0]), (41, 1));
        assert_eq!(Call::of(I386, &registers()).unwrap().args[0], 7);
    }

    #[test]
    fn an_exception_is_no_call_but_number_minus_one_is() {
        let mut r = registers();
        r.orig_rax = u64::MAX;
        assert_eq!(Call::of(X86_64, &r).unwrap().number, u32::MAX);
        r.rcx = 0;
        assert_eq!(Call::of(X86_64, &r), None);
    }

    #[test]
    fn x32_is_foreign() {
        let mut call = Call::of(X86_64, &registers()).unwrap();
        assert!(!call.is_foreign());
        call.number |= X32_BIT;
        assert!(call.is_foreign());
    }
}
