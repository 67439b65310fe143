//! A cgroup of the run's own: bounds and counts of all its processes together, out of their reach.
//!
//! Each controller is taken where this machine has it: in the one tree of version 2, or in its own of version
//! 1 (cgroups(7)). The launcher makes the group, the init begins or moves there before the program exists, and the
//! launcher removes it in the end.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Access, AtFlags, CWD, accessat};

/// What is asked of a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Controller {
    Cpu,
    Memory,
    Processes,
}

/// Where a controller's groups can be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) controller: Controller,
    /// The directory in which a group is made.
    parent: PathBuf,
    pub(crate) unified: bool,
}

impl Controller {
    /// Its name in version 1. Version 2 counts processor time without a controller.
    const fn legacy(self) -> &'static str {
        match self {
            Controller::Cpu => "cpuacct",
            Controller::Memory => "memory",
            Controller::Processes => "pids",
        }
    }

    /// What version 2 must have switched on for children.
    const fn unified(self) -> Option<&'static str> {
        match self {
            Controller::Cpu => None,
            Controller::Memory => Some("memory"),
            Controller::Processes => Some("pids"),
        }
    }
}

impl Place {
    /// Where this process can make groups of `controller`; `None` when nowhere.
    pub(crate) fn find(controller: Controller) -> Option<Place> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let unified = unified(&mounts, &own, controller);
        unified.or_else(|| legacy(&mounts, &own, controller))
    }
}

/// Mount points of a kind of file system; `option` must be among its own options.
fn mounted<'a>(
    mounts: &'a str,
    kind: &'a str,
    option: Option<&'a str>,
) -> impl Iterator<Item = (&'a Path, &'a str)> {
    mounts.lines().filter_map(move |line| {
        let (front, back) = line.split_once(" - ")?;
        let mut back = back.split(' ');
        let options = back.clone().nth(2)?;
        let fits = back.next() == Some(kind)
            && option.is_none_or(|o| options.split(',').any(|have| have == o));
        let mut fields = front.split(' ');
        let root = fields.nth(3)?;
        fits.then_some((Path::new(fields.next()?), root))
    })
}

/// The directory of the group `path` in a hierarchy that is mounted at `at` from its `root`.
fn directory(at: &Path, root: &str, path: &str) -> PathBuf {
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    at.join(below.strip_prefix("/").unwrap_or(below))
}

fn unified(mounts: &str, own: &str, controller: Controller) -> Option<Place> {
    let (at, root) = mounted(mounts, "cgroup2", None).next()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    // A group that has processes cannot have controllers for children, but for the root (cgroups(7), "no
    // internal processes"): an ancestor may.
    let own = directory(at, root, path);
    let mut parents = own.ancestors().take_while(|d| d.starts_with(at));
    let parent = parents.find(|parent| {
        let enabled = fs::read_to_string(parent.join("cgroup.subtree_control"));
        let enabled = enabled.unwrap_or_default();
        let has = |name| enabled.split_whitespace().any(|word| word == name);
        controller.unified().is_none_or(has) && is_writable(parent)
    })?;
    Some(Place {
        controller,
        parent: parent.to_owned(),
        unified: true,
    })
}

fn legacy(mounts: &str, own: &str, controller: Controller) -> Option<Place> {
    let name = controller.legacy();
    let (at, root) = mounted(mounts, "cgroup", Some(name)).next()?;
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let names = fields.next()?;
        let path = fields.next()?;
        names.split(',').any(|n| n == name).then_some(path)
    })?;
    let parent = directory(at, root, path);
    is_writable(&parent).then_some(Place {
        controller,
        parent,
        unified: false,
    })
}

fn is_writable(directory: &Path) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    accessat(CWD, directory, access, AtFlags::EACCESS).is_ok()
        // A mount that is read-only, as in containers, and a member file that belongs to somebody else.
        && accessat(CWD, directory.join("cgroup.procs"), Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// The groups of one run; dropped, they are removed.
#[derive(Debug)]
pub struct Group {
    places: Vec<(Place, PathBuf)>,
}

/// How a process gets into a group.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    /// It begins there.
    pub(crate) begin: Option<OwnedFd>,
    /// It writes `0` to each.
    pub(crate) join: Vec<OwnedFd>,
}

/// Tells groups of one process apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// What begins the names of groups; the number of the process that made it follows.
const NAME: &str = "portcullis-";

impl Group {
    /// Makes a group at each of `places`.
    pub(crate) fn create(places: &[Place]) -> io::Result<Group> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{NAME}{}-{number}", std::process::id());
        let mut group = Group { places: Vec::new() };
        for place in places {
            sweep(&place.parent);
            let directory = place.parent.join(&name);
            match fs::create_dir(&directory) {
                // Two controllers in one tree.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && group.has(&directory) => {}
                other => other?,
            }
            group.places.push((place.clone(), directory));
        }
        Ok(group)
    }

    fn has(&self, directory: &Path) -> bool {
        self.places.iter().any(|(_, d)| d == directory)
    }

    fn directory(&self, controller: Controller) -> Option<(&Path, bool)> {
        let mut places = self.places.iter();
        let (place, directory) = places.find(|(place, _)| place.controller == controller)?;
        Some((directory, place.unified))
    }

    /// Bounds `controller`: bytes, or tasks.
    pub(crate) fn bound(&self, controller: Controller, most: u64) -> io::Result<()> {
        let Some((directory, unified)) = self.directory(controller) else {
            return Ok(());
        };
        let write = |name: &str, text: &str| fs::write(directory.join(name), text);
        let most = most.to_string();
        match (controller, unified) {
            (Controller::Cpu, _) => Ok(()),
            (Controller::Processes, _) => write("pids.max", &most),
            (Controller::Memory, true) => {
                write("memory.max", &most)?;
                // One that is over ends as a whole. Machines without swap have no file for it.
                write("memory.oom.group", "1")?;
                if directory.join("memory.swap.max").exists() {
                    write("memory.swap.max", "0")?;
                }
                Ok(())
            }
            (Controller::Memory, false) => {
                write("memory.limit_in_bytes", &most)?;
                if directory.join("memory.memsw.limit_in_bytes").exists() {
                    write("memory.memsw.limit_in_bytes", &most)?;
                }
                Ok(())
            }
        }
    }

    /// The ways into it that cost no grace period of RCU: the directory in which a process can begin (version 2), and
    /// files by which a single thread moves itself (`tasks` of version 1: `cgroup_procs_write_start` takes no lock
    /// then).
    pub(crate) fn doors(&self) -> io::Result<Doors> {
        let mut doors = Doors::default();
        for (place, directory) in &self.places {
            if place.unified {
                // One tree: it is the same group for all controllers.
                doors.begin = Some(File::open(directory)?.into());
            } else {
                let tasks = File::options().write(true).open(directory.join("tasks"))?;
                doors.join.push(tasks.into());
            }
        }
        Ok(doors)
    }

    /// Moves the process `pid` there, where it could not begin there.
    pub(crate) fn enter_late(&self, pid: i32) -> io::Result<()> {
        for (_, directory) in self.places.iter().filter(|(place, _)| place.unified) {
            fs::write(directory.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// Processor time of all that was ever in it, in nanoseconds.
    pub fn cpu_ns(&self) -> Option<u64> {
        let (directory, unified) = self.directory(Controller::Cpu)?;
        match unified {
            true => field(&directory.join("cpu.stat"), "usage_usec")?.checked_mul(1000),
            false => number(&directory.join("cpuacct.usage")),
        }
    }

    /// The most memory that it held at one time, in bytes.
    pub fn peak_memory(&self) -> Option<u64> {
        let (directory, unified) = self.directory(Controller::Memory)?;
        number(&directory.join(match unified {
            true => "memory.peak",
            false => "memory.max_usage_in_bytes",
        }))
    }

    /// How many tasks the kernel did not make because there were as many as it may have.
    pub(crate) fn refused_tasks(&self) -> u64 {
        let Some((directory, _)) = self.directory(Controller::Processes) else {
            return 0;
        };
        field(&directory.join("pids.events"), "max").unwrap_or(0)
    }

    /// How many of its processes the kernel ended for want of memory.
    pub fn ended_for_memory(&self) -> u64 {
        let Some((directory, unified)) = self.directory(Controller::Memory) else {
            return 0;
        };
        let file = directory.join(match unified {
            true => "memory.events",
            false => "memory.oom_control",
        });
        field(&file, "oom_kill").unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for (_, directory) in &self.places {
            // What was killed leaves its group when it is reaped, and all is by now.
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Removes groups of launchers that were killed. The kernel removes none that has a process.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(NAME));
        let maker = maker.and_then(|rest| rest.split('-').next());
        let gone = |pid: &str| {
            pid.bytes().all(|b| b.is_ascii_digit()) && !Path::new("/proc").join(pid).exists()
        };
        if maker.is_some_and(gone) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(n, _)| *n == name)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
35 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 /outer /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";

    #[test]
    fn hierarchies_are_found_by_their_options() {
        let found: Vec<_> = mounted(MOUNTS, "cgroup", Some("pids")).collect();
        assert_eq!(found, [(Path::new("/sys/fs/cgroup/pids"), "/")]);
        let found: Vec<_> = mounted(MOUNTS, "cgroup2", None).collect();
        assert_eq!(found, [(Path::new("/sys/fs/cgroup/unified"), "/outer")]);
        assert_eq!(mounted(MOUNTS, "cgroup", Some("cpuset")).count(), 0);
    }

    #[test]
    fn a_group_is_below_where_its_hierarchy_is_mounted() {
        let at = Path::new("/c");
        assert_eq!(directory(at, "/", "/a/b"), Path::new("/c/a/b"));
        assert_eq!(directory(at, "/a", "/a/b"), Path::new("/c/b"));
        assert_eq!(directory(at, "/", "/"), Path::new("/c"));
    }
}
