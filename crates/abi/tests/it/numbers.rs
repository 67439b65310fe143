//! The committed tables against independent sources: the crates `syscalls` and `syscall-numbers`, which
//! others generate from the kernel, and the kernel headers of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use portcullis_abi::{Arch, Sysno};

/// Places of the three `asm/unistd_*.h` of x86: Debian's (linux-libc-dev) and others'.
const HEADERS: &[&str] = &["/usr/include/x86_64-linux-gnu/asm", "/usr/include/asm"];

/// The numbers as the kernel's tables count them: without the bit of x32, and without the private
/// calls of arm, which the sources leave out or do not leave out as they like.
fn table(arch: Arch) -> BTreeMap<u32, &'static str> {
    let calls = arch
        .syscalls()
        .filter(|(n, _)| n.0 < 0xf_0000 || arch == Arch::X32);
    calls
        .map(|(n, name)| (n.0 & !Arch::X32_BIT, name))
        .collect()
}

#[test]
fn the_tables_are_strictly_ascending_and_names_are_unique() {
    for arch in Arch::ALL {
        let all: Vec<_> = arch.syscalls().collect();
        assert!(all.windows(2).all(|w| w[0].0 < w[1].0), "{arch}");
        for &(number, name) in &all {
            assert_eq!(arch.number(name), Some(number), "{arch}: {name} twice");
            assert_eq!(arch.name(number), Some(name), "{arch}");
        }
    }
}

#[test]
fn names_that_no_table_has_have_no_number() {
    for arch in Arch::ALL {
        for name in ["", "Read", "read ", "not_a_call", &"x".repeat(100_000)] {
            assert_eq!(arch.number(name), None, "{arch}: {name:.20}");
        }
    }
}

#[test]
fn aliases_are_the_same_call_and_no_others_are_taken() {
    for arch in Arch::ALL {
        assert_eq!(arch.number("pread"), arch.number("pread64"), "{arch}");
        assert_eq!(arch.number("pwrite"), arch.number("pwrite64"), "{arch}");
    }
    let arm = Arch::Arm;
    assert_eq!(
        arm.number("sync_file_range2"),
        arm.number("arm_sync_file_range")
    );
    // Two calls on i386; only the second of them on later architectures.
    assert_eq!(Arch::I386.number("umount"), Some(Sysno(22)));
    assert_eq!(Arch::I386.number("umount2"), Some(Sysno(52)));
    assert_eq!(Arch::X86_64.number("umount"), None);
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
fn facts_of_the_other_tables() {
    // arch/x86/entry/syscalls/syscall_32.tbl, syscall_64.tbl (x32), scripts/syscall.tbl (arm64),
    // arch/arm/tools/syscall.tbl and arch/arm/include/uapi/asm/unistd.h.
    for (arch, name, number) in [
        (Arch::I386, "restart_syscall", 0),
        (Arch::I386, "execve", 11),
        (Arch::I386, "socketcall", 102),
        (Arch::I386, "socket", 359),
        (Arch::I386, "clock_gettime64", 403),
        (Arch::X32, "read", 0x4000_0000),
        (Arch::X32, "execve", 0x4000_0208),
        (Arch::X32, "pwritev2", 0x4000_0223),
        (Arch::Aarch64, "io_setup", 0),
        (Arch::Aarch64, "openat", 56),
        (Arch::Aarch64, "newfstatat", 79),
        (Arch::Aarch64, "execve", 221),
        (Arch::Aarch64, "mmap", 222),
        (Arch::Arm, "execve", 11),
        (Arch::Arm, "ugetrlimit", 191),
        (Arch::Arm, "arm_fadvise64_64", 270),
        (Arch::Arm, "futex_time64", 422),
        (Arch::Arm, "cacheflush", 0xf_0002),
        (Arch::Arm, "set_tls", 0xf_0005),
    ] {
        assert_eq!(arch.number(name), Some(Sysno(number)), "{arch}: {name}");
    }
    for absent in ["open", "fork", "epoll_wait", "clock_gettime64", "mmap2"] {
        assert_eq!(Arch::Aarch64.number(absent), None, "{absent}");
    }
    // 5.1 gave all architectures the same numbers for what came then and later.
    for (number, name) in Arch::Aarch64.syscalls().filter(|(n, _)| n.0 >= 424) {
        for arch in Arch::ALL {
            let here = arch.number(name).map(|n| n.0 & !Arch::X32_BIT);
            assert!(here.is_none_or(|n| n == number.0), "{arch}: {name}");
        }
    }
}

/// Fails on any difference but those that the caller explains, and on an explanation of none.
fn compare(arch: Arch, theirs: &BTreeMap<u32, &str>, explained: &[(u32, &str)]) {
    let ours = table(arch);
    let entries = |t: &BTreeMap<u32, &'static str>| -> BTreeSet<(u32, String)> {
        t.iter().map(|(n, name)| (*n, (*name).to_owned())).collect()
    };
    // What came after the table is no difference.
    let newest = arch.newest().0 & !Arch::X32_BIT;
    let theirs: BTreeSet<_> = theirs
        .iter()
        .filter(|(n, _)| **n <= newest || **n >= 512)
        .map(|(n, name)| (*n, (*name).to_owned()))
        .collect();
    let mut differences: BTreeSet<_> = entries(&ours)
        .symmetric_difference(&theirs)
        .cloned()
        .collect();
    for (number, name) in explained {
        let there = differences.remove(&(*number, (*name).to_owned()));
        assert!(there, "{arch}: {number} {name} is no difference any more");
    }
    assert!(differences.is_empty(), "{arch}: {differences:#?}");
}

/// By number: their `iter` leaves out the last call.
macro_rules! theirs {
    ($module:ident) => {
        (0..1024)
            .filter_map(|n| Some((n, syscalls::$module::Sysno::new(n as usize)?.name())))
            .collect::<BTreeMap<u32, &str>>()
    };
}

#[test]
fn the_tables_equal_the_syscalls_crate() {
    compare(Arch::X86_64, &theirs!(x86_64), &[]);
    // A word of Rust cannot be the name of their variant.
    compare(Arch::I386, &theirs!(x86), &[(17, "break"), (17, "r#break")]);
    compare(Arch::Arm, &theirs!(arm), &[]);
    // asm-generic/unistd.h gives 403 to 423 to architectures of 32 bits alone, and calls 79
    // `newfstatat` on those of 64; arch/arm64 in Linux 6.11 and later says the same in a table.
    let aarch64 = theirs!(aarch64);
    let narrow: Vec<_> = aarch64
        .range(403..424)
        .map(|(n, name)| (*n, *name))
        .collect();
    let mut explained = vec![(79, "newfstatat"), (79, "fstatat")];
    explained.extend(narrow);
    compare(Arch::Aarch64, &aarch64, &explained);
}

#[test]
fn the_tables_equal_the_syscall_numbers_crate() {
    // `sys_call_name` takes the numbers as the kernel sees them.
    let theirs = |bit: u32, name: fn(std::ffi::c_long) -> Option<&'static str>| {
        (0..1024)
            .filter_map(|n| Some((n, name(std::ffi::c_long::from(n | bit))?)))
            .collect::<BTreeMap<u32, &str>>()
    };
    // Its i386 and arm are named after functions of the kernel (`gettimeofday_time32`).
    use syscall_numbers::{aarch64, x32, x86_64};
    compare(Arch::X86_64, &theirs(0, x86_64::sys_call_name), &[]);
    compare(Arch::X32, &theirs(Arch::X32_BIT, x32::sys_call_name), &[]);
    compare(Arch::Aarch64, &theirs(0, aarch64::sys_call_name), &[]);
}

/// The `__NR_*` of a C header, as `(name, number)`; the bit of x32 is left out.
fn numbers_of(text: &str) -> Vec<(&str, u32)> {
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("#define __NR_")?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let (name, value) = rest.split_at(end);
        let value = value.trim_matches(|c| " ();".contains(c));
        let value = value.strip_prefix("__X32_SYSCALL_BIT +").unwrap_or(value);
        let number: u32 = value.trim().parse().ok()?;
        Some((name, number & !Arch::X32_BIT))
    });
    lines.collect()
}

/// The headers of this machine may be older than the tables, never different: what they name must
/// be there under the same number, unless it is newer than the table.
#[test]
fn the_tables_contain_the_installed_headers() {
    for (arch, file) in [
        (Arch::X86_64, "unistd_64.h"),
        (Arch::X32, "unistd_x32.h"),
        (Arch::I386, "unistd_32.h"),
    ] {
        let mut places = HEADERS.iter().map(|place| Path::new(place).join(file));
        let text = places
            .find_map(|path| std::fs::read_to_string(path).ok())
            .unwrap_or_else(|| panic!("no {file} in {HEADERS:?}: install linux-libc-dev"));
        let ours = table(arch);
        let numbers = numbers_of(&text);
        assert!(numbers.len() > 300, "{arch}: only {} calls", numbers.len());
        for (name, number) in numbers {
            if number <= 469 || (512..548).contains(&number) {
                assert_eq!(ours.get(&number), Some(&name), "{arch}: {number}");
            }
        }
    }
}
