//! Calls, and the policy's answer to them.

use std::fmt;

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::Policy;
use portcullis_sys::Error;
use portcullis_sys::registers::Registers;

/// The number of the error, on all architectures here.
const ENOSYS: u16 = 38;

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

impl fmt::Display for Call {
    /// `name(arguments)`, as far as the tables know it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arch = Arch::of_call(self.arch, self.number);
        let number = Sysno(self.number);
        match arch.and_then(|arch| arch.name(number)) {
            Some(name) => write!(f, "{name}(")?,
            None => write!(f, "call {} of architecture {:#x}(", self.number, self.arch)?,
        }
        let declared = arch.and_then(|arch| arch.arguments(number));
        let count = declared.map_or(self.args.len(), <[_]>::len);
        for (index, value) in self.args.iter().take(count).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{value:#x}")?;
        }
        f.write_str(")")
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

impl Decide for Policy {
    /// Its own answer, without a rule for a launch: when the tracer is asked, that is over.
    fn decide(&self, call: &Call) -> Decision {
        let decision = Policy::decide(self, &call.asked());
        Decision {
            action: match decision.action {
                portcullis_policy::Action::Allow | portcullis_policy::Action::Log => Action::Allow,
                portcullis_policy::Action::Errno(errno) => Action::Errno(errno),
                portcullis_policy::Action::Trap(data) => Action::Trap(data),
                // As the kernel answers where nobody is asked (seccomp(2)).
                portcullis_policy::Action::Notify | portcullis_policy::Action::Trace(_) => {
                    Action::Errno(ENOSYS)
                }
                portcullis_policy::Action::KillThread => Action::KillThread,
                portcullis_policy::Action::KillProcess => Action::Kill,
            },
            rule: decision.rule.map(|(_, rule)| rule),
        }
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
    fn a_call_is_shown_with_as_many_arguments_as_it_has() {
        let number = Arch::X86_64.number("dup2").unwrap();
        let shown = call(Arch::X86_64, number.0).to_string();
        assert_eq!(shown, "dup2(0x0, 0x0)");
        let shown = call(Arch::X86_64, 100_000).to_string();
        assert!(
            shown.starts_with("call 100000 of architecture 0xc000003e("),
            "{shown}"
        );
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
