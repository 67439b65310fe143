//! The group of version 2 in which what a program forks is by itself, one process at a time.
//!
//! The group of the run is divided for it: the program and its init are in one group below, and what it forks begins in
//! another one (`CLONE_INTO_CGROUP` of clone3(2)), whose directory the program has as a descriptor. To fork into a group asks
//! for the right to write the member files of that one and of the nearest one above both (`cgroup_css_set_fork` and
//! `cgroup_procs_write_permission` of the kernel's cgroup.c), and for nothing else. So both are opened to everybody: who is
//! not in the run's group already has a nearest one further above, which stays closed.

use std::cell::Cell;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::meter::{self, Meter};
use super::{Controller, Group, Place, number};

/// Below the run's group: the init and the program, and what that forks.
const PROGRAM: &str = "program";
const FORK: &str = "fork";

/// A group of version 2 that is divided.
#[derive(Debug)]
pub(super) struct Divided {
    pub(super) above: PathBuf,
    /// What of it is counted and bounded below as well.
    controllers: Vec<&'static str>,
}

impl Divided {
    /// Divides the group of version 2 among `places`. None where there is none, or where it cannot be divided, which is
    /// then as it was.
    pub(super) fn new(places: &[(Place, PathBuf)]) -> io::Result<Option<Divided>> {
        let unified = || places.iter().filter(|(place, _)| place.unified);
        let Some((_, above)) = unified().next() else {
            return Ok(None);
        };
        let controllers = unified().filter_map(|(place, _)| place.controller.unified());
        let divided = Divided {
            above: above.clone(),
            controllers: controllers.collect(),
        };
        match divided.make() {
            Ok(()) => Ok(Some(divided)),
            // As where the number or the depth of groups is bounded.
            Err(_) => divided.remove().map(|()| None),
        }
    }

    fn make(&self) -> io::Result<()> {
        let open = |group: &Path| {
            let members = group.join("cgroup.procs");
            fs::set_permissions(members, Permissions::from_mode(0o666))
        };
        fs::create_dir(self.program())?;
        let fork = self.fork();
        fs::create_dir(&fork)?;
        open(&self.above)?;
        open(&fork)?;
        self.switch('+')?;
        if self.has(Controller::Processes) {
            fs::write(fork.join("pids.max"), "1")?;
        }
        if self.has(Controller::Memory) {
            // What is ended for want of memory there is all that is there.
            fs::write(fork.join("memory.oom.group"), "1")?;
        }
        Ok(())
    }

    fn switch(&self, sign: char) -> io::Result<()> {
        let switches = self.controllers.iter().map(|name| format!("{sign}{name} "));
        let switches: String = switches.collect();
        match switches.is_empty() {
            true => Ok(()),
            false => fs::write(self.above.join("cgroup.subtree_control"), switches),
        }
    }

    fn has(&self, controller: Controller) -> bool {
        let name = controller.unified();
        name.is_some_and(|name| self.controllers.contains(&name))
    }

    /// Makes of it what it was.
    fn remove(&self) -> io::Result<()> {
        self.remove_below();
        self.switch('-')
    }

    /// Removes what is below it, as far as nobody is there.
    pub(super) fn remove_below(&self) {
        below(&self.above);
    }

    /// Where the program and its init are.
    pub(super) fn program(&self) -> PathBuf {
        self.above.join(PROGRAM)
    }

    /// Where what it forks is.
    pub(super) fn fork(&self) -> PathBuf {
        self.above.join(FORK)
    }
}

/// Removes the groups below that of a run, as far as nobody is in them.
pub(super) fn below(group: &Path) {
    for name in [PROGRAM, FORK] {
        // Most have none.
        let _ = fs::remove_dir(group.join(name));
    }
}

/// What the host of a program sees and does of what that forks. The group is used for one process after another.
#[derive(Debug)]
pub struct Forks {
    members: File,
    processor: File,
    kill: Option<File>,
    /// Zombies count until they are reaped.
    tasks: Option<File>,
    /// Of its memory, where that is counted there, and tasks as well.
    meter: Option<Meter>,
    /// Processor time of those before, in microseconds.
    before: Cell<u64>,
}

impl Group {
    /// What the program forks; none where it has no group for that. Its memory is bounded there from now on, to what the
    /// program has left of the bound of both, so that a shortage is one of that group.
    pub fn forks(&self) -> Option<Forks> {
        let divided = self.divided.as_ref()?;
        let fork = divided.fork();
        let open = |name: &str| File::open(fork.join(name));
        let both = divided.has(Controller::Memory) && divided.has(Controller::Processes);
        if divided.has(Controller::Memory) {
            bound(divided)?;
        }
        let forks = Forks {
            members: open("cgroup.procs").ok()?,
            processor: open("cpu.stat").ok()?,
            // Linux 5.14.
            kill: File::options()
                .write(true)
                .open(fork.join("cgroup.kill"))
                .ok(),
            tasks: open("pids.current").ok(),
            meter: both.then(|| Meter::of_fork(&fork)).flatten(),
            before: Cell::new(0),
        };
        forks.used().is_ok().then_some(forks)
    }
}

/// `None`: it cannot be bounded.
fn bound(divided: &Divided) -> Option<()> {
    let Some(most) = number(&divided.above.join("memory.max")) else {
        return Some(());
    };
    let used = number(&divided.program().join("memory.current"))?;
    let left = most.saturating_sub(used).to_string();
    fs::write(divided.fork().join("memory.max"), left).ok()
}

impl Forks {
    /// Whether nothing that lives is in it: what was killed leaves it before it can be reaped.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.members.read_at(&mut [0; 1], 0)? == 0)
    }

    /// Whether one task is in it, or was and is not reaped; `None` where tasks are not counted there.
    pub fn has_one(&self) -> Option<bool> {
        let tasks = self.tasks.as_ref()?;
        meter::number_of(tasks).ok().map(|tasks| tasks == 1)
    }

    /// Kills all that is in it (`cgroup.kill`); `false` where the kernel cannot do that. Nobody begins there any more: the
    /// kernel then ends each that is forked into it, because it compares how often this group and that of the parent were
    /// killed (`kill_seq` of `cgroup_post_fork`; seen on Linux 6.18). One process is to be killed by its handle.
    pub fn kill(&self) -> bool {
        let killed = self.kill.as_ref().map(|kill| kill.write_all_at(b"1", 0));
        killed.is_some_and(|killed| killed.is_ok())
    }

    /// Processor time that was used in it since this was asked last, in nanoseconds.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        let now = self.used()?;
        let used = now.saturating_sub(self.before.replace(now));
        Ok(used.saturating_mul(1000))
    }

    fn used(&self) -> io::Result<u64> {
        let mut text = [0; 64];
        let length = self.processor.read_at(&mut text, 0)?;
        // It is what the file begins with.
        let text = String::from_utf8_lossy(&text[..length]);
        let used = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("usage_usec "));
        let used = used.and_then(|number| number.parse().ok());
        used.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Of its memory, where that is counted there and can be told of one process after another.
    pub fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }
}
