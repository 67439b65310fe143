//! Control groups that a host finds itself in: those of version 2 that were given to somebody, where limits of workers and
//! of native programs are kept, and one with less memory than there is to be for a job.
//!
//! All need root, who makes them. What is about version 2 needs its controllers, which the machines of
//! `cargo xtask kernels` have and others may have in version 1.

use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use portcullis_host::{CpuOf, Limit, Outcome, PeakOf, Pool, Settings};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{XattrFlags, setxattr};

use crate::exec::Programs;
use crate::puppet::{ENDLESS, Puppets, others, settings};

/// Tells the host below what is expected of it.
const EXPECTED: &str = "PORTCULLIS_TEST_GROUPS";
const KEPT: &str = "limits are kept";
const REFUSED: &str = "limits are refused";
const SHORT: &str = "memory is short";
/// What a host ends with that found what was expected.
const FOUND: i32 = 61;

const ROOT: u32 = 0;
const NOBODY: u32 = 65534;

/// Not a test: a host that begins when it is told, in whatever group it is in then.
#[test]
#[ignore = "started by another test"]
fn as_host() {
    let Ok(expected) = std::env::var(EXPECTED) else {
        return;
    };
    std::io::stdin().read_exact(&mut [0]).unwrap();
    match expected.as_str() {
        KEPT => kept(),
        SHORT => short(),
        _ => refused(),
    }
    portcullis_sys::process::exit_now(FOUND);
}

/// Workers that are started without the break-out test: tests beside these are about that, and here each host would begin
/// with it.
fn unproved() -> Puppets {
    let mut settings = settings(1);
    settings.unproved = true;
    Puppets::with(settings)
}

fn kept() {
    let puppets = unproved();
    let mut memory = puppets.request("memory");
    memory.job.limits.cpu = ENDLESS;
    let done = puppets.done(memory);
    assert_eq!(done.outcome, Outcome::Limit(Limit::Memory), "{done:?}");
    let done = puppets.run("echo");
    assert_eq!(done.outcome, Outcome::Ok);
    // The job's own group was at its limit, so that the worker is the same; and what is told is that group's.
    assert_eq!(puppets.pool.metrics().started, 1);
    assert_eq!(done.cpu_of, Some(CpuOf::Job));
    assert_eq!(done.peak_memory_of, Some(PeakOf::Job));
    let enforced = puppets.pool.enforced().unwrap();
    drop(puppets);
    let programs = Programs::new();
    for (what, limit) in [
        ("memory", Limit::Memory),
        ("files", Limit::Memory),
        ("spin", Limit::Cpu),
        ("helper", Limit::Cpu),
    ] {
        let done = programs.filled(&[what]);
        assert_eq!(done.outcome, Outcome::Limit(limit), "{what}: {done:?}");
    }
    let done = programs.run(&["bomb"]);
    assert_eq!(done.reached, [("processes", 1)], "{done:?}");
    // A pool of workers bounds two things, one of programs three.
    for (enforced, count) in [(enforced, 2), (programs.pool.enforced().unwrap(), 3)] {
        let layers = enforced.layers.iter();
        let groups = layers.filter(|layer| layer.mechanism == "cgroup v2");
        assert_eq!(groups.count(), count, "{enforced:?}");
    }
}

fn refused() {
    for settings in [settings(1), Settings::programs()] {
        let error = Pool::new(settings).map(drop).unwrap_err().to_string();
        let named = "other processes are in it, so that it cannot be divided";
        assert!(error.contains(named), "{error}");
    }
}

/// What the kernel ends a job for is not its limit.
fn short() {
    let puppets = unproved();
    let mut memory = puppets.request("memory");
    memory.job.limits.cpu = ENDLESS;
    let done = puppets.done(memory);
    assert!(matches!(done.outcome, Outcome::Ambiguous(_)), "{done:?}");
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    drop(puppets);
    let programs = Programs::new();
    let mut memory = programs.request(&["memory"]);
    memory.job.limits.memory = 256 << 20;
    memory.job.limits.cpu = ENDLESS;
    let done = programs.done(memory);
    assert!(matches!(done.outcome, Outcome::Ambiguous(_)), "{done:?}");
}

/// A group; removed with the empty ones below it.
struct Group(PathBuf);

impl Group {
    fn new(parent: &Path, name: &str) -> Group {
        let group = Group(parent.join(name));
        fs::create_dir(&group.0).unwrap();
        group
    }

    fn below_the_root(name: &str) -> Group {
        let root = Path::new("/sys/fs/cgroup");
        enable(root);
        Group::new(root, &format!("test-{name}-{}", std::process::id()))
    }

    /// As `Delegate=` of systemd does it.
    fn give(&self, user: u32) {
        for file in [
            "",
            "cgroup.procs",
            "cgroup.subtree_control",
            "cgroup.threads",
        ] {
            chown(self.0.join(file), Some(user), Some(user)).unwrap();
        }
    }

    /// A host of `user` that waits in it.
    fn host(&self, user: u32, expected: &str) -> Child {
        let mut host = Command::new(std::env::current_exe().unwrap());
        host.args(["--exact", "groups::as_host", "--ignored"])
            .args(["--nocapture", "--test-threads=1"])
            .env(EXPECTED, expected)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if user != ROOT {
            host.uid(user).gid(user);
        }
        let host = host.spawn().unwrap();
        fs::write(self.0.join("cgroup.procs"), host.id().to_string()).unwrap();
        host
    }

    fn run(&self, user: u32, expected: &str) {
        // It is a child of this process, as the one worker of another test is.
        let _company = others();
        found(self.host(user, expected));
    }
}

/// A process that waits until it is killed.
pub(crate) fn stranger() -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "groups::as_host", "--ignored"])
        .env(EXPECTED, REFUSED)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The directory of this process's group in version 1 of the controller of memory, when that has it.
fn memory_of_version_1() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.split_once(":memory:/"))?.1;
    let directory = Path::new("/sys/fs/cgroup/memory").join(own);
    directory
        .join("memory.failcnt")
        .exists()
        .then_some(directory)
}

#[test]
fn memory_that_others_lack_is_no_limit_of_the_job() {
    // 96 MiB, of which a job may have 256.
    const MOST: &[u8] = b"100663296";
    let name = format!("test-short-{}", std::process::id());
    let Some(version_1) = memory_of_version_1() else {
        let outer = Group::below_the_root("short");
        fs::write(outer.0.join("memory.max"), MOST).unwrap();
        enable(&outer.0);
        let inner = Group::new(&outer.0, "inner");
        inner.run(ROOT, SHORT);
        return;
    };
    let group = Group::new(&version_1, &name);
    fs::write(group.0.join("memory.limit_in_bytes"), MOST).unwrap();
    // Not every kernel counts swap.
    let _ = fs::write(group.0.join("memory.memsw.limit_in_bytes"), MOST);
    group.run(ROOT, SHORT);
}

impl Drop for Group {
    fn drop(&mut self) {
        for below in fs::read_dir(&self.0).unwrap().map(Result::unwrap) {
            if below.file_type().unwrap().is_dir() {
                let _ = removed(&below.path());
            }
        }
        let removed = removed(&self.0);
        // What a host left behind is a failure of its own.
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

/// Removes a group when the kernel has taken the last dead process out of it, which may be after that was reaped. Version 1
/// does not tell, and waits itself.
pub(crate) fn removed(group: &Path) -> std::io::Result<()> {
    if let Ok(mut events) = fs::File::open(group.join("cgroup.events")) {
        let mut text = String::new();
        // Each change of the file is an event (cgroups(7)).
        while events.read_to_string(&mut text)? > 0 && !text.contains("populated 0") {
            poll(&mut [PollFd::new(&events, PollFlags::PRI)], None)?;
            events.rewind()?;
            text.clear();
        }
    }
    fs::remove_dir(group)
}

/// Children of `group` have controllers.
fn enable(group: &Path) {
    let file = group.join("cgroup.subtree_control");
    fs::write(file, "+memory +pids").expect("this test needs controllers of version 2");
}

/// Lets a host begin.
fn found(mut host: Child) {
    host.stdin.take().unwrap().write_all(b"g").unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = host.wait_with_output().unwrap();
    let said = [stdout, stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(status.code(), Some(FOUND), "{status}: {said}");
}

#[test]
#[ignore = "needs controllers of version 2: cargo xtask kernels"]
fn a_user_has_limits_in_a_group_that_is_his() {
    let group = Group::below_the_root("user");
    group.give(NOBODY);
    group.run(NOBODY, KEPT);
    // Once it is divided nobody can be in it any more, and a host below it takes it as it is.
    let below = Group::new(&group.0, "below");
    below.give(NOBODY);
    below.run(NOBODY, KEPT);
}

#[test]
#[ignore = "needs controllers of version 2: cargo xtask kernels"]
fn a_group_with_others_in_it_is_not_divided() {
    let group = Group::below_the_root("crowded");
    group.give(NOBODY);
    let mut other = group.host(NOBODY, REFUSED);
    group.run(NOBODY, REFUSED);
    other.kill().unwrap();
    other.wait().unwrap();
    group.run(NOBODY, KEPT);
}

#[test]
#[ignore = "needs controllers of version 2: cargo xtask kernels"]
fn root_has_all_limits_in_one_group() {
    // As in a session: what is above has controllers, and the own group has none for children.
    let outer = Group::below_the_root("session");
    enable(&outer.0);
    let inner = Group::new(&outer.0, "inner");
    inner.run(ROOT, KEPT);
    // As in a service of systemd's with `Delegate=`.
    let service = Group::below_the_root("service");
    setxattr(&service.0, "trusted.delegate", b"1", XattrFlags::empty()).unwrap();
    service.run(ROOT, KEPT);
    let control = fs::read_to_string(service.0.join("cgroup.subtree_control")).unwrap();
    assert_eq!(control.trim(), "memory pids");
}
