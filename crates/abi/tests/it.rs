//! The committed table against two independent sources: the `syscalls` crate, which is generated
//! from the same kernel files by others, and the kernel headers of this machine.

use std::collections::BTreeMap;
use std::path::Path;

use portcullis_abi::{Arch, Sysno};

/// Debian's place for `asm/unistd_64.h` (package linux-libc-dev).
const HEADER: &str = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";

fn table() -> BTreeMap<u32, &'static str> {
    Arch::X86_64
        .syscalls()
        .map(|(n, name)| (n.0, name))
        .collect()
}

#[test]
fn the_table_is_strictly_ascending_and_names_are_unique() {
    let all: Vec<_> = Arch::X86_64.syscalls().collect();
    assert!(all.windows(2).all(|w| w[0].0 < w[1].0));
    for &(number, name) in &all {
        assert_eq!(Arch::X86_64.number(name), Some(number), "{name} twice");
        assert_eq!(Arch::X86_64.name(number), Some(name));
    }
    assert_eq!(Arch::X86_64.newest(), all[all.len() - 1].0);
}

#[test]
fn facts_of_the_kernels_table() {
    // arch/x86/entry/syscalls/syscall_64.tbl: the numbers that other code here relies on, the gap
    // between the old numbers and those shared by all architectures since 5.1, and the end of the
    // range that x32 takes (512–547), which must not be named.
    for (name, number) in [
        ("read", 0),
        ("execve", 59),
        ("exit_group", 231),
        ("seccomp", 317),
        ("execveat", 322),
        ("uretprobe", 335),
        ("uprobe", 336),
        ("pidfd_send_signal", 424),
        ("io_uring_setup", 425),
        ("clone3", 435),
        ("mseal", 462),
        ("file_setattr", 469),
    ] {
        assert_eq!(Arch::X86_64.number(name), Some(Sysno(number)), "{name}");
    }
    for gap in (337..424).chain(512..548) {
        assert_eq!(Arch::X86_64.name(Sysno(gap)), None, "{gap}");
    }
    // `__X32_SYSCALL_BIT` is no number of this architecture.
    assert_eq!(Arch::X86_64.name(Sysno(0x4000_0000)), None);
}

#[test]
fn the_table_equals_the_syscalls_crate() {
    // By number: its `iter` leaves out its last call.
    let theirs: BTreeMap<u32, &str> = (0..1024)
        .filter_map(|n| Some((n, syscalls::x86_64::Sysno::new(n as usize)?.name())))
        .collect();
    let ours = table();
    let differences: Vec<_> = ours
        .iter()
        .filter(|(n, name)| theirs.get(n) != Some(name))
        .map(|(n, name)| format!("only here: {n} {name}"))
        .chain(
            theirs
                .iter()
                .filter(|(n, name)| ours.get(n) != Some(name))
                .map(|(n, name)| format!("only there: {n} {name}")),
        )
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// The header of this machine may be older than the table, never different: what it names must be
/// in the table under the same number, unless it is newer than the table.
#[test]
fn the_table_contains_the_installed_header() {
    let path = Path::new(HEADER);
    if !path.exists() {
        // Other distributions keep it elsewhere; the test above has compared the same facts.
        return;
    }
    let text = std::fs::read_to_string(path).unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("#define") {
            continue;
        }
        let (Some(name), Some(number)) = (words.next(), words.next()) else {
            continue;
        };
        let (Some(name), Ok(number)) = (name.strip_prefix("__NR_"), number.parse::<u32>()) else {
            continue;
        };
        if number > Arch::X86_64.newest().0 {
            continue;
        }
        assert_eq!(Arch::X86_64.name(Sysno(number)), Some(name), "{number}");
        seen += 1;
    }
    assert!(seen > 300, "the header names only {seen} calls");
}
