//! Frozen groups of version 1 (`Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst`): what stands still there takes
//! no signal, SIGKILL neither, until somebody thaws the group or moves it elsewhere.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use crate::process;

/// Where groups of the controller are.
struct Tree {
    at: PathBuf,
    root: String,
}

/// Kills the process of the handle `first`, with which all below it end, and whatever of that stands still as
/// [`end_frozen`] does.
pub fn kill(first: BorrowedFd<'_>) {
    // Fails only when it has ended.
    let _ = process::signal_process(first, libc::SIGKILL);
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", first.as_raw_fd()));
    let number = about.ok().and_then(|about| {
        let mut lines = about.lines();
        let pid = lines.find_map(|line| line.strip_prefix("Pid:"))?;
        pid.trim().parse().ok()
    });
    // -1 when it was reaped.
    if let Some(pid) = number.filter(|pid| *pid > 0) {
        end_frozen(pid);
    }
}

/// Kills `first` and whatever is below it, as far as that stands still in a frozen group, and moves it to the group of this
/// process, so that it ends. What cannot be moved, because the groups are somebody else's, ends when it is thawed.
pub fn end_frozen(first: i32) {
    let Some((tree, own)) = Tree::find() else {
        return;
    };
    let mut pending = vec![first];
    while let Some(pid) = pending.pop() {
        pending.extend(children(pid));
        // By a handle: a number is its own only for as long as it stands still.
        let handle = process::handle(pid);
        let Ok(handle) = handle else {
            continue;
        };
        if !tree.is_frozen(pid) {
            continue;
        }
        let _ = process::signal_process(handle.as_fd(), libc::SIGKILL);
        let _ = fs::write(own.join("cgroup.procs"), pid.to_string());
    }
}

impl Tree {
    /// The tree, and this process's directory there; `None` where there is none.
    fn find() -> Option<(Tree, PathBuf)> {
        let own = path("self")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let tree = mounts.lines().find_map(|line| {
            let (front, back) = line.split_once(" - ")?;
            let mut back = back.split(' ');
            let is_freezer = back.next() == Some("cgroup")
                && back.nth(1)?.split(',').any(|option| option == "freezer");
            let mut fields = front.split(' ').skip(3);
            let (root, at) = (fields.next()?, fields.next()?);
            is_freezer.then(|| Tree {
                at: at.into(),
                root: root.to_owned(),
            })
        })?;
        let directory = tree.directory(&own);
        Some((tree, directory))
    }

    fn directory(&self, path: &str) -> PathBuf {
        let below = Path::new(path).strip_prefix(&self.root);
        let below = below.unwrap_or(Path::new(""));
        self.at.join(below.strip_prefix("/").unwrap_or(below))
    }

    fn is_frozen(&self, pid: i32) -> bool {
        let state = path(&pid.to_string())
            .and_then(|path| fs::read_to_string(self.directory(&path).join("freezer.state")).ok());
        state.is_some_and(|state| state.trim() != "THAWED")
    }
}

/// The path of a process's group of the controller.
fn path(process: &str) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let is_freezer = names.split(',').any(|name| name == "freezer");
        is_freezer.then(|| path.to_owned())
    })
}

/// The processes that the threads of `pid` are parents of.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let numbers = |list: String| {
        let numbers = list.split_whitespace().map(str::parse);
        numbers.filter_map(Result::ok).collect::<Vec<i32>>()
    };
    lists.flat_map(numbers).collect()
}
