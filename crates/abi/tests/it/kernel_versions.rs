//! Releases, and since when calls are there.

use portcullis_abi::{Arch, KernelVersion};

fn version(text: &str) -> KernelVersion {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn since(arch: Arch, name: &str) -> Option<String> {
    let number = arch.number(name)?;
    arch.since(number).map(|v| v.to_string())
}

#[test]
fn versions_are_read_as_people_and_uname_write_them() {
    for text in [
        "6.1",
        "linux 6.1",
        "Linux 6.1",
        "v6.1",
        " 6.1 ",
        "linux-6.1",
        "6.1.0-13-amd64",
    ] {
        assert_eq!(version(text), KernelVersion::new(6, 1), "{text}");
    }
    assert_eq!(version("2.6.16").to_string(), "2.6.16");
    assert_eq!(version("6.10").to_string(), "6.10");
    for wrong in [
        "",
        "6",
        "6.",
        ".1",
        "6.1.",
        "6.x",
        "linux",
        "linux x",
        "6.1.2.3",
        "+6.1",
        "6.-1",
        "6.70000",
        "ёёё6.1",
        "6 .1",
    ] {
        assert!(wrong.parse::<KernelVersion>().is_err(), "{wrong}");
    }
}

#[test]
fn later_versions_are_greater() {
    let texts = [
        "1.0", "2.4.18", "2.6", "2.6.9", "2.6.16", "3.0", "5.9", "5.10", "5.10.3", "6.1",
    ];
    assert!(texts.windows(2).all(|w| version(w[0]) < version(w[1])));
}

#[test]
fn every_call_of_every_architecture_has_a_first_release() {
    let newest = version("6.18");
    for arch in Arch::ALL {
        for (number, name) in arch.syscalls() {
            let since = arch.since(number);
            assert!(
                since.is_some_and(|v| v <= newest),
                "{arch}: {name}: {since:?}"
            );
        }
        assert_eq!(arch.known_at(newest).count(), arch.syscalls().count());
        assert_eq!(arch.since(portcullis_abi::Sysno(9999)), None);
    }
}

#[test]
fn calls_of_the_last_decade_came_in_the_order_of_their_numbers() {
    // Since 5.1 a call gets the next number on all architectures, in the release that brings it.
    // Three kept a number that they had got before they were finished.
    let early = ["close_range", "quotactl_fd", "map_shadow_stack"];
    for arch in Arch::ALL {
        let new = arch.syscalls().filter(|(number, name)| {
            (424..512).contains(&(number.0 & !Arch::X32_BIT)) && !early.contains(name)
        });
        let versions: Vec<_> = new.map(|(n, name)| (arch.since(n), name)).collect();
        for pair in versions.windows(2) {
            assert!(pair[0].0 <= pair[1].0, "{arch}: {pair:?}");
        }
    }
}

#[test]
fn facts_of_first_releases() {
    for (name, everywhere) in [
        ("pidfd_send_signal", "5.1"),
        ("io_uring_setup", "5.1"),
        ("open_tree", "5.2"),
        ("clone3", "5.3"),
        ("pidfd_open", "5.3"),
        ("openat2", "5.6"),
        ("faccessat2", "5.8"),
        ("close_range", "5.9"),
        ("process_madvise", "5.10"),
        ("epoll_pwait2", "5.11"),
        ("mount_setattr", "5.12"),
        ("landlock_create_ruleset", "5.13"),
        ("process_mrelease", "5.15"),
        ("futex_waitv", "5.16"),
        ("set_mempolicy_home_node", "5.17"),
        ("cachestat", "6.5"),
        ("fchmodat2", "6.6"),
        ("futex_wake", "6.7"),
        ("statmount", "6.8"),
        ("mseal", "6.10"),
        ("setxattrat", "6.13"),
        ("open_tree_attr", "6.15"),
        ("file_setattr", "6.17"),
        ("getrandom", "3.17"),
        ("seccomp", "3.17"),
        ("execveat", "3.19"),
        ("membarrier", "4.3"),
        ("pkey_alloc", "4.9"),
        ("statx", "4.11"),
    ] {
        for arch in Arch::ALL {
            assert_eq!(
                since(arch, name).as_deref(),
                Some(everywhere),
                "{arch}: {name}"
            );
        }
    }
    for (arch, name, first) in [
        (Arch::X86_64, "read", "2.6"),
        (Arch::X86_64, "pread64", "2.6"),
        (Arch::X86_64, "openat", "2.6.16"),
        (Arch::X86_64, "uretprobe", "6.11"),
        (Arch::X86_64, "uprobe", "6.18"),
        (Arch::X86_64, "map_shadow_stack", "6.6"),
        (Arch::Aarch64, "read", "3.7"),
        (Arch::Aarch64, "finit_module", "3.8"),
        (Arch::Aarch64, "rseq", "4.19"),
        (Arch::Aarch64, "map_shadow_stack", "6.13"),
        (Arch::I386, "read", "1.0"),
        (Arch::I386, "getxattr", "2.4.18"),
        (Arch::I386, "poll", "2.0.36"),
        (Arch::I386, "socketcall", "1.0"),
        (Arch::I386, "socket", "4.3"),
        (Arch::I386, "recvmmsg", "2.6.33"),
        (Arch::I386, "shmget", "5.1"),
        (Arch::I386, "arch_prctl", "4.12"),
        (Arch::I386, "rseq", "4.18"),
        (Arch::I386, "clock_gettime64", "5.1"),
        (Arch::X32, "read", "3.4"),
        (Arch::X32, "execveat", "3.19"),
        (Arch::Arm, "socket", "2.6.16"),
        (Arch::Arm, "ppoll", "2.6.32"),
        (Arch::Arm, "futex_time64", "5.1"),
        (Arch::Arm, "kexec_file_load", "5.1"),
    ] {
        assert_eq!(since(arch, name).as_deref(), Some(first), "{arch}: {name}");
    }
}

#[test]
fn a_kernel_knows_what_came_before_it() {
    let arch = Arch::X86_64;
    let known = |text: &str| arch.known_at(version(text)).collect::<Vec<_>>();
    let (older, newer) = (known("6.1"), known("6.12"));
    assert!(older.iter().all(|n| newer.contains(n)));
    assert!(older.windows(2).all(|w| w[0] < w[1]));
    let name = |name: &str| arch.number(name).unwrap();
    assert!(older.contains(&name("set_mempolicy_home_node")));
    assert!(!older.contains(&name("cachestat")) && newer.contains(&name("cachestat")));
    // A correction of a release brings no call, and has what the release has.
    assert_eq!(known("6.1.99"), older);
    // A hole that was filled late: 335 came after 462.
    assert!(!known("6.10").contains(&name("uretprobe")));
    assert_eq!(known("0.1"), []);
}
