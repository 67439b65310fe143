//! The machines of the matrix, what is changed about them, and who is at work there; and what each of these
//! environments is said to have.

use std::fmt;
use std::fs;

use anyhow::{Context as _, Result};
use portcullis_abi::{Arch, KernelVersion};

use super::feature::{Feature, Features};

/// A kernel of the matrix: a series of Debian's kernels, for one architecture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kernel {
    pub(crate) series: Series,
    pub(crate) arch: Arch,
}

/// Which of Debian's kernels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Series {
    /// The newest of a release's kernels.
    Of(u16, u16),
    /// The newest of all.
    Newest,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Series::Of(major, minor) => write!(f, "{major}.{minor}"),
            Series::Newest => f.write_str("newest"),
        }
    }
}

/// What is changed about a machine, by the kernel's command line or by what is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Variant {
    /// All that the kernel has, and control groups of version 2 alone.
    Plain,
    /// Landlock is not among the security modules.
    NoLandlock,
    /// Control groups of version 1 alone.
    CgroupV1,
    /// Nothing is mounted for control groups.
    NoCgroups,
    /// Nobody may make a user namespace.
    NoUserns,
}

impl Variant {
    /// Words for the kernel's command line (`Documentation/admin-guide/kernel-parameters.txt`).
    pub(crate) fn parameters(self) -> &'static str {
        match self {
            // Debian's own list without Landlock.
            Variant::NoLandlock => "lsm=lockdown,yama,integrity,apparmor",
            // A sysctl on the command line is set before init (since 5.8).
            Variant::NoUserns => "sysctl.user.max_user_namespaces=0",
            _ => "",
        }
    }

    /// What the first process of the machine mounts.
    pub(crate) fn cgroups(self) -> &'static str {
        match self {
            Variant::CgroupV1 => "v1",
            Variant::NoCgroups => "none",
            _ => "v2",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Variant::Plain => "cgroup v2",
            Variant::NoLandlock => "no Landlock",
            Variant::CgroupV1 => "cgroup v1",
            Variant::NoCgroups => "no cgroups",
            Variant::NoUserns => "no userns",
        })
    }
}

/// Who is at work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum User {
    Root,
    Ordinary,
}

impl User {
    /// Its number: in a machine nobody else is there, here it is `nobody`'s.
    pub(crate) fn id(self) -> u32 {
        match self {
            User::Root => 0,
            User::Ordinary => 65534,
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            User::Root => "root",
            User::Ordinary => "user",
        })
    }
}

/// What only root has: control groups are root's, and so are files behind mappings, audit records and programs in the kernel.
const ROOTS: &[Feature] = &[
    Feature::Audit,
    Feature::EbpfRing,
    Feature::MapFiles,
    Feature::IdmappedTmpfs,
    Feature::Cgroup1Pids,
    Feature::Cgroup1Memory,
    Feature::Cgroup1Freezer,
    Feature::Cgroup2,
    Feature::Cgroup2Pids,
    Feature::Cgroup2Memory,
    Feature::CloneIntoCgroup,
    Feature::CgroupKill,
];
const V1: &[Feature] = &[
    Feature::Cgroup1Pids,
    Feature::Cgroup1Memory,
    Feature::Cgroup1Freezer,
];
const V2: &[Feature] = &[
    Feature::Cgroup2,
    Feature::Cgroup2Pids,
    Feature::Cgroup2Memory,
    Feature::CloneIntoCgroup,
    Feature::CgroupKill,
];
/// What an ordinary user has in a user namespace only.
const IN_USERNS: &[Feature] = &[Feature::Mounts, Feature::MountApi, Feature::MountSetattr];

/// Since then a kernel may leave out the first version's limit of memory (`CONFIG_MEMCG_V1`), and Debian's do.
const MEMCG_V1_IS_OPTIONAL: KernelVersion = KernelVersion::new(6, 11);

/// What a user of a machine is said to have there.
pub(crate) fn declared(
    release: KernelVersion,
    arch: Arch,
    variant: Variant,
    user: User,
) -> Features {
    let mut features = of_user(release, arch, user);
    if release >= MEMCG_V1_IS_OPTIONAL {
        features.take(&[Feature::Cgroup1Memory]);
    }
    match variant {
        Variant::CgroupV1 => features.take(V2),
        Variant::NoCgroups => features.take(&[V1, V2].concat()),
        _ => features.take(V1),
    }
    match variant {
        Variant::NoLandlock => features.take(&[Feature::Landlock]),
        Variant::NoUserns => without_userns(&mut features, user),
        _ => {}
    }
    features
}

fn of_user(release: KernelVersion, arch: Arch, user: User) -> Features {
    let mut features = Features::of_release(release);
    match arch {
        Arch::X86_64 => features.set(Feature::X86_64, 1),
        _ => {
            features.set(Feature::Aarch64, 1);
            features.take(&[Feature::Ia32]);
        }
    }
    match user {
        User::Root => features.set(Feature::Root, 1),
        User::Ordinary => features.take(ROOTS),
    }
    features
}

fn without_userns(features: &mut Features, user: User) {
    features.take(&[Feature::Userns, Feature::IdmappedTmpfs]);
    if user == User::Ordinary {
        features.take(IN_USERNS);
    }
}

/// The kernel that this program runs on.
pub(crate) struct Host {
    pub(crate) release: String,
    pub(crate) version: KernelVersion,
    pub(crate) arch: Arch,
}

impl Host {
    pub(crate) fn look() -> Result<Host> {
        let name = rustix::system::uname();
        let release = name.release().to_string_lossy().into_owned();
        let machine = name.machine().to_string_lossy().into_owned();
        let version = release.parse().context("the kernel's release")?;
        let arch = Arch::from_name(&machine)
            .filter(|arch| matches!(arch, Arch::X86_64 | Arch::Aarch64))
            .with_context(|| format!("the suites know no {machine}"))?;
        Ok(Host {
            release,
            version,
            arch,
        })
    }

    /// What this machine is said to have: by its release, and by what it says of its configuration.
    pub(crate) fn declared(&self, user: User) -> Features {
        let mut features = of_user(self.version, self.arch, user);
        let modules = fs::read_to_string("/sys/kernel/security/lsm");
        if modules.is_ok_and(|list| !list.split(',').any(|name| name.trim() == "landlock")) {
            features.take(&[Feature::Landlock]);
        }
        let forbids = |file: &str, value: &str| {
            fs::read_to_string(file).is_ok_and(|text| text.trim() == value)
        };
        // The second is Debian's, the third Ubuntu's.
        if forbids("/proc/sys/user/max_user_namespaces", "0")
            || user == User::Ordinary
                && (forbids("/proc/sys/kernel/unprivileged_userns_clone", "0")
                    || forbids(
                        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                        "1",
                    ))
        {
            without_userns(&mut features, user);
        }
        cgroups(&mut features);
        features
    }
}

/// Takes what no mounted hierarchy of control groups offers.
fn cgroups(features: &mut Features) {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounted: Vec<Vec<&str>> = mounts
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    let of = |kind: &str| {
        mounted
            .iter()
            .filter(move |m| m.get(2) == Some(&kind))
            .filter_map(|m| Some((*m.get(1)?, *m.get(3)?)))
            .collect::<Vec<_>>()
    };
    let v1 = of("cgroup");
    let v1 = |name: &str| {
        v1.iter()
            .any(|(_, o)| o.split(',').any(|word| word == name))
    };
    let v2 = of("cgroup2");
    let controllers = v2
        .first()
        .and_then(|(at, _)| fs::read_to_string(format!("{at}/cgroup.controllers")).ok())
        .unwrap_or_default();
    let v2_has = |name: &str| controllers.split_whitespace().any(|word| word == name);
    let offered = [
        (v1("pids"), &[Feature::Cgroup1Pids][..]),
        (v1("memory"), &[Feature::Cgroup1Memory]),
        (v1("freezer"), &[Feature::Cgroup1Freezer]),
        (!v2.is_empty(), V2),
        (v2_has("pids"), &[Feature::Cgroup2Pids]),
        (v2_has("memory"), &[Feature::Cgroup2Memory]),
    ];
    for (offers, these) in offered {
        if !offers {
            features.take(these);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: KernelVersion = KernelVersion::new(6, 12);

    #[test]
    fn a_variant_takes_what_it_names_and_no_more() {
        let plain = declared(NEW, Arch::X86_64, Variant::Plain, User::Root);
        let without = declared(NEW, Arch::X86_64, Variant::NoLandlock, User::Root);
        let mut expected = plain.clone();
        expected.take(&[Feature::Landlock]);
        assert_eq!(without, expected);
        assert_ne!(without, plain);
    }

    #[test]
    fn an_ordinary_user_mounts_in_a_namespace_of_its_own_only() {
        let level = |variant, user| {
            declared(NEW, Arch::Aarch64, variant, user).level(Feature::MountSetattr)
        };
        assert_eq!(level(Variant::Plain, User::Ordinary), 1);
        assert_eq!(level(Variant::NoUserns, User::Ordinary), 0);
        assert_eq!(level(Variant::NoUserns, User::Root), 1);
    }
}
