//! What a kernel can have, since when, and what an environment is said to have.
//!
//! Everything is a level: 0 is "not there", 1 "there", and Landlock counts its versions. So a need is a
//! feature and a least level, whether it is about the kernel, the architecture or the user.

use std::collections::BTreeMap;
use std::fmt;

use portcullis_abi::KernelVersion;

/// Something that a case may need.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Feature {
    // The environment itself.
    Root,
    X86_64,
    Aarch64,
    // Calls and flags of the kernel.
    Seccomp,
    SeccompTrap,
    SeccompLog,
    SeccompKillProcess,
    Notify,
    NotifyContinue,
    TsyncEsrch,
    NotifyAddfd,
    NotifyAddfdSend,
    NotifyWaitKillable,
    NotifySyncWakeUp,
    SyscallInfo,
    Ia32,
    Pidfd,
    PidfdGetfd,
    PidfdExit,
    Clone3,
    CloseRange,
    CloseRangeCloexec,
    MemfdNoexec,
    Mdwe,
    Mseal,
    Openat2,
    MapFiles,
    Audit,
    EbpfRing,
    Mounts,
    MountApi,
    MountSetattr,
    IdmappedTmpfs,
    Landlock,
    CloneIntoCgroup,
    CgroupKill,
    // What its configuration allows.
    Userns,
    Cgroup1Pids,
    Cgroup1Memory,
    Cgroup1Freezer,
    Cgroup2,
    Cgroup2Pids,
    Cgroup2Memory,
}

/// What is known of a feature.
pub(crate) struct Fact {
    pub(crate) feature: Feature,
    /// Its name in needs and in the probes' report.
    pub(crate) name: &'static str,
    /// The releases with which its levels came, ascending, and what for: the first brings level 1.
    pub(crate) levels: &'static [((u16, u16), &'static str)],
}

/// Every feature that the kernel brings, with its releases: seccomp(2), seccomp_unotify(2),
/// landlock(7), pidfd_getfd(2), clone(2), close_range(2), memfd_create(2), mount_setattr(2), openat2(2),
/// bpf(2), cgroups(7), `Documentation/admin-guide/cgroup-v2.rst` and the headers below `include/uapi/linux`.
/// Landlock's versions from 7 on are as found on Debian's kernels 6.16, 7.0, 7.1, 7.2 and 7.3; 7 came
/// with 6.15 (landlock(7)). What is said here is compared with what each machine is found to have.
pub(crate) const FACTS: &[Fact] = &[
    fact(Feature::Seccomp, "seccomp", &[((3, 5), "filters")]),
    fact(
        Feature::SeccompTrap,
        "seccomp-trap",
        &[((3, 5), "filters whose answer the program sees as a signal")],
    ),
    fact(
        Feature::SeccompLog,
        "seccomp-log",
        &[((4, 14), "calls that are allowed and logged")],
    ),
    fact(
        Feature::SeccompKillProcess,
        "seccomp-kill-process",
        &[((4, 14), "killing the process and not one of its threads")],
    ),
    fact(
        Feature::Notify,
        "notify",
        &[((5, 0), "calls that a supervisor answers")],
    ),
    fact(
        Feature::NotifyContinue,
        "notify-continue",
        &[((5, 5), "a supervisor that lets calls continue")],
    ),
    fact(
        Feature::TsyncEsrch,
        "tsync-esrch",
        &[((5, 7), "a supervised filter for all threads at once")],
    ),
    fact(
        Feature::NotifyAddfd,
        "notify-addfd",
        &[((5, 9), "a supervisor that opens files for the program")],
    ),
    fact(
        Feature::NotifyAddfdSend,
        "notify-addfd-send",
        &[((5, 14), "a supervisor's file and answer in one step")],
    ),
    fact(
        Feature::NotifyWaitKillable,
        "notify-wait-killable",
        &[(
            (5, 19),
            "supervised calls that no signal interrupts half-way",
        )],
    ),
    fact(
        Feature::NotifySyncWakeUp,
        "notify-sync-wake-up",
        &[((6, 6), "faster answers of a supervisor")],
    ),
    fact(
        Feature::SyscallInfo,
        "syscall-info",
        &[((5, 3), "what a traced program calls")],
    ),
    fact(
        Feature::Ia32,
        "ia32",
        &[((2, 6), "32-bit calls of x86, which filters deny")],
    ),
    fact(
        Feature::Pidfd,
        "pidfd",
        &[((5, 3), "handles to processes, for signals and their end")],
    ),
    fact(
        Feature::PidfdGetfd,
        "pidfd-getfd",
        &[((5, 6), "taking a descriptor of the program")],
    ),
    fact(
        Feature::PidfdExit,
        "pidfd-exit",
        &[((6, 15), "how a process of another parent ended")],
    ),
    fact(
        Feature::Clone3,
        "clone3",
        &[((5, 3), "processes made with everything they need")],
    ),
    fact(
        Feature::CloseRange,
        "close-range",
        &[((5, 9), "closing what the program must not inherit")],
    ),
    fact(
        Feature::CloseRangeCloexec,
        "close-range-cloexec",
        &[((5, 11), "descriptors closed at the exec, all at once")],
    ),
    fact(
        Feature::MemfdNoexec,
        "memfd-noexec",
        &[((6, 3), "memory files that nobody can execute")],
    ),
    fact(
        Feature::Mdwe,
        "mdwe",
        &[((6, 3), "memory that does not become executable")],
    ),
    fact(
        Feature::Mseal,
        "mseal",
        &[((6, 10), "mappings that nothing changes any more")],
    ),
    fact(
        Feature::Openat2,
        "openat2",
        &[((5, 6), "paths that cannot leave a directory")],
    ),
    fact(
        Feature::MapFiles,
        "map-files",
        &[((3, 3), "the file behind a mapping, exactly")],
    ),
    fact(
        Feature::Audit,
        "audit",
        &[((3, 16), "records of what was denied, for who may read them")],
    ),
    fact(
        Feature::EbpfRing,
        "ebpf-ring",
        &[((5, 8), "programs in the kernel that tell what they see")],
    ),
    fact(
        Feature::Mounts,
        "mounts",
        &[((2, 6), "a view of the files")],
    ),
    fact(
        Feature::MountApi,
        "mount-api",
        &[((5, 2), "mounts by descriptors")],
    ),
    fact(
        Feature::MountSetattr,
        "mount-setattr",
        &[((5, 12), "trees of mounts made read-only at once")],
    ),
    fact(
        Feature::IdmappedTmpfs,
        "idmapped-tmpfs",
        &[((6, 3), "files in memory that belong to the caller outside")],
    ),
    fact(
        Feature::Landlock,
        "landlock",
        &[
            ((5, 13), "rules about files"),
            ((5, 19), "files moved between directories"),
            ((6, 2), "files cut short"),
            ((6, 7), "TCP ports"),
            ((6, 10), "requests to devices"),
            ((6, 12), "signals and abstract sockets"),
            ((6, 15), "which denials are logged"),
            ((7, 0), "all threads at once"),
            ((7, 1), "sockets in the file system"),
            ((7, 2), "UDP ports"),
            ((7, 3), "no new privileges in the same step"),
        ],
    ),
    fact(
        Feature::CloneIntoCgroup,
        "clone-into-cgroup",
        &[((5, 7), "processes that begin in their control group")],
    ),
    fact(
        Feature::CgroupKill,
        "cgroup-kill",
        &[((5, 14), "killing all of a control group at once")],
    ),
    fact(
        Feature::Userns,
        "userns",
        &[((3, 8), "namespaces without privilege")],
    ),
    fact(
        Feature::Cgroup1Pids,
        "cgroup1-pids",
        &[((4, 3), "a limit of processes")],
    ),
    fact(
        Feature::Cgroup1Memory,
        "cgroup1-memory",
        &[((2, 6), "a limit of memory")],
    ),
    fact(
        Feature::Cgroup1Freezer,
        "cgroup1-freezer",
        &[((2, 6), "groups that stand still")],
    ),
    fact(
        Feature::Cgroup2,
        "cgroup2",
        &[((4, 5), "control groups in one hierarchy")],
    ),
    fact(
        Feature::Cgroup2Pids,
        "cgroup2-pids",
        &[((4, 5), "a limit of processes")],
    ),
    fact(
        Feature::Cgroup2Memory,
        "cgroup2-memory",
        &[((4, 5), "a limit of memory")],
    ),
];

const fn fact(
    feature: Feature,
    name: &'static str,
    levels: &'static [((u16, u16), &'static str)],
) -> Fact {
    Fact {
        feature,
        name,
        levels,
    }
}

impl Fact {
    /// The level that a release has.
    pub(crate) fn level(&self, kernel: KernelVersion) -> u32 {
        let levels = self.levels();
        levels
            .filter(|(_, release, _)| *release <= kernel)
            .map(|(level, ..)| level)
            .last()
            .unwrap_or(0)
    }

    /// Each level with its release and what it brings.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (u32, KernelVersion, &'static str)> {
        let levels = (1..).zip(self.levels);
        levels.map(|(level, &((major, minor), purpose))| {
            (level, KernelVersion::new(major, minor), purpose)
        })
    }
}

impl Feature {
    /// The feature that a report calls `name`.
    pub(crate) fn named(name: &str) -> Option<Feature> {
        let fact = FACTS.iter().find(|fact| fact.name == name)?;
        Some(fact.feature)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Feature::Root => "root",
            Feature::X86_64 => "x86_64",
            Feature::Aarch64 => "aarch64",
            other => {
                let fact = FACTS.iter().find(|fact| fact.feature == *other);
                fact.map_or("?", |fact| fact.name)
            }
        })
    }
}

/// A feature, at least at a level.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Need {
    pub(crate) feature: Feature,
    pub(crate) level: u32,
}

impl From<Feature> for Need {
    fn from(feature: Feature) -> Need {
        Need { feature, level: 1 }
    }
}

impl fmt::Display for Need {
    /// `notify`, `landlock >= 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            1 => self.feature.fmt(f),
            level => write!(f, "{} >= {level}", self.feature),
        }
    }
}

/// The level of each feature; what is not named is at 0.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Features(BTreeMap<Feature, u32>);

impl Features {
    /// What `kernel` brings, whatever its configuration, architecture and user.
    pub(crate) fn of_release(kernel: KernelVersion) -> Features {
        let mut features = Features::default();
        for fact in FACTS {
            features.set(fact.feature, fact.level(kernel));
        }
        features
    }

    pub(crate) fn set(&mut self, feature: Feature, level: u32) {
        self.0.insert(feature, level);
    }

    /// The features are not there.
    pub(crate) fn take(&mut self, features: &[Feature]) {
        features.iter().for_each(|f| self.set(*f, 0));
    }

    pub(crate) fn level(&self, feature: Feature) -> u32 {
        self.0.get(&feature).copied().unwrap_or(0)
    }

    /// The first need that is not met.
    pub(crate) fn lacks<'a>(&self, needs: &'a [Need]) -> Option<&'a Need> {
        let met = |need: &&Need| self.level(need.feature) >= need.level;
        needs.iter().find(|need| !met(need))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_comes_with_its_release() {
        let at = |a, b| Features::of_release(KernelVersion::new(a, b)).level(Feature::Landlock);
        assert_eq!([at(5, 12), at(5, 13), at(6, 12), at(6, 18)], [0, 1, 6, 7]);
    }

    #[test]
    fn a_need_above_the_level_is_named() {
        let features = Features::of_release(KernelVersion::new(6, 1));
        let needs = [
            Feature::Notify.into(),
            Need {
                feature: Feature::Landlock,
                level: 5,
            },
        ];
        let lacks = features.lacks(&needs).map(Need::to_string);
        assert_eq!(lacks.as_deref(), Some("landlock >= 5"));
        assert_eq!(features.lacks(&needs[..1]), None);
    }

    #[test]
    fn releases_of_a_feature_ascend_and_names_are_its_own() {
        for (at, fact) in FACTS.iter().enumerate() {
            let releases: Vec<_> = fact.levels().map(|(_, release, _)| release).collect();
            assert!(
                releases.is_sorted() && !releases.is_empty(),
                "{}",
                fact.name
            );
            assert_eq!(Feature::named(fact.name), Some(fact.feature));
            assert!(FACTS[..at].iter().all(|f| f.feature != fact.feature));
        }
    }
}
