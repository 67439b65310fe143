//! What the analysis must know of single system calls, by their numbers on x86_64
//! (`arch/x86/entry/syscalls/syscall_64.tbl`).

/// Calls that do not come back to the instruction after them: exit(2), exit_group(2),
/// sigreturn(2).
pub(crate) const NO_RETURN: [u64; 3] = [60, 231, 15];
/// Hands the kernel addresses of code to call: rt_sigaction(2).
pub(crate) const TAKES_HANDLER: u64 = 13;
/// What the kernel calls when a handler returns: rt_sigreturn(2).
pub(crate) const HANDLER_RETURN: u64 = 15;
/// Calls that the kernel goes on with by restart_syscall(2) after a stop: they return
/// `-ERESTART_RESTARTBLOCK` (nanosleep, futex, poll, clock_nanosleep and those built on them:
/// `kernel/time`, `kernel/futex`, `fs/select.c`).
pub(crate) const RESTARTED: [u64; 6] = [7, 23, 35, 202, 230, 271];
/// restart_syscall(2).
pub(crate) const RESTART: u64 = 219;
/// Calls that start another program: execve(2), execveat(2).
pub(crate) const STARTS_PROGRAM: [u64; 2] = [59, 322];
/// A call that starts a thread when it is passed [`THREAD_FLAG`].
pub(crate) struct StartsThread {
    /// The call.
    pub(crate) number: u64,
    /// The argument that has the flags; of clone3(2) they are in memory.
    pub(crate) flags: Option<usize>,
}

/// clone(2), clone3(2).
pub(crate) const STARTS_THREAD: [StartsThread; 2] = [
    StartsThread {
        number: 56,
        flags: Some(0),
    },
    StartsThread {
        number: 435,
        flags: None,
    },
];
/// `CLONE_THREAD` (`include/uapi/linux/sched.h`).
pub(crate) const THREAD_FLAG: u64 = 0x1_0000;
/// Calls that wait for what others do, the most telling first: epoll_wait(2), epoll_pwait(2),
/// epoll_pwait2(2), accept(2), accept4(2); then poll(2), select(2), pselect6(2), ppoll(2); then
/// recvfrom(2), recvmsg(2), read(2).
pub(crate) const WAITS: [&[u64]; 3] = [&[232, 281, 441, 43, 288], &[7, 23, 270, 271], &[45, 47, 0]];
/// Calls that install a filter: seccomp(2) with `SECCOMP_SET_MODE_STRICT` or
/// `SECCOMP_SET_MODE_FILTER`, prctl(2) with `PR_SET_SECCOMP`; by number, the operations in the first
/// argument.
pub(crate) const INSTALLS: [(u64, &[u64]); 2] = [(317, &[0, 1]), (157, &[22])];
/// Marks an x32 call (`__X32_SYSCALL_BIT`, `arch/x86/include/uapi/asm/unistd.h`).
pub(crate) const X32: u64 = portcullis_abi::Arch::X32_BIT as u64;

/// A call that makes memory executable when one of its arguments has one of some bits.
pub(crate) struct MakesExecutable {
    /// The call.
    pub(crate) number: u64,
    /// Which argument.
    pub(crate) argument: usize,
    /// Its bits.
    pub(crate) bits: u64,
}

/// mmap(2), mprotect(2), pkey_mprotect(2) with `PROT_EXEC`; shmat(2) with `SHM_EXEC`
/// (`include/uapi/linux/shm.h`).
pub(crate) const MAKES_EXECUTABLE: [MakesExecutable; 4] = {
    const fn call(number: u64, bits: u64) -> MakesExecutable {
        MakesExecutable {
            number,
            argument: 2,
            bits,
        }
    }
    [call(9, 4), call(10, 4), call(329, 4), call(30, 0o100_000)]
};

/// An argument that says what a call does, not to what: an operation, flags, a family, a protection.
/// Its values are told per caller.
pub(crate) struct Deciding {
    /// The call.
    pub(crate) number: u64,
    /// Which argument.
    pub(crate) argument: usize,
    /// As wide as the kernel declares it (`include/linux/syscalls.h`), in bits.
    pub(crate) bits: u8,
}

/// By number; what each means is in the call's man page, section 2.
const DECIDING: &[Deciding] = {
    const fn int(number: u64, argument: usize) -> Deciding {
        Deciding {
            number,
            argument,
            bits: 32,
        }
    }
    const fn long(number: u64, argument: usize) -> Deciding {
        Deciding {
            number,
            argument,
            bits: 64,
        }
    }
    &[
        // open: flags
        int(2, 1),
        // mmap: protection, flags
        long(9, 2),
        long(9, 3),
        // mprotect: protection
        long(10, 2),
        // ioctl: operation
        int(16, 1),
        // madvise: advice
        int(28, 2),
        // shmat: flags
        int(30, 2),
        // socket: family, type, protocol
        int(41, 0),
        int(41, 1),
        int(41, 2),
        // socketpair
        int(53, 0),
        int(53, 1),
        int(53, 2),
        // setsockopt, getsockopt: level, option
        int(54, 1),
        int(54, 2),
        int(55, 1),
        int(55, 2),
        // clone: flags
        long(56, 0),
        // fcntl: operation
        int(72, 1),
        // ptrace: operation
        long(101, 0),
        // personality
        int(135, 0),
        // prctl, arch_prctl: operation
        int(157, 0),
        int(158, 0),
        // futex: operation
        int(202, 1),
        // keyctl: operation
        int(250, 0),
        // openat: flags
        int(257, 2),
        // unshare: flags
        long(272, 0),
        // prlimit64: resource
        int(302, 1),
        // setns: type
        int(308, 1),
        // seccomp, bpf: operation
        int(317, 0),
        int(321, 0),
        // pkey_mprotect: protection
        long(329, 2),
    ]
};

/// The [`DECIDING`] arguments of the call `number`.
pub(crate) fn deciding(number: u64) -> &'static [Deciding] {
    let from = DECIDING.partition_point(|d| d.number < number);
    let to = DECIDING.partition_point(|d| d.number <= number);
    &DECIDING[from..to]
}

/// Calls that change no memory of who makes them and hand on none, whatever their registers hold: some
/// are passed numbers, some the address of a path or the like (man pages, section 2). By number.
const ONLY_READS: &[u64] = &[
    // open, close, lseek, access, sched_yield
    2, 3, 8, 21, 24,
    // dup, dup2, pause, alarm, getpid, socket, connect, shutdown, bind, listen
    32, 33, 34, 37, 39, 41, 42, 48, 49, 50,
    // exit, kill, flock, fsync, fdatasync, ftruncate, chdir, fchdir, rename, mkdir, rmdir
    60, 62, 73, 74, 75, 77, 80, 81, 82, 83, 84,
    // link, unlink, symlink, chmod, fchmod, chown, fchown, lchown, umask
    86, 87, 88, 90, 91, 92, 93, 94, 95,
    // getuid, getgid, setuid, setgid, geteuid, getegid, setpgid, getppid, getpgrp, setsid
    102, 104, 105, 106, 107, 108, 109, 110, 111, 112,
    // setreuid, setregid, setgroups, setresuid, setresgid, getpgid, setfsuid, setfsgid, getsid
    113, 114, 116, 117, 119, 121, 122, 123, 124,
    // chroot, gettid, tkill, exit_group, tgkill, openat, mkdirat, unlinkat, dup3
    161, 186, 200, 231, 234, 257, 258, 263, 292,
];

/// Where the kernel serves calls by itself on a page at a fixed address, and which: gettimeofday(2),
/// time(2), getcpu(2) (`arch/x86/entry/vsyscall/vsyscall_emu_64.S`). A filter sees them.
pub(crate) const VSYSCALLS: [(u64, u64); 3] = [
    (0xffff_ffff_ff60_0000, 96),
    (0xffff_ffff_ff60_0400, 201),
    (0xffff_ffff_ff60_0800, 309),
];

/// Which arguments of a call are paths of files (man pages, section 2), by number.
const PATHS: &[(u64, &[usize])] = &[
    // open, stat, lstat, access
    (2, &[0]),
    (4, &[0]),
    (6, &[0]),
    (21, &[0]),
    // execve, truncate, chdir
    (59, &[0]),
    (76, &[0]),
    (80, &[0]),
    // rename, mkdir, rmdir, creat, link, unlink, symlink, readlink
    (82, &[0, 1]),
    (83, &[0]),
    (84, &[0]),
    (85, &[0]),
    (86, &[0, 1]),
    (87, &[0]),
    (88, &[0, 1]),
    (89, &[0]),
    // chmod, chown, lchown, utime, mknod, statfs
    (90, &[0]),
    (92, &[0]),
    (94, &[0]),
    (132, &[0]),
    (133, &[0]),
    (137, &[0]),
    // pivot_root, chroot, mount (source and target), umount2, swapon, swapoff
    (155, &[0, 1]),
    (161, &[0]),
    (165, &[0, 1]),
    (166, &[0]),
    (167, &[0]),
    (168, &[0]),
    // setxattr to lremovexattr, without those of descriptors
    (188, &[0]),
    (189, &[0]),
    (191, &[0]),
    (192, &[0]),
    (194, &[0]),
    (195, &[0]),
    (197, &[0]),
    (198, &[0]),
    // utimes, inotify_add_watch
    (235, &[0]),
    (254, &[1]),
    // openat, mkdirat, mknodat, fchownat, futimesat, newfstatat, unlinkat
    (257, &[1]),
    (258, &[1]),
    (259, &[1]),
    (260, &[1]),
    (261, &[1]),
    (262, &[1]),
    (263, &[1]),
    // renameat, linkat, symlinkat, readlinkat, fchmodat, faccessat, utimensat
    (264, &[1, 3]),
    (265, &[1, 3]),
    (266, &[0, 2]),
    (267, &[1]),
    (268, &[1]),
    (269, &[1]),
    (280, &[1]),
    // name_to_handle_at, renameat2, execveat, statx, openat2, faccessat2, fchmodat2
    (303, &[1]),
    (316, &[1, 3]),
    (322, &[1]),
    (332, &[1]),
    (437, &[1]),
    (439, &[1]),
    (452, &[1]),
];

/// The arguments of the call `number` that are paths.
pub(crate) fn path_arguments(number: u64) -> &'static [usize] {
    let at = PATHS.binary_search_by_key(&number, |(n, _)| *n);
    at.map_or(&[], |at| PATHS[at].1)
}

/// At most how many bytes the call `number` writes where an argument points; `None` where that is
/// not known here. A word that threads wait at is changed, if at all, by itself (futex(2)).
pub(crate) fn written_through(number: u64, argument: usize) -> Option<u8> {
    /// futex(2), and which of its arguments are addresses of such words.
    const FUTEX: (u64, [usize; 2]) = (202, [0, 4]);
    if ONLY_READS.binary_search(&number).is_ok() {
        return Some(0);
    }
    (number == FUTEX.0 && FUTEX.1.contains(&argument)).then_some(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deciding_arguments_are_found_by_number() {
        let order = |d: &Deciding| (d.number, d.argument);
        assert!(DECIDING.is_sorted_by(|a, b| order(a) < order(b)));
        let places = |number| {
            deciding(number)
                .iter()
                .map(|d| d.argument)
                .collect::<Vec<_>>()
        };
        assert_eq!(places(41), [0, 1, 2]);
        assert_eq!(places(0), []);
        assert!(ONLY_READS.is_sorted());
        assert!(PATHS.is_sorted_by_key(|(n, _)| n));
        assert_eq!(path_arguments(264), [1, 3]);
        for call in MAKES_EXECUTABLE {
            assert!(places(call.number).contains(&call.argument));
        }
    }
}
