//! Arguments that say what a call does, not to what: operations, flags, families, protections. Those are
//! what rules are written about, and what an analysis tells for each caller; a rule that leaves out a
//! descriptor's number is not too broad.

use super::Argument;
use crate::{Arch, Sysno};

/// By the call's name; what each means is in the call's man page, section 2.
const DECIDING: &[(&str, &[u8])] = &[
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

impl Arch {
    /// The arguments of a call that say what it does, ascending, each with its place; none of a call that no
    /// table names.
    pub fn deciding(self, number: Sysno) -> impl Iterator<Item = (u8, &'static Argument)> {
        let name = self.name(number).unwrap_or_default();
        let at = DECIDING.binary_search_by_key(&name, |(known, _)| known);
        let own = at.map_or(&[][..], |at| DECIDING[at].1);
        let all = self.arguments(number).unwrap_or_default();
        own.iter()
            .filter_map(|&place| Some((place, all.get(usize::from(place))?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_in_order_and_exist() {
        assert!(DECIDING.is_sorted_by_key(|(name, _)| name));
        for (name, places) in DECIDING {
            let number = Arch::X86_64.number(name).expect(name);
            let told: Vec<_> = Arch::X86_64.deciding(number).collect();
            assert_eq!(told.len(), places.len(), "{name}");
            assert!(told.is_sorted_by_key(|(place, _)| place), "{name}");
            assert!(told.iter().all(|(_, a)| !a.kind.is_pointer()), "{name}");
        }
    }

    #[test]
    fn each_has_the_width_that_the_kernel_declares() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let of = |name| {
                let told = arch.deciding(arch.number(name).unwrap());
                told.map(|(place, argument)| (place, argument.width))
                    .collect::<Vec<_>>()
            };
            assert_eq!(of("ioctl"), [(1, 32)]);
            assert_eq!(of("mmap"), [(2, 64), (3, 64)]);
            assert_eq!(of("read"), []);
        }
    }
}
