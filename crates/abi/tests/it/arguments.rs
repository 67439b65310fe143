//! Arguments against facts written by hand from the kernel's `SYSCALL_DEFINE`s.

use portcullis_abi::{Arch, ArgKind, Argument};

fn of(arch: Arch, call: &str) -> &'static [Argument] {
    let number = arch
        .number(call)
        .unwrap_or_else(|| panic!("{arch}: {call}"));
    arch.arguments(number)
        .unwrap_or_else(|| panic!("{arch}: {call}"))
}

/// `i` and `u` for 32 bits with and without sign, `l` and `w` for 64.
fn widths(arch: Arch, call: &str) -> String {
    let letter = |a: &Argument| match (a.width, a.signed) {
        (32, true) => 'i',
        (32, false) => 'u',
        (64, true) => 'l',
        (64, false) => 'w',
        other => panic!("{arch}: {call}: {other:?}"),
    };
    of(arch, call).iter().map(letter).collect()
}

#[test]
fn every_call_of_every_architecture_is_known() {
    for arch in Arch::ALL {
        for (number, name) in arch.syscalls() {
            let arguments = arch.arguments(number);
            let arguments = arguments.unwrap_or_else(|| panic!("{arch}: {name} is not known"));
            assert!(arguments.len() <= 6, "{arch}: {name}");
            for argument in arguments {
                assert!(!argument.name().is_empty(), "{arch}: {name}");
                let wide = u32::from(argument.width) <= arch.register_bits();
                assert!(wide, "{arch}: {name}: {argument:?}");
                if argument.kind.is_pointer() {
                    let whole = u32::from(argument.width) == arch.register_bits();
                    assert!(whole && !argument.signed, "{arch}: {name}: {argument:?}");
                }
            }
        }
        assert_eq!(arch.arguments(portcullis_abi::Sysno(9999)), None);
    }
}

#[test]
fn widths_are_those_that_the_kernel_declares() {
    for (call, expected) in [
        ("read", "uww"),
        ("write", "uww"),
        ("close", "u"),
        ("lseek", "ulu"),
        ("pread64", "uwwl"),
        // fs/read_write.c: `unsigned long fd` in the calls with vectors.
        ("readv", "www"),
        ("preadv", "wwwww"),
        ("preadv2", "wwwwwi"),
        ("ioctl", "uuw"),
        ("fcntl", "uuw"),
        ("flock", "uu"),
        ("openat", "iwiu"),
        ("openat2", "iwww"),
        ("faccessat2", "iwii"),
        ("fchmodat2", "iwuu"),
        ("unlinkat", "iwi"),
        ("renameat2", "iwiwu"),
        ("statx", "iwuuw"),
        ("newfstatat", "iwwi"),
        ("fallocate", "iill"),
        ("ftruncate", "ul"),
        ("truncate", "wl"),
        ("sync_file_range", "illu"),
        ("splice", "iwiwwu"),
        ("copy_file_range", "iwiwwu"),
        ("sendfile", "iiww"),
        ("mmap", "wwwwww"),
        ("mprotect", "www"),
        ("pkey_mprotect", "wwwi"),
        ("pkey_alloc", "ww"),
        ("mremap", "wwwww"),
        ("madvise", "wwi"),
        ("msync", "wwi"),
        ("mlockall", "i"),
        ("mseal", "www"),
        ("mbind", "wwwwwu"),
        ("set_mempolicy", "iww"),
        ("socket", "iii"),
        ("socketpair", "iiiw"),
        ("accept4", "iwwi"),
        ("sendto", "iwwuwi"),
        ("sendmsg", "iwu"),
        ("setsockopt", "iiiwi"),
        ("prctl", "iwwww"),
        ("seccomp", "uuw"),
        ("ptrace", "llww"),
        ("personality", "u"),
        ("unshare", "w"),
        ("setns", "ii"),
        ("clone", "wwwww"),
        ("clone3", "ww"),
        ("futex", "wiuwwu"),
        ("futex_wait", "wwwuwi"),
        ("kill", "ii"),
        ("tgkill", "iii"),
        ("rt_sigaction", "iwww"),
        ("kcmp", "iiiww"),
        ("keyctl", "iwwww"),
        ("add_key", "wwwwi"),
        ("bpf", "iwu"),
        ("perf_event_open", "wiiiw"),
        ("init_module", "www"),
        ("finit_module", "iwi"),
        ("delete_module", "wu"),
        ("kexec_file_load", "iiwww"),
        ("reboot", "iiuw"),
        ("mount", "wwwww"),
        ("umount2", "wi"),
        ("syslog", "iwi"),
        ("setuid", "u"),
        ("setpriority", "iii"),
        ("ioprio_set", "iii"),
        ("prlimit64", "iuww"),
        ("clock_nanosleep", "iiww"),
        ("timer_settime", "iiww"),
        ("io_uring_setup", "uw"),
        ("io_uring_enter", "uuuuww"),
        ("io_uring_register", "uuwu"),
        ("io_destroy", "w"),
        ("epoll_ctl", "iiiw"),
        ("fanotify_mark", "iuwiw"),
        ("landlock_restrict_self", "iu"),
        ("memfd_create", "wu"),
        ("userfaultfd", "i"),
        ("membarrier", "iui"),
        ("rseq", "wuiu"),
        ("getrandom", "wwu"),
        ("process_madvise", "iwwiu"),
        ("pidfd_send_signal", "iiwu"),
        ("close_range", "uuu"),
        ("setxattrat", "iwuwww"),
        ("open_tree_attr", "iwuww"),
        ("file_setattr", "iwwwu"),
        ("semctl", "iiiw"),
        ("shmget", "iwi"),
        ("exit_group", "i"),
        ("execveat", "iwwwi"),
        ("getpid", ""),
        ("rt_sigreturn", ""),
    ] {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            assert_eq!(widths(arch, call), expected, "{arch}: {call}");
        }
    }
    for (call, expected) in [
        ("arch_prctl", "iw"),
        ("iopl", "u"),
        ("ioperm", "wwi"),
        ("modify_ldt", "iww"),
        ("open", "wiu"),
        ("mknod", "wuu"),
        ("fadvise64", "ilwi"),
        ("epoll_wait", "iwii"),
        ("_sysctl", "w"),
        ("uprobe", ""),
        ("tuxcall", ""),
    ] {
        assert_eq!(widths(Arch::X86_64, call), expected, "{call}");
    }
    assert_eq!(widths(Arch::Aarch64, "fadvise64"), "illi");
}

#[test]
fn kinds_tell_what_an_argument_is() {
    use ArgKind::*;
    for (call, expected) in [
        ("openat", &[Fd, Path, Flags, Mode][..]),
        ("read", &[Fd, Pointer, Size]),
        (
            "mmap",
            &[UnsignedLong, UnsignedLong, Flags, Flags, Fd, UnsignedLong],
        ),
        ("fchownat", &[Fd, Path, Uid, Gid, Flags]),
        ("tgkill", &[Pid, Pid, Signal]),
        ("clock_gettime", &[Clock, Struct]),
        ("timerfd_create", &[Clock, Flags]),
        ("mount", &[Path, Path, Text, Flags, Pointer]),
        ("umount2", &[Path, Flags]),
        ("symlinkat", &[Path, Fd, Path]),
        ("setxattr", &[Path, Text, Pointer, Size, Flags]),
        ("lseek", &[Fd, Offset, Unsigned]),
        ("fanotify_mark", &[Fd, Flags, Flags, Fd, Path]),
        ("ptrace", &[Long, Pid, UnsignedLong, UnsignedLong]),
        ("execve", &[Path, Pointer, Pointer]),
        ("memfd_create", &[Text, Flags]),
        ("rseq", &[Struct, Unsigned, Flags, Unsigned]),
    ] {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let kinds: Vec<_> = of(arch, call).iter().map(|a| a.kind).collect();
            assert_eq!(kinds, expected, "{arch}: {call}");
        }
    }
}

#[test]
fn types_of_16_bits_say_so() {
    // include/linux/types.h: `umode_t` is `unsigned short`, as is `old_uid_t`.
    let mode = of(Arch::X86_64, "fchmodat")[2];
    assert_eq!((mode.width, mode.kernel_bits()), (32, 16));
    assert_eq!(of(Arch::I386, "chown")[1].kernel_bits(), 16);
    assert_eq!(of(Arch::I386, "chown32")[1].kernel_bits(), 32);
    assert_eq!(of(Arch::X86_64, "read")[2].kernel_bits(), 64);
}

#[test]
fn architectures_differ_where_the_kernel_does() {
    let names = |arch, call| of(arch, call).iter().map(|a| a.name()).collect::<Vec<_>>();
    // kernel/fork.c, CONFIG_CLONE_BACKWARDS.
    assert_eq!(names(Arch::X86_64, "clone")[4], "tls");
    for arch in [Arch::Aarch64, Arch::Arm, Arch::I386] {
        assert_eq!(names(arch, "clone")[3], "tls", "{arch}");
    }
    // Values of 64 bits in registers of 32; arm's EABI wants an even one.
    assert_eq!(
        names(Arch::I386, "pread64"),
        ["fd", "buf", "count", "pos_low", "pos_high"]
    );
    assert_eq!(
        names(Arch::Arm, "pread64"),
        ["fd", "buf", "count", "unused", "pos_low", "pos_high"]
    );
    assert_eq!(names(Arch::Arm, "fallocate").len(), 6);
    assert_eq!(names(Arch::Arm, "arm_fadvise64_64")[1], "advice");
    // One structure in memory, where the others have six registers.
    assert_eq!(names(Arch::I386, "mmap").len(), 1);
    assert_eq!(names(Arch::I386, "mmap2").len(), 6);
    // x32 shares most with x86_64, and has the compat form of what it does not share.
    assert_eq!(widths(Arch::X32, "read"), "uww");
    assert_eq!(widths(Arch::X32, "ioctl"), "uuu");
    assert_eq!(widths(Arch::X32, "preadv"), "wwwl");
}
