//! Names of argument values in JSON: the constants that a reader of a filter looks for first.
//! Sources: the kernel's uapi headers, named per table. A value that no table names has none.

/// The values of one argument of one or several calls.
struct Table {
    calls: &'static [&'static str],
    index: u8,
    /// Bits of the argument that the kernel reads (it takes `int` and `unsigned int` from the low
    /// half of the register).
    width: u32,
    names: &'static [(u64, &'static str)],
    /// Flags that may be or-ed to a name of `names`.
    flags: &'static [(u64, &'static str)],
}

/// The name of `value` as argument `index` of `call`.
pub(crate) fn symbol(call: &str, index: u8, value: u64) -> Option<String> {
    let table = TABLES
        .iter()
        .find(|t| t.index == index && t.calls.contains(&call))?;
    let value = if table.width == 32 {
        value & 0xffff_ffff
    } else {
        value
    };
    let exact = |v: u64| table.names.iter().find(|(n, _)| *n == v).map(|(_, s)| *s);
    if let Some(name) = exact(value) {
        return Some(name.to_owned());
    }
    let mut rest = value;
    let mut parts = Vec::new();
    for (flag, name) in table.flags {
        if rest & flag == *flag {
            rest &= !flag;
            parts.push(*name);
        }
    }
    if parts.is_empty() || (rest != 0 && exact(rest).is_none()) {
        return None;
    }
    // A sole name is what no flag at all is called, not a value that flags are added to.
    if let Some(name) = exact(rest).filter(|_| table.names.len() > 1) {
        parts.insert(0, name);
    }
    Some(parts.join("|"))
}

const TABLES: &[Table] = &[
    // include/linux/socket.h
    Table {
        calls: &["socket", "socketpair"],
        index: 0,
        width: 32,
        names: &[
            (0, "AF_UNSPEC"),
            (1, "AF_UNIX"),
            (2, "AF_INET"),
            (10, "AF_INET6"),
            (15, "AF_KEY"),
            (16, "AF_NETLINK"),
            (17, "AF_PACKET"),
            (29, "AF_CAN"),
            (31, "AF_BLUETOOTH"),
            (38, "AF_ALG"),
            (40, "AF_VSOCK"),
            (44, "AF_XDP"),
        ],
        flags: &[],
    },
    // include/linux/net.h
    Table {
        calls: &["socket", "socketpair"],
        index: 1,
        width: 32,
        names: &[
            (1, "SOCK_STREAM"),
            (2, "SOCK_DGRAM"),
            (3, "SOCK_RAW"),
            (4, "SOCK_RDM"),
            (5, "SOCK_SEQPACKET"),
            (10, "SOCK_PACKET"),
        ],
        flags: &[(0x80000, "SOCK_CLOEXEC"), (0x800, "SOCK_NONBLOCK")],
    },
    // include/uapi/asm-generic/fcntl.h, include/uapi/linux/fcntl.h
    Table {
        calls: &["fcntl"],
        index: 1,
        width: 32,
        names: &[
            (0, "F_DUPFD"),
            (1, "F_GETFD"),
            (2, "F_SETFD"),
            (3, "F_GETFL"),
            (4, "F_SETFL"),
            (5, "F_GETLK"),
            (6, "F_SETLK"),
            (7, "F_SETLKW"),
            (8, "F_SETOWN"),
            (9, "F_GETOWN"),
            (10, "F_SETSIG"),
            (11, "F_GETSIG"),
            (15, "F_SETOWN_EX"),
            (16, "F_GETOWN_EX"),
            (36, "F_OFD_GETLK"),
            (37, "F_OFD_SETLK"),
            (38, "F_OFD_SETLKW"),
            (1024, "F_SETLEASE"),
            (1025, "F_GETLEASE"),
            (1026, "F_NOTIFY"),
            (1030, "F_DUPFD_CLOEXEC"),
            (1031, "F_SETPIPE_SZ"),
            (1032, "F_GETPIPE_SZ"),
            (1033, "F_ADD_SEALS"),
            (1034, "F_GET_SEALS"),
        ],
        flags: &[],
    },
    // include/uapi/asm-generic/mman-common.h
    Table {
        calls: &["mmap", "mprotect", "pkey_mprotect"],
        index: 2,
        width: 64,
        names: &[(0, "PROT_NONE")],
        flags: &[
            (1, "PROT_READ"),
            (2, "PROT_WRITE"),
            (4, "PROT_EXEC"),
            (0x0100_0000, "PROT_GROWSDOWN"),
            (0x0200_0000, "PROT_GROWSUP"),
        ],
    },
    Table {
        calls: &["mmap"],
        index: 3,
        width: 64,
        names: &[
            (1, "MAP_SHARED"),
            (2, "MAP_PRIVATE"),
            (3, "MAP_SHARED_VALIDATE"),
        ],
        flags: &[
            (0x10, "MAP_FIXED"),
            (0x20, "MAP_ANONYMOUS"),
            (0x40, "MAP_32BIT"),
            (0x100, "MAP_GROWSDOWN"),
            (0x800, "MAP_DENYWRITE"),
            (0x2000, "MAP_LOCKED"),
            (0x4000, "MAP_NORESERVE"),
            (0x8000, "MAP_POPULATE"),
            (0x1_0000, "MAP_NONBLOCK"),
            (0x2_0000, "MAP_STACK"),
            (0x4_0000, "MAP_HUGETLB"),
            (0x10_0000, "MAP_FIXED_NOREPLACE"),
        ],
    },
    Table {
        calls: &["madvise"],
        index: 2,
        width: 32,
        names: &[
            (0, "MADV_NORMAL"),
            (1, "MADV_RANDOM"),
            (2, "MADV_SEQUENTIAL"),
            (3, "MADV_WILLNEED"),
            (4, "MADV_DONTNEED"),
            (8, "MADV_FREE"),
            (9, "MADV_REMOVE"),
            (10, "MADV_DONTFORK"),
            (11, "MADV_DOFORK"),
            (14, "MADV_HUGEPAGE"),
            (15, "MADV_NOHUGEPAGE"),
            (16, "MADV_DONTDUMP"),
            (17, "MADV_DODUMP"),
            (18, "MADV_WIPEONFORK"),
            (20, "MADV_COLD"),
            (21, "MADV_PAGEOUT"),
            (102, "MADV_GUARD_INSTALL"),
            (103, "MADV_GUARD_REMOVE"),
        ],
        flags: &[],
    },
    // arch/x86/include/uapi/asm/prctl.h
    Table {
        calls: &["arch_prctl"],
        index: 0,
        width: 32,
        names: &[
            (0x1001, "ARCH_SET_GS"),
            (0x1002, "ARCH_SET_FS"),
            (0x1003, "ARCH_GET_FS"),
            (0x1004, "ARCH_GET_GS"),
            (0x1011, "ARCH_GET_CPUID"),
            (0x1012, "ARCH_SET_CPUID"),
            (0x3001, "ARCH_CET_STATUS"),
            (0x5001, "ARCH_SHSTK_ENABLE"),
            (0x5002, "ARCH_SHSTK_DISABLE"),
            (0x5005, "ARCH_SHSTK_STATUS"),
        ],
        flags: &[],
    },
    // include/uapi/linux/prctl.h
    Table {
        calls: &["prctl"],
        index: 0,
        width: 32,
        names: &[
            (1, "PR_SET_PDEATHSIG"),
            (2, "PR_GET_PDEATHSIG"),
            (3, "PR_GET_DUMPABLE"),
            (4, "PR_SET_DUMPABLE"),
            (7, "PR_GET_KEEPCAPS"),
            (8, "PR_SET_KEEPCAPS"),
            (15, "PR_SET_NAME"),
            (16, "PR_GET_NAME"),
            (21, "PR_GET_SECCOMP"),
            (22, "PR_SET_SECCOMP"),
            (23, "PR_CAPBSET_READ"),
            (24, "PR_CAPBSET_DROP"),
            (29, "PR_SET_TIMERSLACK"),
            (35, "PR_SET_MM"),
            (36, "PR_SET_CHILD_SUBREAPER"),
            (38, "PR_SET_NO_NEW_PRIVS"),
            (39, "PR_GET_NO_NEW_PRIVS"),
            (41, "PR_SET_THP_DISABLE"),
            (47, "PR_CAP_AMBIENT"),
            (0x5356_4d41, "PR_SET_VMA"),
        ],
        flags: &[],
    },
    // include/uapi/linux/futex.h
    Table {
        calls: &["futex"],
        index: 1,
        width: 32,
        names: &[
            (0, "FUTEX_WAIT"),
            (1, "FUTEX_WAKE"),
            (3, "FUTEX_REQUEUE"),
            (4, "FUTEX_CMP_REQUEUE"),
            (5, "FUTEX_WAKE_OP"),
            (6, "FUTEX_LOCK_PI"),
            (7, "FUTEX_UNLOCK_PI"),
            (8, "FUTEX_TRYLOCK_PI"),
            (9, "FUTEX_WAIT_BITSET"),
            (10, "FUTEX_WAKE_BITSET"),
            (11, "FUTEX_WAIT_REQUEUE_PI"),
            (12, "FUTEX_CMP_REQUEUE_PI"),
            (13, "FUTEX_LOCK_PI2"),
        ],
        flags: &[(128, "FUTEX_PRIVATE_FLAG"), (256, "FUTEX_CLOCK_REALTIME")],
    },
    // include/uapi/linux/time.h
    Table {
        calls: &[
            "clock_gettime",
            "clock_settime",
            "clock_getres",
            "clock_nanosleep",
            "timer_create",
            "timerfd_create",
        ],
        index: 0,
        width: 32,
        names: &[
            (0, "CLOCK_REALTIME"),
            (1, "CLOCK_MONOTONIC"),
            (2, "CLOCK_PROCESS_CPUTIME_ID"),
            (3, "CLOCK_THREAD_CPUTIME_ID"),
            (4, "CLOCK_MONOTONIC_RAW"),
            (5, "CLOCK_REALTIME_COARSE"),
            (6, "CLOCK_MONOTONIC_COARSE"),
            (7, "CLOCK_BOOTTIME"),
            (11, "CLOCK_TAI"),
        ],
        flags: &[],
    },
    // include/uapi/linux/fs.h
    Table {
        calls: &["lseek"],
        index: 2,
        width: 32,
        names: &[
            (0, "SEEK_SET"),
            (1, "SEEK_CUR"),
            (2, "SEEK_END"),
            (3, "SEEK_DATA"),
            (4, "SEEK_HOLE"),
        ],
        flags: &[],
    },
    // include/uapi/asm-generic/ioctls.h
    Table {
        calls: &["ioctl"],
        index: 1,
        width: 32,
        names: &[
            (0x5401, "TCGETS"),
            (0x5402, "TCSETS"),
            (0x5403, "TCSETSW"),
            (0x5404, "TCSETSF"),
            (0x5409, "TCSBRK"),
            (0x540b, "TCFLSH"),
            (0x540e, "TIOCSCTTY"),
            (0x540f, "TIOCGPGRP"),
            (0x5410, "TIOCSPGRP"),
            (0x5412, "TIOCSTI"),
            (0x5413, "TIOCGWINSZ"),
            (0x5414, "TIOCSWINSZ"),
            (0x541b, "FIONREAD"),
            (0x541c, "TIOCLINUX"),
            (0x5421, "FIONBIO"),
            (0x5450, "FIONCLEX"),
            (0x5451, "FIOCLEX"),
            (0x8910, "SIOCGIFNAME"),
            (0x8912, "SIOCGIFCONF"),
            (0x8933, "SIOCGIFINDEX"),
            (0x4004_9409, "FICLONE"),
        ],
        flags: &[],
    },
    // include/uapi/linux/fcntl.h
    Table {
        calls: &[
            "openat",
            "newfstatat",
            "readlinkat",
            "unlinkat",
            "mkdirat",
            "faccessat",
            "faccessat2",
            "statx",
            "openat2",
            "fchmodat",
            "fchownat",
            "utimensat",
        ],
        index: 0,
        width: 32,
        names: &[(0xffff_ff9c, "AT_FDCWD")],
        flags: &[],
    },
    // arch/x86/include/uapi/asm/signal.h
    Table {
        calls: &["rt_sigaction"],
        index: 0,
        width: 32,
        names: SIGNALS,
        flags: &[],
    },
    Table {
        calls: &["kill", "tkill"],
        index: 1,
        width: 32,
        names: SIGNALS,
        flags: &[],
    },
    Table {
        calls: &["tgkill"],
        index: 2,
        width: 32,
        names: SIGNALS,
        flags: &[],
    },
];

const SIGNALS: &[(u64, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (17, "SIGCHLD"),
    (18, "SIGCONT"),
    (19, "SIGSTOP"),
    (20, "SIGTSTP"),
    (21, "SIGTTIN"),
    (22, "SIGTTOU"),
    (23, "SIGURG"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (26, "SIGVTALRM"),
    (27, "SIGPROF"),
    (28, "SIGWINCH"),
    (29, "SIGIO"),
    (30, "SIGPWR"),
    (31, "SIGSYS"),
];

#[cfg(test)]
mod tests {
    use portcullis_abi::Arch;

    use super::*;

    #[test]
    fn names_values_and_flags() {
        assert_eq!(symbol("socket", 0, 1).as_deref(), Some("AF_UNIX"));
        assert_eq!(
            symbol("socket", 1, 0x80801).as_deref(),
            Some("SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK")
        );
        assert_eq!(
            symbol("mmap", 2, 3).as_deref(),
            Some("PROT_READ|PROT_WRITE")
        );
        assert_eq!(
            symbol("futex", 1, 128).as_deref(),
            Some("FUTEX_WAIT|FUTEX_PRIVATE_FLAG")
        );
    }

    #[test]
    fn the_kernels_width_decides() {
        assert_eq!(
            symbol("openat", 0, 0xffff_ffff_ffff_ff9c).as_deref(),
            Some("AT_FDCWD")
        );
        assert_eq!(symbol("mprotect", 2, 0x1_0000_0001), None);
    }

    #[test]
    fn what_is_unknown_has_no_name() {
        assert_eq!(symbol("socket", 0, 999), None);
        assert_eq!(symbol("socket", 1, 0x80000 | 0x70), None);
        assert_eq!(symbol("read", 0, 1), None);
    }

    #[test]
    fn tables_name_real_calls() {
        for call in TABLES.iter().flat_map(|t| t.calls) {
            assert!(Arch::X86_64.number(call).is_some(), "{call}");
        }
    }
}
