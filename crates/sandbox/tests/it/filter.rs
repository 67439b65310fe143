//! Filters for the tests: everything is allowed but what a case names.

use portcullis_abi::Arch;
use portcullis_sys::seccomp::{RET_ALLOW, RET_KILL_PROCESS, RET_TRACE, SockFilter};
use portcullis_watch::{Action, Call, Decision};

/// `SECCOMP_RET_KILL_THREAD` of `linux/seccomp.h`.
const RET_KILL_THREAD: u32 = 0;

const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// The number of the native call `name`.
pub(crate) fn number(name: &str) -> u32 {
    let number = Arch::NATIVE.number(name);
    number
        .unwrap_or_else(|| panic!("{} has no {name}", Arch::NATIVE))
        .0
}

/// What a case's filter denies.
#[derive(Clone, Debug)]
pub(crate) struct Denied {
    pub(crate) numbers: Vec<u32>,
    /// `RET_KILL_PROCESS` or another answer, or `RET_TRACE` for the tracer to answer.
    pub(crate) answer: u32,
    /// The policy's own answer.
    pub(crate) action: Action,
}

impl Denied {
    pub(crate) fn kill(numbers: &[u32]) -> Denied {
        Denied {
            numbers: numbers.to_vec(),
            answer: RET_KILL_PROCESS,
            action: Action::Kill,
        }
    }

    pub(crate) fn trace(numbers: &[u32]) -> Denied {
        Denied {
            numbers: numbers.to_vec(),
            answer: RET_TRACE,
            action: Action::Kill,
        }
    }

    /// By the kernel, one thread at a time.
    pub(crate) fn kill_thread(numbers: &[u32]) -> Denied {
        Denied {
            answer: RET_KILL_THREAD,
            action: Action::KillThread,
            ..Denied::kill(numbers)
        }
    }

    /// By the tracer, with another answer.
    pub(crate) fn answered(numbers: &[u32], action: Action) -> Denied {
        Denied {
            action,
            ..Denied::trace(numbers)
        }
    }

    /// The policy's own answer, as the launcher's decision would be.
    pub(crate) fn decide(&self, call: &Call) -> Decision {
        let rule = self.numbers.iter().position(|n| *n == call.number);
        let foreign = call.arch != Arch::NATIVE.audit_arch();
        Decision {
            action: match rule {
                _ if foreign => Action::Kill,
                Some(_) => self.action,
                None => Action::Allow,
            },
            rule,
        }
    }

    /// The program: foreign architectures are killed; `execveat` with `cookie` in its sixth
    /// argument is allowed whatever else is denied.
    pub(crate) fn program(&self, cookie: u64) -> Vec<SockFilter> {
        let load = |offset| instruction(LOAD, 0, 0, offset);
        let end = |k| instruction(RETURN, 0, 0, k);
        let low = (cookie & 0xffff_ffff) as u32;
        let high = (cookie >> 32) as u32;
        let mut program = vec![
            load(4),
            instruction(EQUAL, 1, 0, Arch::NATIVE.audit_arch()),
            end(RET_KILL_PROCESS),
            load(0),
            // execveat: args[5] is at 16 + 5 * 8, its low half first.
            instruction(EQUAL, 0, 5, number("execveat")),
            load(56),
            instruction(EQUAL, 0, 3, low),
            load(60),
            instruction(EQUAL, 0, 1, high),
            end(RET_ALLOW),
            load(0),
        ];
        for number in &self.numbers {
            program.push(instruction(EQUAL, 0, 1, *number));
            program.push(end(self.answer));
        }
        program.push(end(RET_ALLOW));
        program
    }
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> SockFilter {
    SockFilter { code, jt, jf, k }
}
