//! Constants against what the C library of this machine says, and against facts by hand.

use portcullis_abi::{Arch, constant, errno, errno_name};

#[test]
fn constants_are_those_of_the_c_library() {
    macro_rules! same {
        ($($name:ident)*) => {
            // Of various integer types there: a sign is kept, as it is here.
            [$((stringify!($name), libc::$name as i64 as u64)),*]
        };
    }
    let theirs = same!(
        AF_UNSPEC AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK AF_ALG PF_INET PF_UNIX
        SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_SEQPACKET SOCK_CLOEXEC SOCK_NONBLOCK
        IPPROTO_TCP IPPROTO_UDP IPPROTO_ICMP IPPROTO_ICMPV6 IPPROTO_IP IPPROTO_IPV6
        SOL_SOCKET SOL_TCP SOL_NETLINK SO_REUSEADDR SO_REUSEPORT SO_PEERCRED SO_RCVBUF SO_BROADCAST
        TCP_NODELAY TCP_FASTOPEN IPV6_V6ONLY IP_TTL MSG_DONTWAIT MSG_NOSIGNAL MSG_PEEK
        SHUT_RD SHUT_WR SHUT_RDWR SCM_RIGHTS SCM_CREDENTIALS
        O_RDONLY O_WRONLY O_RDWR O_CREAT O_EXCL O_TRUNC O_APPEND O_NONBLOCK O_CLOEXEC O_DIRECTORY
        O_NOFOLLOW O_PATH O_TMPFILE O_DIRECT O_SYNC O_NOATIME O_RSYNC
        AT_FDCWD AT_EMPTY_PATH AT_SYMLINK_NOFOLLOW AT_REMOVEDIR
        PROT_NONE PROT_READ PROT_WRITE PROT_EXEC MAP_SHARED MAP_PRIVATE MAP_FIXED MAP_ANONYMOUS
        MAP_ANON MAP_STACK MAP_NORESERVE MAP_HUGETLB MAP_GROWSDOWN MAP_32BIT MAP_FIXED_NOREPLACE
        MADV_DONTNEED MADV_FREE MADV_HUGEPAGE MREMAP_MAYMOVE MREMAP_FIXED MCL_CURRENT
        CLONE_VM CLONE_THREAD CLONE_NEWUSER CLONE_NEWNS CLONE_NEWNET CLONE_NEWCGROUP CLONE_VFORK
        F_GETFL F_SETFL F_DUPFD F_DUPFD_CLOEXEC F_SETLKW F_OFD_SETLK F_ADD_SEALS F_SETOWN
        FD_CLOEXEC LOCK_SH LOCK_EX LOCK_NB SEEK_SET SEEK_DATA
        PR_SET_NAME PR_SET_NO_NEW_PRIVS PR_SET_SECCOMP PR_CAPBSET_DROP PR_SET_PDEATHSIG PR_SET_VMA
        FUTEX_WAIT FUTEX_WAKE FUTEX_PRIVATE_FLAG FUTEX_CLOCK_REALTIME FUTEX_LOCK_PI
        SIGHUP SIGKILL SIGSEGV SIGSYS SIGCHLD SIG_BLOCK SIG_SETMASK SA_RESTART SA_SIGINFO
        TCGETS TCSETS TCSETSW TCSETSF TCFLSH FIONREAD FIONBIO FIOCLEX FIONCLEX TIOCGWINSZ TIOCSTI
        TIOCLINUX TIOCSCTTY TIOCGPGRP TUNSETIFF SIOCGIFCONF SIOCGIFINDEX
        RLIMIT_NOFILE RLIMIT_AS RLIMIT_CORE PRIO_PROCESS SCHED_FIFO SCHED_BATCH
        EPOLL_CTL_ADD EPOLLIN EPOLL_CLOEXEC POLLIN POLLHUP IN_CLOEXEC IN_MODIFY
        S_IRUSR S_ISUID S_IFMT S_IFSOCK S_IFDIR
        SECCOMP_SET_MODE_FILTER SECCOMP_RET_ERRNO SECCOMP_FILTER_FLAG_TSYNC
        PTRACE_TRACEME PTRACE_ATTACH PTRACE_SEIZE PTRACE_O_TRACESYSGOOD
        GRND_NONBLOCK GRND_RANDOM MFD_CLOEXEC MFD_ALLOW_SEALING MS_RDONLY MS_BIND MS_NOSUID
        MNT_DETACH UMOUNT_NOFOLLOW WNOHANG WUNTRACED P_PIDFD CLOCK_MONOTONIC CLOCK_BOOTTIME
        TFD_NONBLOCK EFD_SEMAPHORE SFD_CLOEXEC SPLICE_F_MOVE FALLOC_FL_KEEP_SIZE
        POSIX_FADV_DONTNEED RWF_NOWAIT STATX_ALL RENAME_NOREPLACE KEYCTL_READ
        R_OK X_OK ITIMER_REAL RUSAGE_SELF IPC_CREAT IPC_PRIVATE XATTR_CREATE
    );
    let ours = |name| Arch::X86_64.constant(name);
    let wrong: Vec<_> = theirs
        .iter()
        .filter(|(name, value)| ours(name) != Some(*value))
        .map(|(name, value)| (name, ours(name), value))
        .collect();
    assert!(wrong.is_empty(), "{wrong:x?}");
}

#[test]
fn architectures_differ_where_their_headers_do() {
    // arch/arm/include/uapi/asm/fcntl.h (arm64 has the same), asm-generic/fcntl.h.
    for (name, x86, arm) in [
        ("O_DIRECTORY", 0o200_000, 0o40_000),
        ("O_NOFOLLOW", 0o400_000, 0o100_000),
        ("O_DIRECT", 0o40_000, 0o200_000),
        ("O_LARGEFILE", 0o100_000, 0o400_000),
    ] {
        for arch in [Arch::X86_64, Arch::X32, Arch::I386] {
            assert_eq!(arch.constant(name), Some(x86), "{arch}: {name}");
        }
        for arch in [Arch::Aarch64, Arch::Arm] {
            assert_eq!(arch.constant(name), Some(arm), "{arch}: {name}");
        }
        assert_eq!(constant(name), None, "{name}");
    }
    // Of one architecture, and there alone.
    assert_eq!(Arch::X86_64.constant("ARCH_SET_FS"), Some(0x1002));
    assert_eq!(Arch::Aarch64.constant("ARCH_SET_FS"), None);
    assert_eq!(constant("ARCH_SET_FS"), Some(0x1002));
    assert_eq!(Arch::Aarch64.constant("MAP_32BIT"), None);
    // The size of a structure with a pointer is in the number of an ioctl.
    assert_eq!(Arch::X86_64.constant("TUNATTACHFILTER"), Some(0x4010_54d5));
    assert_eq!(Arch::I386.constant("TUNATTACHFILTER"), Some(0x4008_54d5));
    assert_eq!(constant("TUNSETIFF"), Some(0x4004_54ca));
    // What no architecture of 32 bits has as a 64-bit ioctl: F_GETLK64 has a number of its own.
    assert_eq!(Arch::I386.constant("F_GETLK64"), Some(12));
    assert_eq!(Arch::X86_64.constant("F_GETLK64"), None);
}

#[test]
fn ioctls_of_devices_are_known() {
    // Facts of include/uapi/linux/kvm.h, fs.h, loop.h, if_tun.h.
    for (name, value) in [
        ("KVM_GET_API_VERSION", 0xae00),
        ("KVM_CREATE_VM", 0xae01),
        ("KVM_RUN", 0xae80),
        ("KVM_SET_USER_MEMORY_REGION", 0x4020_ae46),
        ("FICLONE", 0x4004_9409),
        ("BLKGETSIZE64", 0x8008_1272),
        ("LOOP_SET_FD", 0x4c00),
        ("TUNSETOFFLOAD", 0x4004_54d0),
        ("VHOST_SET_OWNER", 0xaf01),
        ("FS_IOC_GETFLAGS", 0x8008_6601),
    ] {
        assert_eq!(Arch::X86_64.constant(name), Some(value), "{name}");
    }
}

#[test]
fn names_that_are_no_constants_have_no_value() {
    for name in [
        "",
        "af_inet",
        "AF_",
        "AF_NOTHING",
        "read",
        "EVIOC",
        "__NR_read",
        "KVM",
    ] {
        assert_eq!(constant(name), None, "{name}");
    }
}

#[test]
fn errors_have_names_both_ways() {
    for (name, number) in [
        ("EPERM", 1),
        ("EACCES", 13),
        ("ENOSYS", 38),
        ("EHWPOISON", 133),
    ] {
        assert_eq!(errno(name), Some(number));
        assert_eq!(errno_name(number), Some(name));
    }
    // Two names for one number: the one that the header gives the number is said.
    for (alias, name) in [
        ("EWOULDBLOCK", "EAGAIN"),
        ("EDEADLOCK", "EDEADLK"),
        ("ENOTSUP", "EOPNOTSUPP"),
    ] {
        assert_eq!(errno(alias), errno(name), "{alias}");
        assert_eq!(errno_name(errno(alias).unwrap()), Some(name));
    }
    // asm-generic/errno.h leaves out 41 and 58.
    let named: Vec<u16> = (0..5000).filter(|n| errno_name(*n).is_some()).collect();
    let expected: Vec<u16> = (1..=133).filter(|n| ![41, 58].contains(n)).collect();
    assert_eq!(named, expected);
    for number in named {
        assert_eq!(errno_name(number).and_then(errno), Some(number));
    }
    for wrong in [
        "EPOLLIN",
        "EFD_CLOEXEC",
        "EPOLL_CTL_ADD",
        "enosys",
        "E",
        "SIGHUP",
        "38",
    ] {
        assert_eq!(errno(wrong), None, "{wrong}");
    }
}
