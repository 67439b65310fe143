//! Calls, and the policy's answer to them.

use portcullis_abi::Arch;
use portcullis_sys::Error;
use portcullis_sys::registers::Registers;

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
    /// The call in whose registers the task `tid` ends, of the architecture `arch`; `None` when it entered
    /// the kernel otherwise.
    pub(crate) fn of(tid: i32, arch: u32, registers: &Registers) -> Result<Option<Call>, Error> {
        let made = registers.call(tid, arch != Arch::NATIVE.audit_arch())?;
        Ok(made.map(|(number, args)| Call {
            arch,
            number,
            ip: registers.ip(),
            args,
        }))
    }

    /// As policies and filters take it.
    pub(crate) fn asked(&self) -> portcullis_policy::Call {
        portcullis_policy::Call {
            arch: self.arch,
            number: self.number,
            ip: self.ip,
            args: self.args,
        }
    }

    /// Not a call of the native 64-bit ABI.
    pub fn is_foreign(&self) -> bool {
        Arch::of_call(self.arch, self.number) != Some(Arch::NATIVE)
    }
}

/// What the policy answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// The call is made.
    Allow,
    /// It is not made and returns this error number.
    Errno(u16),
    /// It is not made and the program gets a SIGSYS for it with this value (`SECCOMP_RET_TRAP`).
    Trap(u16),
    /// The thread is killed, and with the last one the process.
    KillThread,
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

    /// The answer to `call` in the phase `phase`, by its place among those of [`Phases`](crate::Phases), whose filter
    /// takes the call away.
    fn decide_in(&self, phase: usize, call: &Call) -> Decision {
        let _ = phase;
        self.decide(call)
    }

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

    fn call(arch: Arch, number: u32) -> Call {
        Call {
            arch: arch.audit_arch(),
            number,
            ip: 0,
            args: [0; 6],
        }
    }

    #[test]
    fn calls_of_another_architecture_or_abi_are_foreign() {
        assert!(!call(Arch::NATIVE, 20).is_foreign());
        assert!(call(Arch::I386, 20).is_foreign());
        assert!(call(Arch::Arm, 20).is_foreign());
        let is_x32 = call(Arch::X86_64, 20 | Arch::X32_BIT).is_foreign();
        assert!(is_x32);
        // -1 is no call of any.
        assert!(!call(Arch::NATIVE, u32::MAX).is_foreign());
    }
}
