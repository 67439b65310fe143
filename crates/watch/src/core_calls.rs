//! Calls that neither observation nor a late module gives: with them a program could leave what
//! watches it, or change the machine for others.

use std::collections::HashMap;

use portcullis_abi::{Arch, Sysno};

use crate::decide::Call;

/// The answers to the core, by number.
pub(crate) struct CoreCalls {
    answers: HashMap<u32, u16>,
    never_added: Vec<u32>,
    clone: Option<u32>,
}

/// Answered EPERM.
const REFUSED: &[&str] = &[
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "seccomp",
    "bpf",
    "userfaultfd",
    "perf_event_open",
    "add_key",
    "request_key",
    "keyctl",
    "mount",
    "umount2",
    "pivot_root",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "move_mount",
    "open_tree",
    "open_tree_attr",
    "mount_setattr",
    "setns",
    "unshare",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "kexec_load",
    "kexec_file_load",
    "open_by_handle_at",
];

/// Answered ENOSYS: a program falls back from them, and their arguments lie in memory.
const ABSENT: &[&str] = &[
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "clone3",
];

/// What a late module never adds either: starting programs, because who has no exec in its set is
/// promised to start none; the clocks, by which files are told to be older than the start; and what
/// changes the machine.
const NEVER_ADDED: &[&str] = &[
    "execve",
    "execveat",
    "clock_settime",
    "clock_adjtime",
    "settimeofday",
    "adjtimex",
    "chroot",
    "iopl",
    "ioperm",
    "modify_ldt",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "syslog",
    "quotactl",
    "quotactl_fd",
    "sethostname",
    "setdomainname",
    "process_madvise",
    "kcmp",
];

/// `CLONE_NEW*` of `linux/sched.h`, and `CLONE_UNTRACED`, with which a child has no tracer.
const REFUSED_CLONE_FLAGS: u64 = 0x0002_0000
    | 0x0200_0000
    | 0x0400_0000
    | 0x0800_0000
    | 0x1000_0000
    | 0x2000_0000
    | 0x4000_0000
    | 0x0080_0000;

/// Every call that observation answers itself, whatever the policy says: a filter under
/// observation must leave them to the tracer.
pub fn core_calls(arch: Arch) -> Vec<Sysno> {
    let names = REFUSED.iter().chain(ABSENT).chain(&["clone"]);
    names.filter_map(|name| arch.number(name)).collect()
}

impl CoreCalls {
    pub(crate) fn new(arch: Arch) -> CoreCalls {
        let answers = REFUSED
            .iter()
            .map(|name| (name, libc::EPERM))
            .chain(ABSENT.iter().map(|name| (name, libc::ENOSYS)))
            .filter_map(|(name, errno)| Some((arch.number(name)?.0, u16::try_from(errno).ok()?)))
            .collect();
        CoreCalls {
            answers,
            never_added: NEVER_ADDED
                .iter()
                .filter_map(|name| Some(arch.number(name)?.0))
                .collect(),
            clone: arch.number("clone").map(|n| n.0),
        }
    }

    /// Whether a module that was loaded late may add `call`.
    pub(crate) fn can_be_added(&self, call: &Call) -> bool {
        !call.is_foreign()
            && self.answer(call).is_none()
            && !self.never_added.contains(&call.number)
    }

    /// The error that `call` gets even when calls outside the set are let through.
    pub(crate) fn answer(&self, call: &Call) -> Option<u16> {
        if Some(call.number) == self.clone && call.args[0] & REFUSED_CLONE_FLAGS != 0 {
            return u16::try_from(libc::EPERM).ok();
        }
        self.answers.get(&call.number).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_core_is_known() {
        let unknown: Vec<_> = REFUSED
            .iter()
            .chain(ABSENT)
            .chain(NEVER_ADDED)
            .filter(|name| Arch::X86_64.number(name).is_none())
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn clone_is_refused_for_its_namespace_flags_only() {
        let core = CoreCalls::new(Arch::X86_64);
        let clone = |flags| Call {
            arch: Arch::X86_64.audit_arch(),
            number: 56,
            ip: 0,
            args: [flags, 0, 0, 0, 0, 0],
        };
        assert_eq!(core.answer(&clone(0x0100_0000 | 17)), None);
        assert_eq!(core.answer(&clone(0x1000_0000)), Some(1));
    }
}
