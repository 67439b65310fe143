//! What a program could do with a call that it is not given today, in one sentence.
//!
//! For people who decide whether to allow it; no decision rests on it. What is said of calls is in their
//! man pages, section 2.

use crate::group;

/// How much a call gives beyond what a program has anyway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Risk {
    /// Nothing that reaches beyond the program's own process.
    Low,
    /// More of what other layers are to bound: files, network, processes.
    Medium,
    /// A way around other layers, or into the kernel or other processes.
    High,
}

impl Risk {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
        }
    }

    /// Of the call that is called `name` by the kernel, and why; of a call that no table knows, that nothing
    /// is known.
    pub fn of(name: &str) -> (Risk, &'static str) {
        let holds = |member: &&str| is_in(name, member);
        let row = TABLE
            .iter()
            .find(|(_, _, members)| members.iter().any(holds));
        match row {
            Some((risk, why, _)) => (*risk, why),
            None if is_in(name, "@known") => (
                Risk::Medium,
                "it is an ordinary call that no group of this table names",
            ),
            None => (Risk::High, "no table knows what it does"),
        }
    }
}

/// Whether a call is this member, or one of it.
fn is_in(name: &str, member: &str) -> bool {
    name == member || group(member).is_some_and(|all| all.iter().any(|inner| is_in(name, inner)))
}

/// `(risk, why, calls and groups)`: the first row that has a call counts.
const TABLE: &[(Risk, &str, &[&str])] = &[
    (
        Risk::High,
        "with it a program reads, writes and steers other processes of its user",
        &[
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "pidfd_getfd",
            "process_madvise",
            "kcmp",
        ],
    ),
    (
        Risk::High,
        "it reaches large parts of the kernel that other programs never touch",
        &["bpf", "perf_event_open", "userfaultfd", "lookup_dcookie"],
    ),
    (
        Risk::High,
        "operations that it starts are calls that no filter sees",
        &["io_uring_setup", "io_uring_enter", "io_uring_register"],
    ),
    (
        Risk::High,
        "keys in the kernel are shared with other processes of the user",
        &["@keyring"],
    ),
    (
        Risk::High,
        "it replaces or extends the kernel that runs, or ends it",
        &["@module", "@reboot"],
    ),
    (
        Risk::High,
        "it changes which files and processes are seen, and with new namespaces more of the kernel is \
         reached",
        &["@mount", "unshare", "setns"],
    ),
    (
        Risk::High,
        "a file is opened without a look at the directories above it",
        &["open_by_handle_at", "name_to_handle_at"],
    ),
    (
        Risk::High,
        "it drives devices and the processor past the kernel",
        &["@raw-io", "@cpu-emulation"],
    ),
    (
        Risk::High,
        "it changes the machine for all of its users",
        &[
            "@clock",
            "@swap",
            "acct",
            "quotactl",
            "quotactl_fd",
            "sethostname",
            "setdomainname",
            "syslog",
            "vhangup",
            "fanotify_init",
            "fanotify_mark",
            "nfsservctl",
        ],
    ),
    (
        Risk::High,
        "another program is started in its place, with all that the filter allows",
        &["execve", "execveat"],
    ),
    (
        Risk::Medium,
        "new processes and threads take part in all that the filter allows; flags of it make namespaces",
        &["clone", "clone3", "fork", "vfork"],
    ),
    (
        Risk::Medium,
        "memory that it makes executable is code that nobody analysed",
        &["mprotect", "pkey_mprotect", "mmap", "remap_file_pages"],
    ),
    (
        Risk::Medium,
        "what it does depends on the device and the request: allow the requests that are needed",
        &["ioctl"],
    ),
    (
        Risk::Medium,
        "the network, and services on local sockets, are reached unless another layer bounds that",
        &[
            "socket",
            "connect",
            "bind",
            "listen",
            "socketcall",
            "sendto",
            "sendmsg",
            "sendmmsg",
        ],
    ),
    (
        Risk::Low,
        "it works on sockets and descriptors that the program has already",
        &["@network-io"],
    ),
    (
        Risk::Medium,
        "it changes who the program is, as far as its capabilities go",
        &[
            "@setuid",
            "capset",
            "setfsuid",
            "setfsgid",
            "setfsuid32",
            "setfsgid32",
        ],
    ),
    (
        Risk::Medium,
        "signals reach every process of the same user",
        &[
            "kill",
            "tkill",
            "tgkill",
            "pidfd_send_signal",
            "rt_sigqueueinfo",
            "rt_tgsigqueueinfo",
        ],
    ),
    (
        Risk::Medium,
        "it changes files, as far as permissions and other layers allow",
        &[
            "@chown",
            "chmod",
            "fchmod",
            "fchmodat",
            "fchmodat2",
            "creat",
            "link",
            "linkat",
            "mkdir",
            "mkdirat",
            "mknod",
            "mknodat",
            "rename",
            "renameat",
            "renameat2",
            "rmdir",
            "symlink",
            "symlinkat",
            "truncate",
            "truncate64",
            "unlink",
            "unlinkat",
            "setxattr",
            "lsetxattr",
            "fsetxattr",
            "setxattrat",
            "removexattr",
            "lremovexattr",
            "fremovexattr",
            "removexattrat",
            "utime",
            "utimes",
            "utimensat",
            "utimensat_time64",
            "futimesat",
        ],
    ),
    (
        Risk::Medium,
        "files are opened and read, as far as permissions and other layers allow",
        &["@file-system"],
    ),
    (
        Risk::Medium,
        "it shares memory or messages with other processes of the user",
        &["@ipc"],
    ),
    (
        Risk::Medium,
        "it takes a larger share of the machine from others",
        &["@resources", "@memlock"],
    ),
    (
        Risk::Medium,
        "it changes how the kernel runs the program, by an operation in its first argument",
        &["prctl", "arch_prctl", "personality", "seccomp"],
    ),
    (
        Risk::Medium,
        "hardly anything uses it any more, so its code in the kernel is little tested",
        &["@obsolete"],
    ),
    (
        Risk::Low,
        "it tells a program about itself and its machine, or acts on the program alone",
        &[
            "@default",
            "@basic-io",
            "@io-event",
            "@signal",
            "@timer",
            "@sync",
            "@sandbox",
            "@pkey",
            "@aio",
            "@process",
            "@system-service",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_the_table_exists() {
        for (_, _, members) in TABLE {
            for member in *members {
                let known = group(member).is_some() || is_in(member, "@known");
                assert!(known, "{member}");
            }
        }
    }

    #[test]
    fn what_undoes_confinement_is_high_and_what_every_program_does_is_low() {
        for name in ["ptrace", "mount", "bpf", "io_uring_setup", "kexec_load"] {
            assert_eq!(Risk::of(name).0, Risk::High, "{name}");
        }
        for name in ["read", "getppid", "clock_gettime", "uname"] {
            assert_eq!(Risk::of(name).0, Risk::Low, "{name}");
        }
        assert_eq!(Risk::of("openat").0, Risk::Medium);
        assert_eq!(Risk::of("no_such_call").0, Risk::High);
    }

    #[test]
    fn most_calls_have_a_sentence_of_their_own() {
        let calls = || group("@known").into_iter().flatten();
        let general = |name: &&&str| Risk::of(name).1.contains("no group of this table");
        let without: Vec<_> = calls().filter(general).collect();
        assert!(without.len() * 10 < calls().count(), "{without:?}");
    }
}
