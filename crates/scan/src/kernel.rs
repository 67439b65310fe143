//! What the analysis must know of single system calls. It stands here by their names, once for all
//! architectures; [`Kernel::of`] has it by the numbers of one, without the calls that one lacks.

use std::sync::OnceLock;

use portcullis_abi::{Arch, Sysno};

/// `CLONE_THREAD` (`include/uapi/linux/sched.h`).
pub(crate) const THREAD_FLAG: u64 = 0x1_0000;
/// Marks an x32 call in a number of x86_64 (`__X32_SYSCALL_BIT`,
/// `arch/x86/include/uapi/asm/unistd.h`).
pub(crate) const X32: u64 = Arch::X32_BIT as u64;

/// What is known of the calls of one architecture, by number.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Calls that do not come back to the instruction after them: exit(2), exit_group(2),
    /// sigreturn(2).
    pub(crate) no_return: Vec<u64>,
    /// Hands the kernel addresses of code to call: rt_sigaction(2).
    pub(crate) takes_handler: u64,
    /// What the kernel makes when a handler returns: rt_sigreturn(2).
    pub(crate) handler_return: u64,
    /// Calls that the kernel goes on with by restart_syscall(2) after a stop: they return
    /// `-ERESTART_RESTARTBLOCK` (nanosleep, futex, poll, clock_nanosleep and those built on them:
    /// `kernel/time`, `kernel/futex`, `fs/select.c`).
    pub(crate) restarted: Vec<u64>,
    /// restart_syscall(2).
    pub(crate) restart: u64,
    /// Calls that start another program: execve(2), execveat(2).
    pub(crate) starts_program: Vec<u64>,
    /// Calls that start a thread when they are passed [`THREAD_FLAG`]: clone(2), clone3(2).
    pub(crate) starts_thread: Vec<StartsThread>,
    /// Calls that wait for what others do, the most telling first: epoll_wait(2), epoll_pwait(2),
    /// epoll_pwait2(2), accept(2), accept4(2); then poll(2), select(2), pselect6(2), ppoll(2); then
    /// recvfrom(2), recvmsg(2), read(2).
    pub(crate) waits: [Vec<u64>; 3],
    /// Calls that install a filter: seccomp(2) with `SECCOMP_SET_MODE_STRICT` or
    /// `SECCOMP_SET_MODE_FILTER`, prctl(2) with `PR_SET_SECCOMP`; the operations in the first
    /// argument.
    pub(crate) installs: Vec<(u64, &'static [u64])>,
    /// Calls that make memory executable when an argument has some bits.
    pub(crate) makes_executable: Vec<MakesExecutable>,
    /// Where the kernel serves calls by itself on a page at a fixed address, and which. A filter sees
    /// them.
    pub(crate) served: Vec<(u64, u64)>,
    /// Ascending.
    deciding: Vec<Deciding>,
    /// Ascending.
    only_reads: Vec<u64>,
    /// Ascending by number.
    paths: Vec<(u64, &'static [usize])>,
    futex: u64,
}

/// A call that starts a thread when it is passed [`THREAD_FLAG`].
#[derive(Debug)]
pub(crate) struct StartsThread {
    /// The call.
    pub(crate) number: u64,
    /// The argument that has the flags; of clone3(2) they are in memory.
    pub(crate) flags: Option<usize>,
}

/// A call that makes memory executable when one of its arguments has one of some bits.
#[derive(Debug)]
pub(crate) struct MakesExecutable {
    /// The call.
    pub(crate) number: u64,
    /// Which argument.
    pub(crate) argument: usize,
    /// Its bits.
    pub(crate) bits: u64,
}

/// An argument that says what a call does, not to what ([`Arch::deciding`]). Its values are told per caller.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Deciding {
    /// The call.
    pub(crate) number: u64,
    /// Which argument.
    pub(crate) argument: usize,
    /// As wide as the kernel declares it, in bits.
    pub(crate) bits: u8,
}

/// [`Kernel::no_return`].
const NO_RETURN: &[&str] = &["exit", "exit_group", "rt_sigreturn"];
/// [`Kernel::restarted`].
const RESTARTED: &[&str] = &[
    "poll",
    "select",
    "nanosleep",
    "futex",
    "clock_nanosleep",
    "ppoll",
];
/// [`Kernel::starts_program`].
const STARTS_PROGRAM: &[&str] = &["execve", "execveat"];
/// [`Kernel::starts_thread`].
const STARTS_THREAD: &[(&str, Option<usize>)] = &[("clone", Some(0)), ("clone3", None)];
/// [`Kernel::waits`].
const WAITS: [&[&str]; 3] = [
    &[
        "epoll_wait",
        "epoll_pwait",
        "epoll_pwait2",
        "accept",
        "accept4",
    ],
    &["poll", "select", "pselect6", "ppoll"],
    &["recvfrom", "recvmsg", "read"],
];
/// [`Kernel::installs`].
const INSTALLS: &[(&str, &[u64])] = &[("seccomp", &[0, 1]), ("prctl", &[22])];

/// Bits of the third argument: `PROT_EXEC`, `SHM_EXEC` (`include/uapi/linux/shm.h`).
const MAKES_EXECUTABLE: &[(&str, u64)] = &[
    ("mmap", 4),
    ("mprotect", 4),
    ("pkey_mprotect", 4),
    ("shmat", 0o100_000),
];
/// Which argument has them.
const PROTECTION: usize = 2;

/// gettimeofday(2), time(2), getcpu(2) of x86_64 (`arch/x86/entry/vsyscall/vsyscall_emu_64.S`).
const VSYSCALLS: &[(u64, &str)] = &[
    (0xffff_ffff_ff60_0000, "gettimeofday"),
    (0xffff_ffff_ff60_0400, "time"),
    (0xffff_ffff_ff60_0800, "getcpu"),
];

/// Calls that change no memory of who makes them and hand on none, whatever their registers hold: some
/// are passed numbers, some the address of a path or the like (man pages, section 2).
#[rustfmt::skip]
const ONLY_READS: &[&str] = &[
    "open", "openat", "close", "lseek", "access", "faccessat", "faccessat2", "sched_yield",
    "dup", "dup2", "dup3", "pause", "alarm", "getpid", "gettid", "getppid",
    "socket", "connect", "shutdown", "bind", "listen",
    "exit", "exit_group", "kill", "tkill", "tgkill", "flock", "fsync", "fdatasync", "ftruncate",
    "chdir", "fchdir", "chroot", "umask",
    "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir",
    "link", "linkat", "unlink", "unlinkat", "symlink", "symlinkat",
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat",
    "getuid", "getgid", "geteuid", "getegid", "getpgid", "getpgrp", "getsid",
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",
    "setgroups", "setpgid", "setsid",
];

/// Which arguments of a call are paths of files (man pages, section 2).
const PATHS: &[(&[&str], &[usize])] = &[
    (
        &[
            "open", "stat", "lstat", "access", "execve", "truncate", "chdir", "mkdir", "rmdir",
            "creat", "unlink", "readlink", "chmod", "chown", "lchown", "utime", "utimes", "mknod",
            "statfs", "chroot", "umount2", "swapon", "swapoff",
        ],
        &[0],
    ),
    (
        &[
            "setxattr",
            "lsetxattr",
            "getxattr",
            "lgetxattr",
            "listxattr",
            "llistxattr",
            "removexattr",
            "lremovexattr",
        ],
        &[0],
    ),
    // From and to; of mount(2), source and target.
    (
        &["rename", "link", "symlink", "pivot_root", "mount"],
        &[0, 1],
    ),
    // Beside the descriptor of a directory.
    (
        &[
            "inotify_add_watch",
            "openat",
            "openat2",
            "mkdirat",
            "mknodat",
            "fchownat",
            "futimesat",
            "newfstatat",
            "unlinkat",
            "readlinkat",
            "fchmodat",
            "fchmodat2",
            "faccessat",
            "faccessat2",
            "utimensat",
            "name_to_handle_at",
            "execveat",
            "statx",
        ],
        &[1],
    ),
    (&["renameat", "renameat2", "linkat"], &[1, 3]),
    (&["symlinkat"], &[0, 2]),
];

impl Kernel {
    /// What is known of the calls of `arch`.
    pub(crate) fn of(arch: Arch) -> &'static Kernel {
        static X86_64: OnceLock<Kernel> = OnceLock::new();
        static AARCH64: OnceLock<Kernel> = OnceLock::new();
        match arch {
            Arch::Aarch64 => AARCH64.get_or_init(|| Kernel::by_number(arch)),
            _ => X86_64.get_or_init(|| Kernel::by_number(Arch::X86_64)),
        }
    }

    fn by_number(arch: Arch) -> Kernel {
        let number = |name: &str| arch.number(name).map(|Sysno(n)| u64::from(n));
        let numbers = |names: &[&str]| names.iter().filter_map(|n| number(n)).collect::<Vec<_>>();
        let sorted = |names: &[&str]| {
            let mut all = numbers(names);
            all.sort_unstable();
            all
        };
        let starts = STARTS_THREAD.iter().filter_map(|&(name, flags)| {
            let number = number(name)?;
            Some(StartsThread { number, flags })
        });
        let executable = MAKES_EXECUTABLE.iter().filter_map(|&(name, bits)| {
            Some(MakesExecutable {
                number: number(name)?,
                argument: PROTECTION,
                bits,
            })
        });
        let mut deciding: Vec<Deciding> = arch
            .syscalls()
            .flat_map(|(number, _)| {
                arch.deciding(number)
                    .map(move |(place, argument)| Deciding {
                        number: u64::from(number.0),
                        argument: usize::from(place),
                        bits: argument.width,
                    })
            })
            .collect();
        deciding.sort_unstable();
        let mut paths: Vec<(u64, &[usize])> = PATHS
            .iter()
            .flat_map(|&(names, arguments)| numbers(names).into_iter().map(move |n| (n, arguments)))
            .collect();
        paths.sort_unstable();
        let served = VSYSCALLS.iter().filter(|_| arch == Arch::X86_64);
        // Every architecture has these; no call has the number of one that a table should lack.
        let every = |name: &str| number(name).unwrap_or(u64::MAX);
        Kernel {
            no_return: numbers(NO_RETURN),
            takes_handler: every("rt_sigaction"),
            handler_return: every("rt_sigreturn"),
            restarted: numbers(RESTARTED),
            restart: every("restart_syscall"),
            starts_program: numbers(STARTS_PROGRAM),
            starts_thread: starts.collect(),
            waits: WAITS.map(numbers),
            installs: INSTALLS
                .iter()
                .filter_map(|&(name, operations)| Some((number(name)?, operations)))
                .collect(),
            makes_executable: executable.collect(),
            served: served
                .filter_map(|&(at, name)| Some((at, number(name)?)))
                .collect(),
            deciding,
            only_reads: sorted(ONLY_READS),
            paths,
            futex: every("futex"),
        }
    }

    /// The [`Deciding`] arguments of the call `number`.
    pub(crate) fn deciding(&self, number: u64) -> &[Deciding] {
        let from = self.deciding.partition_point(|d| d.number < number);
        let to = self.deciding.partition_point(|d| d.number <= number);
        &self.deciding[from..to]
    }

    /// The arguments of the call `number` that are paths.
    pub(crate) fn path_arguments(&self, number: u64) -> &'static [usize] {
        let at = self.paths.binary_search_by_key(&number, |(n, _)| *n);
        at.map_or(&[], |at| self.paths[at].1)
    }

    /// At most how many bytes the call `number` writes where an argument points; `None` where that is
    /// not known here. A word that threads wait at is changed, if at all, by itself (futex(2)).
    pub(crate) fn written_through(&self, number: u64, argument: usize) -> Option<u8> {
        /// Which arguments of futex(2) are addresses of such words.
        const WORDS: [usize; 2] = [0, 4];
        if self.only_reads.binary_search(&number).is_ok() {
            return Some(0);
        }
        (number == self.futex && WORDS.contains(&argument)).then_some(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

    /// Every name is a call's, if only on x86_64, which has them all.
    #[test]
    fn no_name_is_a_slip() {
        let lists = [NO_RETURN, RESTARTED, STARTS_PROGRAM, ONLY_READS];
        let names = lists.into_iter().chain(WAITS).flatten().copied();
        let names = names
            .chain(STARTS_THREAD.iter().map(|c| c.0))
            .chain(INSTALLS.iter().map(|c| c.0))
            .chain(MAKES_EXECUTABLE.iter().map(|c| c.0))
            .chain(VSYSCALLS.iter().map(|c| c.1))
            .chain(PATHS.iter().flat_map(|c| c.0.iter().copied()));
        for name in names {
            assert!(Arch::X86_64.number(name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_architecture_has_what_no_program_does_without() {
        for arch in BOTH {
            let kernel = Kernel::of(arch);
            for number in [
                kernel.takes_handler,
                kernel.handler_return,
                kernel.restart,
                kernel.futex,
            ] {
                assert_ne!(number, u64::MAX, "{arch}");
            }
            assert_eq!(kernel.no_return.len(), NO_RETURN.len());
            assert_eq!(kernel.starts_thread.len(), STARTS_THREAD.len());
        }
    }

    #[test]
    fn arguments_are_found_by_number() {
        for arch in BOTH {
            let kernel = Kernel::of(arch);
            let number = |name| u64::from(arch.number(name).unwrap().0);
            let places = |number| {
                let all = kernel.deciding(number).iter();
                all.map(|d| d.argument).collect::<Vec<_>>()
            };
            assert_eq!(places(number("socket")), [0, 1, 2]);
            assert_eq!(places(number("read")), []);
            assert_eq!(kernel.path_arguments(number("renameat")), [1, 3]);
            assert_eq!(kernel.written_through(number("getpid"), 0), Some(0));
            assert_eq!(kernel.written_through(number("futex"), 4), Some(4));
            assert_eq!(kernel.written_through(number("read"), 1), None);
            for call in &kernel.makes_executable {
                assert!(places(call.number).contains(&call.argument));
            }
        }
    }
}
