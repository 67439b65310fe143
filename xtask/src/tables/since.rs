//! Since when a call is there. Three sources, the later ones first: what an architecture got at a
//! time of its own, what the page syscalls(2) lacks or has wrong, and the page.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::Port;
use super::inputs::Inputs;

/// `(major, minor, patch)`; only versions before 3.0 have a third part.
pub(super) type Version = (u8, u8, u8);

/// The first release with the architecture, or with the ABI whose numbers the table holds: no call
/// is older there. x86_64: syscalls(2) counts its first calls from 2.6. x32: 3.4. aarch64: 3.7.
/// arm: the EABI came with 2.6.16.
fn first(port: Port) -> Version {
    match port {
        Port::X86_64 => (2, 6, 0),
        Port::X32 => (3, 4, 0),
        Port::I386 => (1, 0, 0),
        Port::Aarch64 => (3, 7, 0),
        Port::Arm => (2, 6, 16),
    }
}

/// What came to one architecture later than syscalls(2) says of all. What is not here came, as far
/// as is known, with the others; before 3.x arm was often some releases late.
const LATER: &[(Port, Version, &str)] = &[
    // arch/x86/entry/syscalls/syscall_32.tbl, 359 to 373: what `socketcall` had held alone.
    (
        Port::I386,
        (4, 3, 0),
        "socket socketpair bind connect listen accept4 getsockopt setsockopt getsockname \
         getpeername sendto sendmsg recvfrom recvmsg shutdown",
    ),
    // The same, 393 to 402: what `ipc` had held alone.
    (
        Port::I386,
        (5, 1, 0),
        "semget semctl shmget shmctl shmat shmdt msgget msgsnd msgrcv msgctl",
    ),
    (Port::I386, (4, 12, 0), "arch_prctl"),
    // include/uapi/asm-generic/unistd.h, 293 and 294.
    (Port::Aarch64, (4, 19, 0), "rseq"),
    (Port::Aarch64, (5, 0, 0), "kexec_file_load"),
    // Guarded control stacks.
    (Port::Aarch64, (6, 13, 0), "map_shadow_stack"),
    // Reserved for all when only x86_64 had it.
    (Port::X32, (6, 7, 0), "map_shadow_stack"),
    (Port::I386, (6, 7, 0), "map_shadow_stack"),
    (Port::Arm, (6, 7, 0), "map_shadow_stack"),
    // arch/arm/tools/syscall.tbl: with TIF_RESTORE_SIGMASK, and with the unified numbers of 5.1.
    (Port::Arm, (2, 6, 32), "ppoll pselect6 epoll_pwait"),
    (Port::Arm, (5, 1, 0), "migrate_pages kexec_file_load"),
];

/// What syscalls(2) of man-pages 6.03 lacks (it ends with 5.14), and three that its own pages
/// correct: membarrier(2), pkey_alloc(2), mbind(2).
const KNOWN: &[(Version, &str)] = &[
    (
        (5, 1, 0),
        "clock_adjtime64 clock_getres_time64 clock_gettime64 clock_nanosleep_time64 \
         clock_settime64 futex_time64 io_pgetevents_time64 mq_timedreceive_time64 \
         mq_timedsend_time64 ppoll_time64 pselect6_time64 recvmmsg_time64 rt_sigtimedwait_time64 \
         sched_rr_get_interval_time64 semtimedop_time64 timer_gettime64 timer_settime64 \
         timerfd_gettime64 timerfd_settime64 utimensat_time64",
    ),
    ((5, 12, 0), "mount_setattr"),
    ((5, 15, 0), "process_mrelease"),
    ((5, 16, 0), "futex_waitv"),
    ((5, 17, 0), "set_mempolicy_home_node"),
    ((6, 5, 0), "cachestat"),
    ((6, 6, 0), "fchmodat2 map_shadow_stack"),
    ((6, 7, 0), "futex_wake futex_wait futex_requeue"),
    (
        (6, 8, 0),
        "statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules",
    ),
    ((6, 10, 0), "mseal"),
    ((6, 11, 0), "uretprobe"),
    (
        (6, 13, 0),
        "setxattrat getxattrat listxattrat removexattrat",
    ),
    ((6, 15, 0), "open_tree_attr"),
    ((6, 17, 0), "file_getattr file_setattr"),
    ((6, 18, 0), "uprobe"),
    ((4, 3, 0), "membarrier"),
    ((4, 9, 0), "pkey_alloc pkey_free pkey_mprotect"),
    ((2, 6, 7), "mbind get_mempolicy set_mempolicy"),
    // Under the names of then, `pread` and `pwrite`.
    ((2, 2, 0), "pread64 pwrite64"),
    // Functions of arm under names of its own: fadvise64_64(2) and sync_file_range2(2).
    ((2, 6, 0), "arm_fadvise64_64"),
    ((2, 6, 22), "arm_sync_file_range"),
    // Slots without a function in any release: as old as the architecture.
    (
        (1, 0, 0),
        "afs_syscall break ftime getpmsg gtty idle lock mpx prof profil putpmsg security stty \
         tuxcall ulimit vserver epoll_ctl_old epoll_wait_old",
    ),
];

/// When each call that syscalls(2) lists came.
pub(super) fn page(inputs: &Inputs) -> Result<BTreeMap<String, Version>> {
    let text = inputs.syscalls_page()?;
    let rows = text.lines().filter_map(|line| {
        // `\fBpoll\fP(2)<tab>2.0.36; 2.2`: where two series got it, the older counts.
        let (name, rest) = line.strip_prefix(r"\fB")?.split_once(r"\fP(2)")?;
        let versions = rest.strip_prefix('\t')?.split('\t').next()?.split(';');
        Some((name.to_owned(), versions.filter_map(version).min()?))
    });
    Ok(rows.collect())
}

fn version(text: &str) -> Option<Version> {
    let mut parts = text.trim().split('.').map(|p| p.parse().ok());
    Some((
        parts.next()??,
        parts.next()??,
        parts.next().flatten().unwrap_or(0),
    ))
}

/// When `name` came to `port`; an error when no source says.
pub(super) fn of(port: Port, name: &str, page: &BTreeMap<String, Version>) -> Result<Version> {
    let names = |list: &str| list.split_whitespace().any(|n| n == name);
    let later = LATER.iter().find(|(p, _, list)| *p == port && names(list));
    let known = KNOWN.iter().find(|(_, list)| names(list));
    later
        .map(|l| l.1)
        .or(known.map(|k| k.0))
        .or(page.get(name).copied())
        .map(|version| version.max(first(port)))
        .with_context(|| format!("{}: since when is there {name}?", port.name()))
}
