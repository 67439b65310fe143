//! Answers to a call.

use std::fmt;
use std::str::FromStr;

use portcullis_abi::Sysno;

/// The answer to a system call, as seccomp(2) knows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Action {
    /// The whole process ends with SIGSYS.
    KillProcess,
    /// The calling thread ends with SIGSYS.
    KillThread,
    /// The call is not made; SIGSYS is sent with `si_code` `SYS_SECCOMP`, and the number as `si_errno`.
    Trap(u16),
    /// The call is not made and fails with this error number (at most 4095).
    Errno(u16),
    /// A supervisor answers (seccomp_unotify(2)).
    Notify,
    /// The tracer decides; the number is `SECCOMP_RET_DATA`.
    Trace(u16),
    /// The call is made and logged.
    Log,
    /// The call is made.
    Allow,
}

impl Action {
    /// `ENOSYS` of errno(3).
    pub const ENOSYS: Action = Action::Errno(38);

    /// Whether the call is made without asking anybody.
    pub fn permits(self) -> bool {
        matches!(self, Action::Allow | Action::Log)
    }

    /// The answer to a call for which a filter answers this, and a newer one of the same process `newer`: the
    /// stricter, of equal ones the newer filter's (`seccomp_run_filters`, kernel/seccomp.c).
    #[must_use]
    pub fn with(self, newer: Action) -> Action {
        let strictness = |action: Action| (action.code() & 0xffff_0000).cast_signed();
        match strictness(newer) <= strictness(self) {
            true => newer,
            false => self,
        }
    }

    /// The value that a filter returns for it (`SECCOMP_RET_*` of `linux/seccomp.h`).
    pub fn code(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0x0000_0000,
            Action::Trap(data) => 0x0003_0000 | u32::from(data),
            Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Action::Notify => 0x7fc0_0000,
            Action::Trace(data) => 0x7ff0_0000 | u32::from(data),
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    /// What the kernel does with a filter's return value: an action that it does not know kills
    /// the process, an error number is cut at 4095 (`__seccomp_filter`, kernel/seccomp.c).
    pub fn from_code(code: u32) -> Action {
        let data = (code & 0xffff) as u16;
        match code & 0xffff_0000 {
            0x0000_0000 => Action::KillThread,
            0x0003_0000 => Action::Trap(data),
            0x0005_0000 => Action::Errno(data.min(4095)),
            0x7fc0_0000 => Action::Notify,
            0x7ff0_0000 => Action::Trace(data),
            0x7ffc_0000 => Action::Log,
            0x7fff_0000 => Action::Allow,
            _ => Action::KillProcess,
        }
    }
}

impl fmt::Display for Action {
    /// As policies write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::KillProcess => f.write_str("kill"),
            Action::KillThread => f.write_str("kill-thread"),
            Action::Trap(0) => f.write_str("trap"),
            Action::Trap(data) => write!(f, "trap:{data}"),
            Action::Errno(errno) => write!(f, "errno:{errno}"),
            Action::Notify => f.write_str("notify"),
            Action::Trace(data) => write!(f, "trace:{data}"),
            Action::Log => f.write_str("log"),
            Action::Allow => f.write_str("allow"),
        }
    }
}

/// Why a text is no action.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoAction {
    /// No such word.
    #[error(
        "`{0}` is no action; actions are allow, log, errno:N, trap, trap:N, trace:N, notify, kill-thread, kill"
    )]
    Word(String),
    /// The kernel cuts larger error numbers: saying them would not be meant.
    #[error("`{0}` is no error number; they are 0 to 4095")]
    Errno(String),
    /// No such name.
    #[error("`{0}` is no error of errno(3); write its name or its number")]
    ErrnoName(String),
    /// More than 16 bits.
    #[error("`{1}` is no number of a {0} action; they are 0 to 65535")]
    Data(String, String),
}

impl FromStr for Action {
    type Err = NoAction;

    /// Reads what [`fmt::Display`] writes; error numbers may also be names of errno(3).
    fn from_str(text: &str) -> Result<Action, NoAction> {
        Ok(match text {
            "kill" => Action::KillProcess,
            "kill-thread" => Action::KillThread,
            "trap" => Action::Trap(0),
            "notify" => Action::Notify,
            "log" => Action::Log,
            "allow" => Action::Allow,
            _ => match text.split_once(':') {
                Some(("errno", n)) if n.starts_with(|c: char| c.is_ascii_digit()) => {
                    let errno = n.parse().ok().filter(|n| *n <= 4095);
                    Action::Errno(errno.ok_or_else(|| NoAction::Errno(n.into()))?)
                }
                Some(("errno", name)) => {
                    let errno = portcullis_abi::errno(name);
                    Action::Errno(errno.ok_or_else(|| NoAction::ErrnoName(name.into()))?)
                }
                Some((kind @ ("trace" | "trap"), n)) => {
                    let number = n
                        .parse()
                        .map_err(|_| NoAction::Data(kind.into(), n.into()))?;
                    match kind {
                        "trap" => Action::Trap(number),
                        _ => Action::Trace(number),
                    }
                }
                _ => return Err(NoAction::Word(text.into())),
            },
        })
    }
}

/// How a filter's answers differ, on purpose, from its policy's: denials that are to be seen
/// become stops of the tracer, who then gives the policy's own answer.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ActionMap {
    /// What denials of native calls become; foreign calls stay what they are.
    pub denials: Option<Action>,
    /// Kills stay the kernel's own all the same: their task is seen at its exit.
    pub keeps_kills: bool,
    /// Calls that the tracer sees even if the policy allows them.
    pub traced: Vec<Sysno>,
}

impl ActionMap {
    /// The filter answers as its policy does.
    pub fn identity() -> ActionMap {
        ActionMap::default()
    }

    /// The filter leaves denials that a program survives to the tracer, which nobody would see otherwise,
    /// and kills by itself.
    pub fn seen() -> ActionMap {
        ActionMap {
            keeps_kills: true,
            ..ActionMap::traced(Vec::new())
        }
    }

    /// The filter leaves denials and the calls in `traced` to the tracer.
    pub fn traced(traced: Vec<Sysno>) -> ActionMap {
        ActionMap {
            denials: Some(Action::Trace(0)),
            keeps_kills: false,
            traced,
        }
    }

    /// What a filter under this map answers where its policy answers a native call with `action`.
    pub fn answer(&self, action: Action) -> Action {
        let kills = matches!(action, Action::KillProcess | Action::KillThread);
        let stays = action.permits() || kills && self.keeps_kills;
        match self.denials {
            Some(instead) if !stays => instead,
            _ => action,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back() {
        for action in [
            Action::KillProcess,
            Action::KillThread,
            Action::Trap(0),
            Action::Errno(38),
            Action::Notify,
            Action::Trace(7),
            Action::Log,
            Action::Allow,
        ] {
            assert_eq!(Action::from_code(action.code()), action);
        }
        assert_eq!(Action::from_code(0x1234_0000), Action::KillProcess);
        assert_eq!(Action::from_code(0x0005_ffff), Action::Errno(4095));
    }
}
