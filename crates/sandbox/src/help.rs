//! What would let this machine give a layer: looked for where administrators and containers forbid it.
//!
//! Each cause names the exact change: a sysctl, a word on the kernel's command line, an option of a container, a
//! profile of a security module.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::cgroup;
use crate::layer::LayerName;

/// Where the answer for containers stands.
const CONTAINERS: &str = "docs/containers.md";

/// A clause for each thing that would help `layer`, which failed with `errno`, begun by a semicolon; empty when
/// nothing is known.
pub(crate) fn with(layer: LayerName, errno: i32, root: bool) -> String {
    clauses(match layer {
        LayerName::Namespaces | LayerName::Network => namespaces(errno, root),
        LayerName::Filesystem => mounts(errno),
        LayerName::Landlock => landlock(errno),
        LayerName::Ids | LayerName::Limits => Vec::new(),
    })
}

/// The same for a limit that needs the controller `name` of a control group.
pub(crate) fn with_group(name: &str, root: bool) -> String {
    clauses(groups(name, root))
}

/// The same for an ordinary user without ids that are his to give.
pub(crate) fn own_ids() -> String {
    clauses(vec![
        "root can give him some: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, ids that nobody else has, and the package uidmap".to_owned(),
    ])
}

/// The same where newuidmap(1) or newgidmap(1) did not map them.
pub(crate) fn with_mapping() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bound = status
        .lines()
        .any(|line| line.starts_with("NoNewPrivs:") && line.ends_with('1'));
    clauses(match bound {
        true => vec![
            "nothing that this process starts gains privileges (no_new_privs), as in a sandbox or a container: start it outside of that".to_owned(),
        ],
        false => Vec::new(),
    })
}

/// The same for a program that cannot be traced.
pub(crate) fn with_tracing(errno: i32, root: bool) -> String {
    let mut causes = Vec::new();
    let scope = number("/proc/sys/kernel/yama/ptrace_scope");
    match scope {
        Some(3) => causes.push(
            "Yama forbids all tracing until the next boot: boot without kernel.yama.ptrace_scope=3"
                .to_owned(),
        ),
        Some(2) if !root => causes.push(
            "Yama lets only root trace: set the sysctl kernel.yama.ptrace_scope to 1".to_owned(),
        ),
        _ => {}
    }
    if [libc::EPERM, libc::ENOSYS].contains(&errno) && is_filtered() {
        causes.push(format!(
            "a seccomp filter holds for this process, as in a container: it has to allow ptrace ({CONTAINERS})"
        ));
    }
    clauses(causes)
}

fn clauses(causes: Vec<String>) -> String {
    causes.iter().map(|cause| format!("; {cause}")).collect()
}

fn namespaces(errno: i32, root: bool) -> Vec<String> {
    let mut causes = Vec::new();
    if errno == libc::EINVAL {
        causes.push("the kernel was built without one of them (CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_NET_NS, CONFIG_CGROUPS)".to_owned());
    }
    let full = ["user", "pid", "mnt", "ipc", "uts", "cgroup", "net"]
        .into_iter()
        .find(|kind| number(&format!("/proc/sys/user/max_{kind}_namespaces")) == Some(0));
    if let Some(kind) = full {
        causes.push(format!(
            "the sysctl user.max_{kind}_namespaces is 0: raise it, as to 15000"
        ));
    }
    if !root {
        if number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
            causes.push("set the sysctl kernel.unprivileged_userns_clone to 1".to_owned());
        }
        if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
            causes.push("AppArmor restricts user namespaces: give the command a profile with `userns,`, or set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0".to_owned());
        }
    }
    if errno == libc::EROFS {
        causes.push("/proc/sys is read-only, as in containers, so that nothing in it can be bounded: docker run --security-opt systempaths=unconfined, Kubernetes: procMount: Unmasked with hostUsers: false".to_owned());
    }
    if errno == libc::ENOSPC && full.is_none() {
        causes.push("there are too many namespaces, or they are nested too deep".to_owned());
    }
    if errno == libc::EPERM && is_filtered() {
        causes.push(format!("a seccomp filter holds for this process, as in a container: it has to allow clone with namespaces (docker run --security-opt seccomp=portcullis-container.json, Kubernetes: seccompProfile of type Localhost, {CONTAINERS})"));
    }
    if errno == libc::EPERM && is_chrooted() {
        causes.push(
            "this process is in a chroot, where the kernel makes no user namespaces".to_owned(),
        );
    }
    causes
}

fn mounts(errno: i32) -> Vec<String> {
    let mut causes = Vec::new();
    if errno == libc::ENOSYS {
        causes.push(match is_filtered() {
            true => format!("it needs Linux 5.12 (mount_setattr), and a container's filter that does not answer it ENOSYS ({CONTAINERS})"),
            false => "it needs Linux 5.12 (mount_setattr)".to_owned(),
        });
    }
    if ![libc::EPERM, libc::EACCES].contains(&errno) {
        return causes;
    }
    if is_filtered() {
        causes.push(format!("a seccomp filter holds for this process, as in a container: it has to allow the mount family (docker run --security-opt seccomp=portcullis-container.json, {CONTAINERS})"));
    }
    let covered = covered();
    if !covered.is_empty() {
        let shown = covered
            .iter()
            .take(3)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        causes.push(format!("parts of /proc are covered ({shown}), so that the kernel gives nobody a new one: docker run --security-opt systempaths=unconfined, Kubernetes: procMount: Unmasked with hostUsers: false"));
    }
    if let Some(profile) = apparmor() {
        causes.push(format!("the AppArmor profile {profile:?} confines this process and may forbid mounts: docker run --security-opt apparmor=unconfined, or a profile with `mount, umount, pivot_root,`"));
    }
    causes
}

fn landlock(errno: i32) -> Vec<String> {
    let mut causes = Vec::new();
    match errno {
        libc::ENOSYS => {
            causes.push("it needs Linux 5.13, built with CONFIG_SECURITY_LANDLOCK".to_owned())
        }
        libc::EOPNOTSUPP => {
            let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
            let modules = match modules.trim() {
                "" => "…",
                known => known,
            };
            causes.push(format!(
                "the kernel has it and it is not switched on: boot with lsm=landlock,{modules}"
            ));
        }
        _ => {}
    }
    if [libc::EPERM, libc::ENOSYS].contains(&errno) && is_filtered() {
        causes.push(format!("a seccomp filter holds for this process, as in a container: it has to allow landlock_create_ruleset, landlock_add_rule and landlock_restrict_self ({CONTAINERS})"));
    }
    causes
}

fn groups(name: &str, root: bool) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let group = |kind: &str| {
        let kind = format!(" - {kind} ");
        mounts.lines().find(|line| line.contains(&kind))
    };
    let (first, second) = (group("cgroup"), group("cgroup2"));
    let Some(mount) = second.or(first) else {
        return vec![
            "no control groups are mounted: mount -t cgroup2 none /sys/fs/cgroup".to_owned(),
        ];
    };
    let mut fields = mount.split(' ').skip(4);
    let (at, options) = (
        fields.next().unwrap_or_default(),
        fields.next().unwrap_or_default(),
    );
    if options.split(',').any(|option| option == "ro") {
        return vec![format!(
            "{at} is read-only, as in containers: bound the container itself (docker run --memory, --pids-limit, Kubernetes: resources.limits), or give it a tree that it may write (docker run --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw)"
        )];
    }
    if let Some(group) = cgroup::crowded(name).filter(|_| name != CPU) {
        return vec![format!(
            "the control group {group:?} is this user's, but other processes are in it, so that it cannot be divided: start this one in a group of its own, as by systemd-run --user --scope -p Delegate=yes portcullis …"
        )];
    }
    let controllers = fs::read_to_string(Path::new(at).join("cgroup.controllers"));
    let offered = controllers.unwrap_or_default();
    vec![of_tree(name, second.map(|_| (at, offered.as_str())), root)]
}

/// Version 2 counts processor time in every group, whatever is switched on: where it is not kept, no group can be made.
const CPU: &str = "cpu";

/// The same where groups are mounted that can be written: of version 2 where, and which controllers there are.
fn of_tree(name: &str, unified: Option<(&str, &str)>, root: bool) -> String {
    match unified.filter(|_| name != CPU) {
        Some((at, offered)) if !offered.split_whitespace().any(|known| known == name) => format!(
            "the controller {name} is not in {at}/cgroup.controllers: boot without cgroup_disable={name}, and with systemd.unified_cgroup_hierarchy=1 where version 1 has it"
        ),
        Some((at, _)) if root => {
            format!("let children have it: echo +{name} > {at}/cgroup.subtree_control")
        }
        _ => {
            let user = if root { "" } else { "--user " };
            format!(
                "a delegated cgroup would do: systemd-run {user}--scope -p Delegate=yes portcullis …"
            )
        }
    }
}

/// A clause about what would help where the owners of files at `path` cannot be the program's.
pub(crate) fn owners(path: &Path, errno: i32) -> String {
    let cause = match errno {
        libc::ENOSYS => "it needs Linux 5.12 (mount_setattr)".to_owned(),
        libc::EPERM => {
            "root here may not do that: it needs CAP_SYS_ADMIN outside of any container".to_owned()
        }
        _ => format!(
            "the file system there, or one mounted below, cannot map ids ({}): ext4, xfs, btrfs, from Linux 6.3 on tmpfs, and others can, overlayfs and most network file systems cannot",
            kind(path).unwrap_or_else(|| "unknown".to_owned())
        ),
    };
    format!(
        "; {cause}; as an ordinary user it is not needed, and --hide {path:?} goes without what is there"
    )
}

/// The kind of the file system that `path` lies on.
fn kind(path: &Path) -> Option<String> {
    let device = std::fs::metadata(path).ok()?.dev();
    let device = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut lines = mounts.lines();
    let line = lines.find(|line| line.split(' ').nth(2) == Some(&device))?;
    let (_, after) = line.split_once(" - ")?;
    after.split(' ').next().map(str::to_owned)
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether a filter holds for this process already.
fn is_filtered() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("Seccomp:") && line.ends_with('2'))
}

/// What is mounted over parts of `/proc` (`mount_too_revealing` of the kernel's `fs/namespace.c`); `binfmt_misc` lies
/// on an empty directory, which reveals nothing.
fn covered() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let below = places.filter(|at| at.starts_with("/proc/") && !at.ends_with("/binfmt_misc"));
    below.map(str::to_owned).collect()
}

/// The profile of AppArmor that confines this process.
fn apparmor() -> Option<String> {
    let told = fs::read_to_string("/proc/self/attr/apparmor/current").ok()?;
    let profile = told.trim_end_matches(['\0', '\n']);
    (!profile.is_empty() && profile != "unconfined").then(|| profile.to_owned())
}

/// Whether the root of this process is not that of its mount namespace: then nothing is mounted at it.
fn is_chrooted() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    !mounts.is_empty()
        && !mounts
            .lines()
            .any(|line| line.split(' ').nth(4) == Some("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_controller_is_advised_where_none_is_needed() {
        let advice = |name, offered, root| of_tree(name, Some(("/g", offered)), root);
        for (root, command) in [
            (false, "systemd-run --user --scope"),
            (true, "systemd-run --scope"),
        ] {
            for offered in ["", "cpu memory"] {
                let cpu = advice("cpu", offered, root);
                assert!(cpu.contains(command), "{cpu}");
            }
        }
        assert!(advice("memory", "cpu", true).contains("cgroup_disable=memory"));
        assert!(advice("memory", "memory", true).contains("echo +memory > /g/"));
        assert!(advice("memory", "memory", false).contains("systemd-run --user"));
    }
}
