//! The most memory that a group held while one of several jobs was in it, counted from outside.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Controller, Group};

/// Forgets the peak of a [`Group`] before a job, tells it afterwards, and whether others are there.
#[derive(Debug)]
pub struct Meter {
    peak: File,
    count: Count,
}

/// By what it is known who is there.
#[derive(Debug)]
enum Count {
    /// The tasks of the same group are counted (`pids.current`), zombies until they are reaped.
    Tasks(File),
    /// Those of the run's group in another hierarchy are, which has all that the run forks. Whoever else was put into this
    /// one is on its list alone, which is looked at every so often.
    Both(File, List),
    /// There is only the list.
    List(List),
}

/// The list of a group's processes in version 1. The kernel keeps what it shows for as long as the file is open
/// (`cgroup_pidlist_start`), so that it has to be opened each time, and some work is left for later: 17 µs in all, where the
/// count takes one.
#[derive(Debug)]
struct List {
    path: PathBuf,
    looked: Cell<Option<Instant>>,
}

/// How rarely a list is looked at where tasks are counted as well: as the host looks whether a run is in its group.
const LOOKS: Duration = Duration::from_millis(200);

/// More than a number takes.
const NUMBER: usize = 32;

impl Group {
    /// None where memory is not counted, or the peak cannot be forgotten: in version 2 before Linux 6.12.
    pub fn meter(&self) -> Option<Meter> {
        let (directory, unified) = self.directory(Controller::Memory)?;
        let tasks = self.directory(Controller::Processes);
        let same = tasks.is_some_and(|(other, _)| other == directory);
        let tasks = tasks.and_then(|(other, _)| File::open(other.join("pids.current")).ok());
        let list = List {
            path: directory.join("cgroup.procs"),
            looked: Cell::new(None),
        };
        let count = match tasks {
            Some(tasks) if same => Count::Tasks(tasks),
            // The list of a group that is divided has nobody.
            _ if unified && self.divided.is_some() => return None,
            Some(tasks) => Count::Both(tasks, list),
            None => Count::List(list),
        };
        let peak = match unified {
            true => "memory.peak",
            false => "memory.max_usage_in_bytes",
        };
        Meter::new(&directory.join(peak), count)
    }
}

impl Meter {
    /// Of the group of what a program forks, where tasks are counted as well.
    pub(super) fn of_fork(directory: &Path) -> Option<Meter> {
        let tasks = File::open(directory.join("pids.current")).ok()?;
        Meter::new(&directory.join("memory.peak"), Count::Tasks(tasks))
    }

    fn new(peak: &Path, count: Count) -> Option<Meter> {
        let peak = File::options().read(true).write(true).open(peak).ok()?;
        let meter = Meter { peak, count };
        meter.forget().ok().map(|()| meter)
    }

    /// Begins anew. In version 2 what is forgotten is what this descriptor told (`peak_write`).
    pub fn forget(&self) -> io::Result<()> {
        self.peak.write_all_at(b"0", 0)
    }

    /// The most bytes since then.
    pub fn peak(&self) -> io::Result<u64> {
        number_of(&self.peak)
    }

    /// Whether others are there than `known`, all of whom are, or were and are not reaped. What a run has forked and not
    /// reaped is always seen; a process that somebody else put there, who may write the machine's groups, from the next look
    /// at the group's list on.
    pub fn is_shared(&self, known: &[i32]) -> io::Result<bool> {
        let more = |tasks: &File| Ok(number_of(tasks)? > known.len() as u64);
        match &self.count {
            Count::Tasks(tasks) => more(tasks),
            Count::Both(tasks, list) => {
                Ok(more(tasks)? || list.is_due() && list.has_others(known)?)
            }
            Count::List(list) => list.has_others(known),
        }
    }
}

impl List {
    fn is_due(&self) -> bool {
        self.looked
            .get()
            .is_none_or(|looked| looked.elapsed() >= LOOKS)
    }

    fn has_others(&self, known: &[i32]) -> io::Result<bool> {
        self.looked.set(Some(Instant::now()));
        let mut text = String::new();
        File::open(&self.path)?.read_to_string(&mut text)?;
        let mut numbers = text.lines().map(str::parse::<i32>);
        Ok(numbers.any(|number| !number.is_ok_and(|number| known.contains(&number))))
    }
}

/// The number that `file` has.
pub(super) fn number_of(file: &File) -> io::Result<u64> {
    let mut text = [0; NUMBER];
    let length = file.read_at(&mut text, 0)?;
    let number = std::str::from_utf8(&text[..length]).ok();
    let number = number.and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
