//! A cgroup of the run's own: bounds and counts of all its processes together, out of their reach.
//!
//! Each controller is taken where this machine has it: in the one tree of version 2, or in its own of version
//! 1 (cgroups(7)). The launcher makes the group, the init begins or moves there before the program exists, and the
//! launcher removes it in the end.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

mod forks;
mod meter;
mod places;

use forks::Divided;
pub use forks::Forks;
pub use meter::Meter;
pub(crate) use places::{Place, crowded};
use places::{Undivided, path_of};

/// What is asked of a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Controller {
    Cpu,
    Memory,
    Processes,
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

/// The groups of one run; dropped, they are removed.
#[derive(Debug)]
pub struct Group {
    places: Vec<(Place, PathBuf)>,
    /// The one of version 2, where what the program forks is in a group of its own.
    divided: Option<Divided>,
    lost: AtomicBool,
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
    /// Makes a group at each of `places`; with `forks` the one of version 2 has another one below for what the program
    /// forks, where that can be.
    pub(crate) fn create(places: &[Place], forks: bool) -> io::Result<Group> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{NAME}{}-{number}", std::process::id());
        let mut group = Group {
            places: Vec::new(),
            divided: None,
            lost: AtomicBool::new(false),
        };
        for place in places {
            sweep(&place.parent);
            if let Some(undivided) = &place.undivided {
                divide(&place.parent, undivided)?;
            }
            let directory = place.parent.join(&name);
            match fs::create_dir(&directory) {
                // Two controllers in one tree.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && group.has(&directory) => {}
                other => other?,
            }
            group.places.push((place.clone(), directory));
        }
        if forks {
            group.divided = Divided::new(&group.places)?;
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
                // One that is over ends as a whole, but for a program that can do without what it forked. Machines without
                // swap have no file for it.
                if self.divided.is_none() {
                    write("memory.oom.group", "1")?;
                }
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
                doors.begin = Some(File::open(self.own(directory))?.into());
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
            let members = self.own(directory).join("cgroup.procs");
            fs::write(members, pid.to_string())?;
        }
        Ok(())
    }

    /// Where the program and its init are, of the group of version 2 at `directory`.
    fn own(&self, directory: &Path) -> PathBuf {
        match &self.divided {
            Some(divided) => divided.program(),
            None => directory.to_owned(),
        }
    }

    /// The directory of the group in which what the program forks can begin.
    pub(crate) fn fork(&self) -> Option<PathBuf> {
        self.divided.as_ref().map(Divided::fork)
    }

    /// Whether the process `pid` is in it in every hierarchy. Who may write the groups of a machine can take it out, and
    /// remove the group then: nothing of it bounds or counts the process any more. One that ends, or is gone, needs no
    /// bounds; and where it was is not told any more (`proc_cgroup_show`: in version 1 it seems to be in the root).
    pub(crate) fn holds(&self, pid: i32) -> bool {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else {
            return true;
        };
        let mut places = self.places.iter();
        places.all(|(place, directory)| {
            let path = match place.unified {
                true => text.lines().find_map(|line| line.strip_prefix("0::")),
                false => path_of(&text, place.controller),
            };
            let own = match place.unified {
                true => self.own(directory),
                false => directory.clone(),
            };
            // From the name of the group on: what is above has another one where this process's own group is the root.
            // Behind the name of one that was removed stands "(deleted)".
            let above = directory.parent().unwrap_or(directory);
            let own = own.strip_prefix(above).unwrap_or(&own);
            path.is_some_and(|path| Path::new(path).ends_with(own))
        }) || is_ending(pid)
    }

    /// It was found not to hold a process of the run any more, which is ended for that.
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
    }

    /// Whether that was so.
    pub fn was_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
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

    /// What was ended of it for want of memory since `last`, which is now afterwards; `None` where its memory is not counted.
    pub fn shortage(&self, last: &mut Counted) -> Option<Shortage> {
        let (directory, unified) = self.directory(Controller::Memory)?;
        let of = |file, name| field(&directory.join(file), name).unwrap_or(0);
        let before = *last;
        last.ended = match unified {
            true => of("memory.events", "oom_kill"),
            false => of("memory.oom_control", "oom_kill"),
        };
        let ended = last.ended.saturating_sub(before.ended);
        let at_limit = match unified {
            _ if ended == 0 => false,
            true => {
                last.at_limit = of("memory.events", "oom");
                last.at_limit > before.at_limit
            }
            false => was_full(directory),
        };
        Some(Shortage { ended, at_limit })
    }
}

/// Whether a group of version 1 had as much as it may, and begins to look for that anew. Kernels since 6.15 do not count
/// how often a charge failed.
fn was_full(directory: &Path) -> bool {
    /// What the kernel asks for at once at most before it ends somebody for a page (`MEMCG_CHARGE_BATCH`).
    const BATCH: u64 = 64 * 4096;
    // Memory with swap is bounded to the same.
    let mut kinds = ["memory", "memory.memsw"].iter();
    let full = |kind: &&str| {
        let peak = directory.join(format!("{kind}.max_usage_in_bytes"));
        let limit = number(&directory.join(format!("{kind}.limit_in_bytes")));
        let full = number(&peak).zip(limit);
        // What cannot be forgotten is remembered of the next one.
        let _ = fs::write(&peak, "0");
        full.is_some_and(|(peak, limit)| peak.saturating_add(BATCH) >= limit)
    };
    kinds.any(full)
}

/// What a group had counted when it was asked last; nothing when it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    ended: u64,
    at_limit: u64,
}

/// What the kernel ended of a group for want of memory. It counts where the victim was, whoever was at a limit: this
/// group, one above it, or the machine (`__oom_kill_process`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shortage {
    /// Processes.
    pub ended: u64,
    /// The group itself was at its limit.
    pub at_limit: bool,
}

impl Shortage {
    /// Processes that were ended for the group's own limit.
    pub fn of_limit(self) -> u64 {
        if self.at_limit { self.ended } else { 0 }
    }

    /// Processes that were ended because others took the memory.
    pub fn of_others(self) -> u64 {
        if self.at_limit { 0 } else { self.ended }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(divided) = &self.divided {
            divided.remove_below();
        }
        for (_, directory) in &self.places {
            // What was killed leaves its group when it is reaped, and all is by now.
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Makes of a group that was delegated one that can have groups with limits: the launcher, which is alone in it, goes to a
/// group below, and what is limited is let through to the others. It stays so: the group of the launcher is removed with
/// the unit, or by the next launcher.
fn divide(parent: &Path, undivided: &Undivided) -> io::Result<()> {
    if undivided.aside {
        let own = parent.join(format!("{NAME}{}", std::process::id()));
        // Another thread may have done all this.
        match fs::create_dir(&own) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        // 0 is whoever writes it, with all its threads.
        fs::write(own.join("cgroup.procs"), "0")?;
    }
    fs::write(parent.join("cgroup.subtree_control"), &undivided.switch).map_err(|error| {
        // `cgroup_vet_subtree_control_enable`.
        match error.raw_os_error() {
            Some(libc::EBUSY) => io::Error::other(format!(
                "other processes came into {}, which was this one's alone",
                parent.display()
            )),
            _ => error,
        }
    })
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
            forks::below(&entry.path());
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Whether a process has begun to end (`PF_EXITING` of linux/sched.h among the flags of proc_pid_stat(5)), or is gone.
fn is_ending(pid: i32) -> bool {
    const EXITING: u64 = 4;
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    // The flags are the sixth field behind the name and the state.
    let flags = text
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(6));
    let flags = flags.and_then(|flags| flags.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & EXITING != 0)
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(n, _)| *n == name)?.1.trim().parse().ok()
}
