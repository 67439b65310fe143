//! `cargo xtask containers`: the command inside containers that runc makes as Docker does: the same filter,
//! capabilities, masks and namespaces, and then the changes that docs/containers.md tells.
//!
//! What `doctor` names as the change must be what the next container has changed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::process::Outcome;
use crate::{bench, needs, place, portcullis, process};

/// How long a container may take, analyses included.
const PATIENCE: Duration = Duration::from_secs(300);
/// The profile that is shipped.
const SHIPPED: &str = "profiles/portcullis-container.json";
/// What Docker gives to a container of root (moby, daemon/pkg/oci/caps/defaults.go).
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];
/// What Docker covers, and what it makes read-only (moby, daemon/pkg/oci/defaults.go).
const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];
/// What of the machine a container has.
const SHARED: [&str; 7] = ["/bin", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/opt"];
/// Users in the container: root, and one who owns nothing.
const USERS: [u32; 2] = [0, 65_534];

/// `cargo xtask containers`.
pub(crate) fn run(_: &[String]) -> Result<()> {
    needs::provide()?;
    report(&portcullis::build(place::PROFILE)?)
}

/// Tries the command in every container; needs root.
pub(crate) fn report(command: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("only root can make containers as Docker does");
    }
    let shipped = as_oci(command, &place::root().join(SHIPPED))?;
    let docker = as_oci(command, &bench::docker_profile()?)?;
    println!("\ncontainers");
    for user in USERS {
        let container = Container::new(command, user)?;
        let name = |what: &str| println!("test containers::{what}, user {user} ... ok");
        defaults(&container, &docker)?;
        name("with Docker's defaults, doctor names the filter and run refuses");
        filter_changed(&container, &shipped)?;
        name("with the shipped filter, doctor names what covers /proc");
        all_changed(&container, &shipped)?;
        name("with both changed, every layer holds");
    }
    Ok(())
}

/// Nothing is changed: the filter is what is in the way, and what goes without namespaces works.
fn defaults(container: &Container, filter: &Value) -> Result<()> {
    let told = container.doctor(filter, true, 1)?;
    expect(&told, "seccomp", true, "")?;
    expect(&told, "tracing", true, "")?;
    expect(&told, "landlock", true, "")?;
    expect(&told, "namespaces", false, "portcullis-container.json")?;
    let words = ["portcullis", "run", "--", "/bin/echo", "started"];
    let refused = container.start(filter, true, &words)?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        refused.status.code() == Some(125) && said.contains("namespaces cannot be had"),
        "run: {}: {said}",
        refused.status
    );
    let mut without = vec!["namespaces", "filesystem", "network"];
    if container.user == 0 {
        without.push("ids");
    }
    let mut words = vec!["portcullis", "run"];
    words.extend(without.iter().flat_map(|layer| ["--allow-insecure", layer]));
    words.extend(["--", "/bin/echo", "started"]);
    works(&container.start(filter, true, &words)?)
}

/// Namespaces can be made, but nothing in /proc/sys be bounded, and the kernel gives no new /proc where the old one is
/// covered.
fn filter_changed(container: &Container, filter: &Value) -> Result<()> {
    let told = container.doctor(filter, true, 1)?;
    for layer in ["namespaces", "network", "filesystem"] {
        expect(&told, layer, false, "systempaths=unconfined")?;
    }
    Ok(())
}

fn all_changed(container: &Container, filter: &Value) -> Result<()> {
    let told = container.doctor(filter, false, 0)?;
    for layer in ["namespaces", "network", "filesystem", "landlock"] {
        expect(&told, layer, true, "")?;
    }
    let words = ["portcullis", "run", "--", "/bin/echo", "started"];
    works(&container.start(filter, false, &words)?)
}

fn works(done: &Outcome) -> Result<()> {
    ensure!(
        done.status.code() == Some(0) && done.stdout == b"started\n",
        "run: {}\n    {}",
        done.status,
        done.complaint()
    );
    Ok(())
}

/// Whether the first check of `layer` in what `doctor` told works, and whether it names this change.
fn expect(told: &Value, layer: &str, works: bool, change: &str) -> Result<()> {
    let checks = told["checks"].as_array().context("no checks")?;
    let check = checks.iter().find(|check| check["layer"] == layer);
    let check = check.with_context(|| format!("no check of {layer}"))?;
    ensure!(check["works"] == works, "{layer}: {check}");
    let changes = check["changes"].as_array().context("no changes")?;
    let mut named = changes.iter().filter_map(Value::as_str);
    ensure!(
        works || named.any(|named| named.contains(change)),
        "{layer}: {change} is not named: {check}"
    );
    Ok(())
}

/// A profile of Docker as the runtime takes it.
fn as_oci(command: &Path, profile: &Path) -> Result<Value> {
    let mut convert = Command::new(command);
    convert.args(["policy", "convert", "--from", "docker", "--to", "oci"]);
    convert.args(["--concede-newer", "--concede-foreign"]);
    let done = process::take(convert.arg(profile), b"", PATIENCE)?;
    ensure!(done.status.success(), "{}", done.complaint());
    serde_json::from_slice(&done.stdout).context("Docker's profile")
}

/// A root for containers of one user, with the command in it.
struct Container {
    dir: tempfile::TempDir,
    user: u32,
}

impl Container {
    fn new(command: &Path, user: u32) -> Result<Container> {
        let dir = tempfile::Builder::new()
            .prefix("portcullis-container-")
            .tempdir()?;
        let root = dir.path().join("rootfs");
        for place in SHARED
            .iter()
            .chain(&["/proc", "/sys", "/dev", "/tmp", "/srv"])
        {
            fs::create_dir_all(root.join(place.trim_start_matches('/')))?;
        }
        let srv = root.join("srv");
        fs::copy(command, srv.join("portcullis"))?;
        chown(&srv, Some(user), Some(user))?;
        for place in [dir.path(), &root, &srv] {
            fs::set_permissions(place, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Container { dir, user })
    }

    /// What `doctor` says there; it must end with `code`.
    fn doctor(&self, filter: &Value, masked: bool, code: i32) -> Result<Value> {
        let words = ["portcullis", "doctor", "--format", "json"];
        let done = self.start(filter, masked, &words)?;
        ensure!(
            done.status.code() == Some(code),
            "doctor: {}\n{}\n    {}",
            done.status,
            String::from_utf8_lossy(&done.stdout),
            done.complaint()
        );
        serde_json::from_slice(&done.stdout).context("what doctor told")
    }

    /// Runs `words` in a container of its own.
    fn start(&self, filter: &Value, masked: bool, words: &[&str]) -> Result<Outcome> {
        let bundle = self.dir.path();
        let config = serde_json::to_vec_pretty(&self.config(filter, masked, words))?;
        fs::write(bundle.join("config.json"), config)?;
        let name = format!("portcullis-{}-{}", std::process::id(), self.user);
        let state = bundle.join("state");
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(&state).args(["run", "--bundle"]);
        let done = process::take(runc.arg(bundle).arg(&name), b"", PATIENCE);
        if done.is_err() {
            // What was killed leaves its container behind.
            let mut delete = Command::new("runc");
            delete
                .arg("--root")
                .arg(&state)
                .args(["delete", "--force", &name]);
            process::take(&mut delete, b"", PATIENCE)?;
        }
        done
    }

    fn config(&self, filter: &Value, masked: bool, words: &[&str]) -> Value {
        let capabilities = match self.user {
            0 => CAPABILITIES.to_vec(),
            _ => Vec::new(),
        };
        let shared = SHARED.iter().filter(|place| Path::new(place).exists());
        let mut mounts: Vec<Value> = shared
            .map(|place| {
                let real = fs::canonicalize(place).unwrap_or_else(|_| PathBuf::from(place));
                json!({"destination": place, "type": "bind", "source": real, "options": ["rbind", "ro"]})
            })
            .collect();
        mounts.extend([
            json!({"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]}),
            json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755"]}),
            json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]}),
            json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]}),
            json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}),
            json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid", "noexec", "nodev"]}),
            json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}),
        ]);
        let (hidden, sealed) = match masked {
            true => (MASKED.to_vec(), READ_ONLY.to_vec()),
            false => (Vec::new(), Vec::new()),
        };
        let kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
        let namespaces: Vec<Value> = kinds.iter().map(|kind| json!({"type": kind})).collect();
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": {"uid": self.user, "gid": self.user},
                "args": words,
                "env": ["PATH=/srv:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/srv", "XDG_CACHE_HOME=/srv/cache"],
                "cwd": "/srv",
                "capabilities": {
                    "bounding": CAPABILITIES,
                    "effective": capabilities,
                    "permitted": capabilities,
                },
                "noNewPrivileges": false,
            },
            "root": {"path": "rootfs"},
            "mounts": mounts,
            "linux": {
                "namespaces": namespaces,
                "maskedPaths": hidden,
                "readonlyPaths": sealed,
                "seccomp": filter,
            },
        })
    }
}
