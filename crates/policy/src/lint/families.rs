//! Calls that do the same as others (their manual pages).

/// Calls of which one does what another does.
pub(super) struct Family {
    /// Their names, on all architectures.
    pub(super) calls: &'static [&'static str],
    /// What conditions on one of them ask can be had through the others, too.
    pub(super) conditions: bool,
}

const fn all(calls: &'static [&'static str]) -> Family {
    Family {
        calls,
        conditions: true,
    }
}

const fn whole(calls: &'static [&'static str]) -> Family {
    Family {
        calls,
        conditions: false,
    }
}

/// The families. A call can be in several.
pub(super) const FAMILIES: &[Family] = &[
    all(&["open", "openat", "openat2", "creat"]),
    whole(&["dup", "dup2", "dup3"]),
    all(&["clone", "clone3"]),
    whole(&["clone", "clone3", "fork", "vfork"]),
    all(&["execve", "execveat"]),
    all(&["mmap", "mmap2", "mprotect", "pkey_mprotect"]),
    all(&["read", "readv", "pread64", "preadv", "preadv2"]),
    all(&["write", "writev", "pwrite64", "pwritev", "pwritev2"]),
    whole(&["access", "faccessat", "faccessat2"]),
    whole(&["chmod", "fchmod", "fchmodat", "fchmodat2"]),
    whole(&[
        "chown", "chown32", "fchown", "fchown32", "lchown", "lchown32", "fchownat",
    ]),
    whole(&["link", "linkat"]),
    whole(&["symlink", "symlinkat"]),
    whole(&["unlink", "unlinkat"]),
    whole(&["rename", "renameat", "renameat2"]),
    whole(&["mkdir", "mkdirat"]),
    whole(&["mknod", "mknodat"]),
    whole(&["readlink", "readlinkat"]),
    whole(&[
        "stat",
        "stat64",
        "lstat",
        "lstat64",
        "newfstatat",
        "fstatat64",
        "statx",
    ]),
    whole(&["getdents", "getdents64"]),
    whole(&[
        "utime",
        "utimes",
        "futimesat",
        "utimensat",
        "utimensat_time64",
    ]),
    whole(&["setxattr", "lsetxattr", "fsetxattr", "setxattrat"]),
    whole(&["mount", "move_mount", "fsmount", "mount_setattr"]),
    whole(&["umount", "umount2"]),
    whole(&["chroot", "pivot_root"]),
    whole(&[
        "kill",
        "tkill",
        "tgkill",
        "pidfd_send_signal",
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
    ]),
    whole(&[
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_getfd",
    ]),
    whole(&[
        "setuid",
        "setuid32",
        "setreuid",
        "setreuid32",
        "setresuid",
        "setresuid32",
    ]),
    whole(&[
        "setgid",
        "setgid32",
        "setregid",
        "setregid32",
        "setresgid",
        "setresgid32",
    ]),
    whole(&["init_module", "finit_module"]),
    whole(&["kexec_load", "kexec_file_load"]),
    whole(&[
        "settimeofday",
        "clock_settime",
        "clock_settime64",
        "stime",
        "adjtimex",
        "clock_adjtime",
    ]),
    whole(&["setrlimit", "prlimit64"]),
    whole(&["accept", "accept4"]),
    whole(&["pipe", "pipe2"]),
    whole(&["eventfd", "eventfd2"]),
    whole(&["signalfd", "signalfd4"]),
    whole(&["epoll_create", "epoll_create1"]),
    whole(&["inotify_init", "inotify_init1"]),
];

/// Calls whose arguments are in a structure that a filter does not see.
pub(super) const BEHIND_POINTERS: [&str; 2] = ["clone3", "openat2"];

/// `(call, calls that it makes)`: which one is said by its first argument.
pub(super) const MULTIPLEXERS: &[(&str, &[&str])] = &[
    (
        "socketcall",
        &[
            "socket",
            "bind",
            "connect",
            "listen",
            "accept",
            "accept4",
            "socketpair",
            "sendto",
            "recvfrom",
            "sendmsg",
            "recvmsg",
            "sendmmsg",
            "recvmmsg",
            "shutdown",
            "setsockopt",
            "getsockopt",
            "getsockname",
            "getpeername",
        ],
    ),
    (
        "ipc",
        &[
            "semget",
            "semctl",
            "semtimedop",
            "msgsnd",
            "msgrcv",
            "msgget",
            "msgctl",
            "shmat",
            "shmdt",
            "shmget",
            "shmctl",
        ],
    ),
];

/// Calls that reach other processes, the kernel's own code or the view of the file system.
pub(super) const UNDOING: [(&str, &str); 21] = [
    ("ptrace", "controls other processes"),
    ("process_vm_readv", "reads the memory of other processes"),
    ("process_vm_writev", "writes the memory of other processes"),
    ("pidfd_getfd", "takes descriptors out of other processes"),
    ("bpf", "loads programs into the kernel"),
    ("perf_event_open", "samples other processes and the kernel"),
    ("userfaultfd", "stops the kernel in the middle of a copy"),
    ("keyctl", "reaches keyrings, which have no namespace"),
    ("add_key", "reaches keyrings, which have no namespace"),
    ("request_key", "reaches keyrings, which have no namespace"),
    ("mount", "changes the file system that the process sees"),
    (
        "move_mount",
        "changes the file system that the process sees",
    ),
    (
        "pivot_root",
        "changes the file system that the process sees",
    ),
    ("setns", "enters other namespaces"),
    (
        "unshare",
        "makes user namespaces, with all capabilities inside",
    ),
    ("open_by_handle_at", "opens files without a path"),
    ("init_module", "loads code into the kernel"),
    ("finit_module", "loads code into the kernel"),
    ("kexec_load", "replaces the kernel"),
    ("kexec_file_load", "replaces the kernel"),
    ("reboot", "ends the machine"),
];

/// `(call, what the C library calls instead, when the answer is ENOSYS)`.
pub(super) const FALL_BACKS: [(&str, &[&str]); 9] = [
    ("clone3", &["clone"]),
    ("faccessat2", &["faccessat", "access"]),
    ("openat2", &["openat", "open"]),
    ("statx", &["newfstatat", "fstatat64", "stat", "stat64"]),
    ("rseq", &["futex", "set_robust_list"]),
    ("fchmodat2", &["fchmodat"]),
    ("close_range", &["close"]),
    ("clock_gettime64", &["clock_gettime"]),
    ("futex_time64", &["futex"]),
];
