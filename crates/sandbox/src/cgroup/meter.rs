//! The most memory that a group held while one of several jobs was in it, counted from outside.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::{Controller, Group};

/// Forgets the peak of a [`Group`] before a job, tells it afterwards, and who is there beside those who always are.
#[derive(Debug)]
pub struct Meter {
    peak: File,
    members: Members,
    always: Vec<i32>,
}

/// Where the processes of a group are listed.
#[derive(Debug)]
enum Members {
    /// Version 2 looks each time that the file is read.
    Open(File),
    /// Version 1 keeps a list for as long as the file is open (`cgroup_pidlist_start`).
    At(PathBuf),
}

/// More than the numbers of three processes in lines take.
const LIST: usize = 64;

impl Group {
    /// For jobs beside the processes `always`; none where memory is not counted, or the peak cannot be forgotten: in version
    /// 2 before Linux 6.12.
    pub fn meter(&self, always: &[i32]) -> Option<Meter> {
        let (directory, unified) = self.directory(Controller::Memory)?;
        let procs = directory.join("cgroup.procs");
        let (peak, members) = match unified {
            true => ("memory.peak", Members::Open(File::open(procs).ok()?)),
            false => ("memory.max_usage_in_bytes", Members::At(procs)),
        };
        let mut options = File::options();
        let peak = options.read(true).write(true).open(directory.join(peak));
        let meter = Meter {
            peak: peak.ok()?,
            members,
            always: always.to_vec(),
        };
        meter.forget().ok().map(|()| meter)
    }
}

impl Meter {
    /// Begins anew. In version 2 what is forgotten is what this descriptor told (`peak_write`).
    pub fn forget(&self) -> io::Result<()> {
        self.peak.write_all_at(b"0", 0)
    }

    /// The most bytes since then.
    pub fn peak(&self) -> io::Result<u64> {
        let mut text = [0; LIST];
        let length = self.peak.read_at(&mut text, 0)?;
        let number = std::str::from_utf8(&text[..length]).ok();
        let number = number.and_then(|number| number.trim().parse().ok());
        number.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Who is there beside those who always are; of many, some.
    pub fn beside(&self) -> io::Result<Vec<i32>> {
        let mut text = [0; LIST];
        let length = match &self.members {
            Members::Open(file) => file.read_at(&mut text, 0)?,
            Members::At(path) => File::open(path)?.read(&mut text)?,
        };
        let list = String::from_utf8_lossy(&text[..length]);
        let numbers = list.lines().filter_map(|line| line.parse().ok());
        Ok(numbers.filter(|pid| !self.always.contains(pid)).collect())
    }
}
