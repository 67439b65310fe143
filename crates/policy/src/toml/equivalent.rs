//! The same call under the name and with the arguments that another architecture has for it.
//!
//! Architectures that came to Linux after 2.6.27 have no calls that a newer one can express
//! (include/uapi/asm-generic/unistd.h), and 32-bit ones have other names for calls whose structures
//! differ. A row says what a C library there calls instead, argument by argument; what it adds is
//! constant, so that a rule keeps its meaning. Where an argument becomes something else (a time in
//! milliseconds becomes a pointer to one), no condition on it can be carried over.

use portcullis_abi::{Arch, Sysno};

use super::facts;
use crate::{Condition, Op, Width};

/// A call that says the same.
pub(super) struct Equivalent {
    /// The call that is missing.
    missing: &'static str,
    /// The one that is there.
    pub(super) instead: &'static str,
    /// Where each argument of the missing one is in the other; those not listed have no place.
    moved: &'static [(u8, u8)],
    /// What the other arguments are then.
    fixed: &'static [(u8, u32)],
}

/// `AT_FDCWD`, fcntl.h.
const CWD: u32 = -100i32 as u32;
/// `AT_SYMLINK_NOFOLLOW`, fcntl.h.
const NOFOLLOW: u32 = 0x100;
/// `AT_REMOVEDIR`, fcntl.h.
const REMOVEDIR: u32 = 0x200;

const SAME: &[(u8, u8)] = &[(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)];
const PATH: &[(u8, u8)] = &[(0, 1), (1, 2), (2, 3)];
const PATH_AND_ONE: &[(u8, u8)] = &[(0, 1), (1, 2)];
const TWO_PATHS: &[(u8, u8)] = &[(0, 1), (1, 3)];

const fn row(
    missing: &'static str,
    instead: &'static str,
    moved: &'static [(u8, u8)],
    fixed: &'static [(u8, u32)],
) -> Equivalent {
    Equivalent {
        missing,
        instead,
        moved,
        fixed,
    }
}

/// In order: the first whose `instead` is there is taken.
#[rustfmt::skip]
static EQUIVALENTS: &[Equivalent] = &[
    // A path becomes a path relative to the working directory.
    row("open", "openat", PATH, &[(0, CWD)]),
    // O_CREAT|O_WRONLY|O_TRUNC, as creat(2) says.
    row("creat", "openat", &[(0, 1), (1, 3)], &[(0, CWD), (2, 0o1101)]),
    row("stat", "newfstatat", PATH_AND_ONE, &[(0, CWD), (3, 0)]),
    row("lstat", "newfstatat", PATH_AND_ONE, &[(0, CWD), (3, NOFOLLOW)]),
    row("access", "faccessat", PATH, &[(0, CWD)]),
    row("mkdir", "mkdirat", PATH, &[(0, CWD)]),
    row("mknod", "mknodat", PATH, &[(0, CWD)]),
    row("rmdir", "unlinkat", &[(0, 1)], &[(0, CWD), (2, REMOVEDIR)]),
    row("unlink", "unlinkat", &[(0, 1)], &[(0, CWD), (2, 0)]),
    row("rename", "renameat", TWO_PATHS, &[(0, CWD), (2, CWD)]),
    row("link", "linkat", TWO_PATHS, &[(0, CWD), (2, CWD), (4, 0)]),
    row("symlink", "symlinkat", &[(0, 0), (1, 2)], &[(1, CWD)]),
    row("readlink", "readlinkat", PATH, &[(0, CWD)]),
    row("chmod", "fchmodat", PATH, &[(0, CWD)]),
    row("chown", "fchownat", PATH, &[(0, CWD), (4, 0)]),
    row("lchown", "fchownat", PATH, &[(0, CWD), (4, NOFOLLOW)]),
    row("utime", "utimensat", &[(0, 1)], &[(0, CWD), (3, 0)]),
    row("utimes", "utimensat", &[(0, 1)], &[(0, CWD), (3, 0)]),
    row("futimesat", "utimensat", &[(0, 0), (1, 1)], &[(3, 0)]),
    // A call got flags; the old one has none.
    row("dup2", "dup3", SAME, &[(2, 0)]),
    row("pipe", "pipe2", SAME, &[(1, 0)]),
    row("accept", "accept4", SAME, &[(3, 0)]),
    row("eventfd", "eventfd2", SAME, &[(1, 0)]),
    row("signalfd", "signalfd4", SAME, &[(3, 0)]),
    row("inotify_init", "inotify_init1", &[], &[(0, 0)]),
    row("epoll_create", "epoll_create1", &[], &[(0, 0)]),
    row("umount", "umount2", SAME, &[(1, 0)]),
    row("getdents", "getdents64", SAME, &[]),
    // Waiting: the time is behind a pointer, and no signal mask is given.
    row("epoll_wait", "epoll_pwait", SAME, &[(4, 0)]),
    row("poll", "ppoll", &[(0, 0), (1, 1)], &[(3, 0)]),
    row("select", "_newselect", SAME, &[]),
    row("select", "pselect6", &[(0, 0), (1, 1), (2, 2), (3, 3)], &[(5, 0)]),
    row("_newselect", "select", SAME, &[]),
    row("_newselect", "pselect6", &[(0, 0), (1, 1), (2, 2), (3, 3)], &[(5, 0)]),
    row("pause", "ppoll", &[], &[(0, 0), (1, 0), (2, 0), (3, 0)]),
    row("waitpid", "wait4", SAME, &[(3, 0)]),
    // SIGCHLD; with CLONE_VM|CLONE_VFORK for vfork(2).
    row("fork", "clone", &[], &[(0, 17)]),
    row("vfork", "clone", &[], &[(0, 0x4111)]),
    row("getpgrp", "getpgid", &[], &[(0, 0)]),
    // ITIMER_REAL.
    row("alarm", "setitimer", &[], &[(0, 0)]),
    row("time", "clock_gettime", &[], &[]),
    // Names that 32-bit architectures have for calls with 64-bit members.
    row("stat64", "stat", SAME, &[]),
    row("stat64", "newfstatat", PATH_AND_ONE, &[(0, CWD), (3, 0)]),
    row("lstat64", "lstat", SAME, &[]),
    row("lstat64", "newfstatat", PATH_AND_ONE, &[(0, CWD), (3, NOFOLLOW)]),
    row("fstat64", "fstat", SAME, &[]),
    row("fstatat64", "newfstatat", SAME, &[]),
    row("newfstatat", "fstatat64", SAME, &[]),
    row("statfs64", "statfs", &[(0, 0), (2, 1)], &[]),
    row("fstatfs64", "fstatfs", &[(0, 0), (2, 1)], &[]),
    row("fcntl64", "fcntl", SAME, &[]),
    row("sendfile64", "sendfile", SAME, &[]),
    row("truncate64", "truncate", &[(0, 0)], &[]),
    row("ftruncate64", "ftruncate", &[(0, 0)], &[]),
    // The offset counts pages there, bytes here.
    row("mmap2", "mmap", &[(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)], &[]),
    row("mmap", "mmap2", &[(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)], &[]),
    row("_llseek", "lseek", &[(0, 0), (4, 2)], &[]),
    row("getrlimit", "ugetrlimit", SAME, &[]),
    row("ugetrlimit", "getrlimit", SAME, &[]),
    row("arm_fadvise64_64", "fadvise64", &[(0, 0), (1, 3)], &[]),
    row("fadvise64_64", "fadvise64", &[(0, 0)], &[]),
    row("fadvise64", "arm_fadvise64_64", &[(0, 0), (3, 1)], &[]),
    row("sync_file_range", "arm_sync_file_range", &[(0, 0), (3, 1)], &[]),
    row("arm_sync_file_range", "sync_file_range", &[(0, 0), (1, 3)], &[]),
    row("getuid32", "getuid", SAME, &[]),
    row("geteuid32", "geteuid", SAME, &[]),
    row("getgid32", "getgid", SAME, &[]),
    row("getegid32", "getegid", SAME, &[]),
    row("getresuid32", "getresuid", SAME, &[]),
    row("getresgid32", "getresgid", SAME, &[]),
    row("getgroups32", "getgroups", SAME, &[]),
    row("setuid32", "setuid", SAME, &[]),
    row("setgid32", "setgid", SAME, &[]),
    row("setreuid32", "setreuid", SAME, &[]),
    row("setregid32", "setregid", SAME, &[]),
    row("setresuid32", "setresuid", SAME, &[]),
    row("setresgid32", "setresgid", SAME, &[]),
    row("setgroups32", "setgroups", SAME, &[]),
    row("setfsuid32", "setfsuid", SAME, &[]),
    row("setfsgid32", "setfsgid", SAME, &[]),
    row("chown32", "chown", SAME, &[]),
    row("chown32", "fchownat", PATH, &[(0, CWD), (4, 0)]),
    row("lchown32", "lchown", SAME, &[]),
    row("lchown32", "fchownat", PATH, &[(0, CWD), (4, NOFOLLOW)]),
    row("fchown32", "fchown", SAME, &[]),
    // 64-bit time under a name of its own (Linux 5.1).
    row("clock_gettime64", "clock_gettime", SAME, &[]),
    row("clock_settime64", "clock_settime", SAME, &[]),
    row("clock_adjtime64", "clock_adjtime", SAME, &[]),
    row("clock_getres_time64", "clock_getres", SAME, &[]),
    row("clock_nanosleep_time64", "clock_nanosleep", SAME, &[]),
    row("timer_gettime64", "timer_gettime", SAME, &[]),
    row("timer_settime64", "timer_settime", SAME, &[]),
    row("timerfd_gettime64", "timerfd_gettime", SAME, &[]),
    row("timerfd_settime64", "timerfd_settime", SAME, &[]),
    row("utimensat_time64", "utimensat", SAME, &[]),
    row("pselect6_time64", "pselect6", SAME, &[]),
    row("ppoll_time64", "ppoll", SAME, &[]),
    row("io_pgetevents_time64", "io_pgetevents", SAME, &[]),
    row("recvmmsg_time64", "recvmmsg", SAME, &[]),
    row("mq_timedsend_time64", "mq_timedsend", SAME, &[]),
    row("mq_timedreceive_time64", "mq_timedreceive", SAME, &[]),
    row("semtimedop_time64", "semtimedop", SAME, &[]),
    row("rt_sigtimedwait_time64", "rt_sigtimedwait", SAME, &[]),
    row("futex_time64", "futex", SAME, &[]),
    row("sched_rr_get_interval_time64", "sched_rr_get_interval", SAME, &[]),
    row("semop", "semtimedop_time64", SAME, &[(3, 0)]),
    row("semtimedop", "semtimedop_time64", SAME, &[]),
];

/// What an architecture has instead of a call that it lacks.
pub(super) fn equivalent(arch: Arch, missing: &str) -> Option<(Sysno, &'static Equivalent)> {
    let mut all = EQUIVALENTS.iter().filter(|e| e.missing == missing);
    all.find_map(|e| Some((arch.number(e.instead)?, e)))
}

impl Equivalent {
    /// Which argument of this call an argument of the missing one is.
    pub(super) fn place(&self, index: u8) -> Option<u8> {
        let mut moved = self.moved.iter();
        moved.find(|(from, _)| *from == index).map(|(_, to)| *to)
    }

    /// What the arguments are that the missing call does not have. `call` is this one's number.
    pub(super) fn fixed(&self, arch: Arch, call: Sysno) -> Vec<Condition> {
        let one = |&(index, value): &(u8, u32)| Condition {
            index,
            width: facts::declared(arch, call.into(), index).unwrap_or(Width::W32),
            op: Op::Equal(u64::from(value)),
        };
        self.fixed.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that no architecture needs, or whose other call no architecture has, is a slip.
    #[test]
    fn every_row_is_of_use() {
        let mut useless = Vec::new();
        for row in EQUIVALENTS {
            let used = Arch::ALL.iter().any(|arch| {
                let lacks = arch.number(row.missing).is_none();
                lacks && equivalent(*arch, row.missing).is_some_and(|(_, e)| std::ptr::eq(e, row))
            });
            if !used || Arch::ALL.iter().all(|a| a.number(row.missing).is_none()) {
                useless.push((row.missing, row.instead));
            }
            for (index, _) in row.fixed {
                assert!(row.moved.iter().all(|m| m.1 != *index) || row.moved == SAME);
            }
        }
        assert_eq!(useless, []);
    }

    #[test]
    fn arguments_move() {
        let (number, open) = equivalent(Arch::Aarch64, "open").expect("a row");
        assert_eq!(Arch::Aarch64.name(number), Some("openat"));
        assert_eq!(open.place(1), Some(2));
        let cwd = &open.fixed(Arch::Aarch64, number)[0];
        assert_eq!((cwd.width, &cwd.op), (Width::W32, &Op::Equal(0xffff_ff9c)));
        let (number, poll) = equivalent(Arch::Aarch64, "poll").expect("a row");
        assert_eq!(poll.place(2), None);
        // A null pointer is null in all its bits.
        assert_eq!(poll.fixed(Arch::Aarch64, number)[0].width, Width::W64);
    }
}
