//! Files that a running program has mapped executable beyond those it started with: which of them
//! may add to what it may do.
//!
//! A file counts only if the program cannot have made it what it is: it lies where modules are
//! expected, at the path under which it was mapped, and has not changed since before the start. The
//! change time of an inode cannot be set, and every write, rename and link updates it (inode(7)).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};

use crate::identity::Identity;
use crate::mapped::{self, Mapping};

/// File systems that keep no fractions of a second cut them off; none cuts off more than two
/// seconds (FAT).
const COARSEST: i64 = 2;

/// What one program has mapped since its start.
#[derive(Debug)]
pub struct Modules {
    program: (u64, u64),
    directories: Vec<PathBuf>,
    started: (i64, i64),
    /// Device and inode of files that were told.
    told: BTreeSet<(u64, u64)>,
}

/// A file that is mapped executable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// Where it is.
    pub path: PathBuf,
    /// Why it may add nothing, as a clause.
    pub refused: Option<String>,
}

impl Modules {
    /// For a program that is about to start: what it maps at first are `known` files, and modules are
    /// expected below `directories`.
    pub fn new(
        program: &Identity,
        known: impl IntoIterator<Item = Identity>,
        directories: impl IntoIterator<Item = PathBuf>,
    ) -> Modules {
        let inode = |identity: Identity| (identity.dev, identity.ino);
        // The kernel stamps inodes by this clock, which is behind the precise one.
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let program = inode(*program);
        Modules {
            program,
            directories: directories.into_iter().collect(),
            started: (now.tv_sec, now.tv_nsec),
            told: known.into_iter().map(inode).chain([program]).collect(),
        }
    }

    /// Whether the process of `tid` still runs the program: what another one loads adds nothing.
    pub fn is_program(&self, tid: i32) -> bool {
        let image = Identity::of_path(&PathBuf::from(format!("/proc/{tid}/exe")));
        image.is_ok_and(|image| (image.dev, image.ino) == self.program)
    }

    /// The files that the process of `tid` has mapped executable and that were not told before. An
    /// error says why that cannot be known.
    pub fn appeared(&mut self, tid: i32) -> Result<Vec<Module>, String> {
        let mut found = Vec::new();
        for mapping in mapped::executable(tid)? {
            let path = mapping.path().to_owned();
            let refused = match mapping.identity(tid) {
                Ok(now) if !self.told.insert((now.dev, now.ino)) => continue,
                Ok(now) => self.refusal(&mapping, &path, &now),
                Err(reason) => Some(reason),
            };
            found.push(Module { path, refused });
        }
        Ok(found)
    }

    fn refusal(&self, mapping: &Mapping, path: &Path, now: &Identity) -> Option<String> {
        let at_its_path = std::fs::symlink_metadata(path)
            .is_ok_and(|m| m.is_file() && Identity::of(&m) == *now && mapping.inode() == now.ino);
        if !at_its_path {
            return Some("no regular file is at that path, or another one".to_owned());
        }
        if !self.directories.iter().any(|d| path.starts_with(d)) {
            return Some("modules are not expected there (--plugin DIR says where)".to_owned());
        }
        let coarse = now.ctime.1 == 0 && now.ctime.0 + COARSEST >= self.started.0;
        if coarse || now.ctime >= self.started {
            return Some("it changed after the start".to_owned());
        }
        None
    }
}
