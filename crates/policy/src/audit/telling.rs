//! Arguments that say what a call does, not to what: operations, flags, families, protections. Those are
//! what rules are written about; a rule that leaves out a descriptor's number is not too broad.

use portcullis_abi::{Arch, Sysno};

use crate::Width;

/// By the call's name; what each means is in the call's man page, section 2.
const TELLING: &[(&str, &[u8])] = &[
    ("accept4", &[3]),
    ("arch_prctl", &[0]),
    ("bpf", &[0]),
    ("clock_nanosleep", &[0, 1]),
    ("clone", &[0]),
    ("dup3", &[2]),
    ("epoll_create1", &[0]),
    ("epoll_ctl", &[1]),
    ("eventfd2", &[1]),
    ("fadvise64", &[3]),
    ("fallocate", &[1]),
    ("fcntl", &[1]),
    ("flock", &[1]),
    ("futex", &[1]),
    ("getrandom", &[2]),
    ("getrusage", &[0]),
    ("getsockopt", &[1, 2]),
    ("inotify_init1", &[0]),
    ("ioctl", &[1]),
    ("keyctl", &[0]),
    ("kill", &[1]),
    ("lseek", &[2]),
    ("madvise", &[2]),
    ("membarrier", &[0]),
    ("memfd_create", &[1]),
    ("mlock2", &[2]),
    ("mmap", &[2, 3]),
    ("mprotect", &[2]),
    ("mremap", &[3]),
    ("open", &[1]),
    ("openat", &[2]),
    ("personality", &[0]),
    ("pipe2", &[1]),
    ("pkey_mprotect", &[2]),
    ("prctl", &[0]),
    ("prlimit64", &[1]),
    ("ptrace", &[0]),
    ("renameat2", &[4]),
    ("rt_sigaction", &[0]),
    ("rt_sigprocmask", &[0]),
    ("seccomp", &[0, 1]),
    ("setns", &[1]),
    ("setsockopt", &[1, 2]),
    ("shmat", &[2]),
    ("shutdown", &[1]),
    ("signalfd4", &[3]),
    ("socket", &[0, 1, 2]),
    ("socketpair", &[0, 1, 2]),
    ("tgkill", &[2]),
    ("timer_create", &[0]),
    ("timerfd_create", &[0, 1]),
    ("timerfd_settime", &[1]),
    ("tkill", &[1]),
    ("umount2", &[1]),
    ("unlinkat", &[2]),
    ("unshare", &[0]),
];

/// Those of the call `number`, ascending, and how wide the kernel declares them; none of a call that no
/// table names.
pub(crate) fn telling(arch: Arch, number: Sysno) -> impl Iterator<Item = (u8, Width)> {
    let name = arch.name(number).unwrap_or_default();
    let at = TELLING.binary_search_by_key(&name, |(n, _)| n);
    let own = at.map_or(&[][..], |at| TELLING[at].1);
    let declared = arch.arguments(number).unwrap_or_default();
    own.iter().map(move |&index| {
        let bits = declared.get(usize::from(index)).map_or(64, |a| a.width);
        let width = if bits > 32 { Width::W64 } else { Width::W32 };
        (index, width)
    })
}

/// The width of one of them.
pub(crate) fn width(arch: Arch, number: Sysno, index: u8) -> Option<Width> {
    let mut all = telling(arch, number);
    all.find(|(n, _)| *n == index).map(|(_, width)| width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_in_order_and_exist() {
        assert!(TELLING.is_sorted_by_key(|(name, _)| name));
        for (name, indices) in TELLING {
            let number = Arch::X86_64.number(name).expect(name);
            let declared = Arch::X86_64.arguments(number).expect(name);
            for index in *indices {
                assert!(!declared[usize::from(*index)].kind.is_pointer(), "{name}");
            }
        }
        let of = |number| telling(Arch::X86_64, Sysno(number)).collect::<Vec<_>>();
        assert_eq!(of(16), [(1, Width::W32)]);
        assert_eq!(of(9), [(2, Width::W64), (3, Width::W64)]);
        assert_eq!(of(0), []);
    }
}
