//! Groups against those of systemd, and against themselves.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{Arch, group, groups};

/// What `systemd-analyze syscall-filter` of systemd 252 says, a group on each line. Committed,
/// because the package brings an init system with it.
const SYSTEMD: &str = include_str!("systemd-252.txt");

fn systemd() -> BTreeMap<&'static str, Vec<&'static str>> {
    let groups = SYSTEMD.lines().filter_map(|line| line.split_once(": "));
    groups
        .map(|(name, members)| (name, members.split(' ').collect()))
        .collect()
}

/// Every call in a group and in those that it includes; fails on a group that includes itself.
fn all(name: &'static str, above: &mut Vec<&'static str>) -> BTreeSet<&'static str> {
    assert!(!above.contains(&name), "{name} includes itself: {above:?}");
    above.push(name);
    let mut calls = BTreeSet::new();
    for member in group(name).unwrap_or_else(|| panic!("{name} is no group")) {
        match member.starts_with('@') {
            true => calls.extend(all(member, above)),
            false => _ = calls.insert(*member),
        }
    }
    above.pop();
    calls
}

#[test]
fn groups_have_what_those_of_systemd_have() {
    let theirs = systemd();
    assert_eq!(theirs.len(), 29);
    for (name, members) in theirs {
        let ours = all(name, &mut Vec::new());
        for member in members.iter().filter(|m| !m.starts_with('@')) {
            // `@known` is of the architectures whose tables are here.
            let foreign = Arch::ALL.iter().all(|arch| arch.number(member).is_none());
            let there = ours.contains(member) || name == "@known" && foreign;
            // The second name of one call on arm.
            let alias = name == "@known" && *member == "sync_file_range2";
            assert!(there || alias, "{name} lacks {member}");
        }
        for inner in members.iter().filter(|m| m.starts_with('@')) {
            let missing: Vec<_> = all(inner, &mut Vec::new())
                .difference(&ours)
                .copied()
                .collect();
            let known = name == "@known";
            assert!(
                known || missing.is_empty(),
                "{name} lacks {missing:?} of {inner}"
            );
        }
    }
}

#[test]
fn groups_are_sorted_and_found_by_name() {
    let names: Vec<_> = groups().collect();
    assert!(names.windows(2).all(|w| w[0] < w[1]), "{names:?}");
    assert_eq!(names.len(), 30);
    for name in names {
        assert!(name.starts_with('@'));
        assert!(!group(name).unwrap().is_empty(), "{name}");
        assert!(Arch::X86_64.group(name).is_some(), "{name}");
    }
    for wrong in ["", "@", "default", "@Default", "@nothing", "read"] {
        assert_eq!(group(wrong), None, "{wrong}");
        assert_eq!(Arch::X86_64.group(wrong), None, "{wrong}");
    }
}

#[test]
fn a_group_has_the_calls_that_the_architecture_has() {
    for arch in Arch::ALL {
        for name in groups() {
            let resolved = arch.group(name).unwrap();
            assert!(resolved.windows(2).all(|w| w[0] < w[1]), "{arch}: {name}");
            let names = all(name, &mut Vec::new());
            let expected: BTreeSet<_> = names.iter().filter_map(|n| arch.number(n)).collect();
            assert_eq!(
                resolved,
                expected.into_iter().collect::<Vec<_>>(),
                "{arch}: {name}"
            );
        }
        let known = arch.group("@known").unwrap();
        assert_eq!(
            known,
            arch.syscalls().map(|(n, _)| n).collect::<Vec<_>>(),
            "{arch}"
        );
    }
    let has = |arch: Arch, name: &str, call: &str| {
        arch.group(name)
            .unwrap()
            .contains(&arch.number(call).unwrap())
    };
    assert!(has(Arch::X86_64, "@system-service", "openat"));
    assert!(has(Arch::X86_64, "@system-service", "brk"));
    assert!(has(Arch::Arm, "@default", "set_tls"));
    assert!(has(Arch::Arm, "@sync", "arm_sync_file_range"));
    assert!(has(Arch::I386, "@network-io", "socketcall"));
    assert!(!has(Arch::X86_64, "@system-service", "ptrace"));
    assert!(!has(Arch::X86_64, "@system-service", "mount"));
}

#[test]
fn calls_of_newer_kernels_stand_in_the_group_of_their_like() {
    for (name, calls) in [
        (
            "@default",
            "mseal futex_wait futex_wake futex_requeue uprobe map_shadow_stack",
        ),
        (
            "@file-system",
            "cachestat statmount listmount setxattrat file_getattr fchmodat2",
        ),
        ("@mount", "open_tree_attr"),
        (
            "@sandbox",
            "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
        ),
    ] {
        for call in calls.split(' ') {
            let number = Arch::X86_64.number(call).unwrap();
            assert!(
                Arch::X86_64.group(name).unwrap().contains(&number),
                "{name}: {call}"
            );
        }
    }
    // What 6.0 and later brought is in a group, so that a policy of groups says something of it.
    let arch = Arch::X86_64;
    let grouped: BTreeSet<_> = groups()
        .filter(|g| *g != "@known")
        .flat_map(|g| arch.group(g).unwrap())
        .collect();
    for (number, name) in arch.syscalls() {
        let new = arch.since(number).unwrap() >= portcullis_abi::KernelVersion::new(6, 0);
        assert!(!new || grouped.contains(&number), "{name} is in no group");
    }
}
