//! What would let this machine give a layer: looked for where administrators and containers forbid it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::layer::LayerName;

/// A clause about what would help `layer`, which failed with `errno`; empty when nothing is known.
pub(crate) fn with(layer: LayerName, errno: i32, root: bool) -> String {
    let causes = match layer {
        LayerName::Namespaces | LayerName::Network => namespaces(errno, root),
        LayerName::Filesystem => mounts(errno),
        LayerName::Ids | LayerName::Landlock | LayerName::Limits => Vec::new(),
    };
    causes.iter().map(|cause| format!("; {cause}")).collect()
}

fn namespaces(errno: i32, root: bool) -> Vec<String> {
    let mut causes = Vec::new();
    if errno == libc::EINVAL {
        causes.push("the kernel was built without one of them (CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_NET_NS, CONFIG_CGROUPS)".to_owned());
    }
    let full = ["user", "pid", "mnt", "ipc", "uts", "cgroup", "net"]
        .map(|kind| format!("/proc/sys/user/max_{kind}_namespaces"))
        .into_iter()
        .find(|path| number(path) == Some(0));
    if let Some(path) = full {
        causes.push(format!("{path} is 0: raise it"));
    }
    if !root {
        if number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
            causes.push("set the sysctl kernel.unprivileged_userns_clone to 1".to_owned());
        }
        if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
            causes.push("AppArmor restricts user namespaces: give the command a profile with `userns,`, or set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0".to_owned());
        }
    }
    if errno == libc::ENOSPC {
        causes.push("there are too many namespaces, or they are nested too deep".to_owned());
    }
    if errno == libc::EPERM && is_filtered() {
        causes.push("a seccomp filter holds for this process, as in a container: it has to allow clone with namespaces (--security-opt seccomp=unconfined, or a profile of its own)".to_owned());
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
        causes.push("it needs Linux 5.12 (mount_setattr)".to_owned());
    }
    if [libc::EPERM, libc::EACCES].contains(&errno) {
        causes.push("in a container, parts of /proc are covered and mounts can be forbidden: --security-opt systempaths=unconfined, and a seccomp and AppArmor profile that permits mounts".to_owned());
    }
    causes
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

/// Whether the root of this process is not that of its mount namespace: then nothing is mounted at it.
fn is_chrooted() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    !mounts.is_empty()
        && !mounts
            .lines()
            .any(|line| line.split(' ').nth(4) == Some("/"))
}
