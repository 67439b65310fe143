//! Files that a running program has mapped executable beyond those it started with: which of them
//! may add to what it may do.
//!
//! A file counts only if it lies where modules are expected, at the path under which it was mapped,
//! and if neither it nor a directory on the way there has changed since before the start: the change
//! time of an inode cannot be set, and every write, rename and link updates it (inode(7)). Where the
//! system keeps modules, nothing of that may be writable for the program's user either. What is left
//! is stated in the threat model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::time::{ClockId, clock_gettime};

use crate::identity::Identity;
use crate::mapped;

/// File systems that keep no fractions of a second cut them off; none cuts off more than two
/// seconds (FAT).
const COARSEST: i64 = 2;

/// Files that are told of one program; one that maps more is up to no good, and the rest adds nothing.
const MOST_TOLD: usize = 512;

/// A directory below which modules are expected.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Directory {
    /// Where it is, without symbolic links.
    pub path: PathBuf,
    /// The user named it: the program may be able to write to it.
    pub named: bool,
}

/// What one program has mapped since its start.
#[derive(Debug)]
pub struct Modules {
    program: (u64, u64),
    directories: Vec<Directory>,
    started: (i64, i64),
    /// Device and inode of the files that it started with.
    known: BTreeSet<(u64, u64)>,
    /// Device, inode and path of files that were told.
    told: BTreeSet<(u64, u64, PathBuf)>,
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
        directories: impl IntoIterator<Item = Directory>,
    ) -> Modules {
        let inode = |identity: Identity| (identity.dev, identity.ino);
        // The kernel stamps inodes by this clock, which is behind the precise one.
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let program = inode(*program);
        Modules {
            program,
            directories: directories.into_iter().collect(),
            started: (now.tv_sec, now.tv_nsec),
            known: known.into_iter().map(inode).chain([program]).collect(),
            told: BTreeSet::new(),
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
            if self.told.len() >= MOST_TOLD {
                break;
            }
            let identity = mapping.identity(tid);
            let (dev, ino) = identity.as_ref().map_or((0, 0), |now| (now.dev, now.ino));
            if self.known.contains(&(dev, ino)) || !self.told.insert((dev, ino, path.clone())) {
                continue;
            }
            let refused = match identity {
                Ok(now) if !is_at(&path, &now) => {
                    Some("no regular file is at that path, or another one".to_owned())
                }
                Ok(_) => self.refusal(&path),
                Err(reason) => Some(reason),
            };
            found.push(Module { path, refused });
        }
        Ok(found)
    }

    /// Why the file at `path` (without symbolic links) may add nothing now, as a clause.
    pub fn refusal(&self, path: &Path) -> Option<String> {
        let Some(directory) = self.directories.iter().find(|d| path.starts_with(&d.path)) else {
            return Some("modules are not expected there (--plugin DIR says where)".to_owned());
        };
        let way = path
            .ancestors()
            .take_while(|at| at.starts_with(&directory.path));
        for at in way {
            let Ok(metadata) = std::fs::symlink_metadata(at) else {
                return Some("it cannot be looked at".to_owned());
            };
            let is_kind = match at == path {
                true => metadata.is_file(),
                false => metadata.is_dir(),
            };
            if !is_kind {
                return Some("no regular file is at that path".to_owned());
            }
            if !self.is_old(&Identity::of(&metadata)) {
                return Some(format!("{at:?} changed after the start"));
            }
            let trusted = directory.named || rustix::process::geteuid().is_root();
            if !trusted && accessat(CWD, at, Access::WRITE_OK, AtFlags::EACCESS).is_ok() {
                return Some(format!("the program's user can write to {at:?}"));
            }
        }
        None
    }

    fn is_old(&self, now: &Identity) -> bool {
        let coarse = now.ctime.1 == 0 && now.ctime.0 + COARSEST >= self.started.0;
        !coarse && now.ctime < self.started
    }
}

/// Whether the file that was looked at is at `path` itself.
fn is_at(path: &Path, now: &Identity) -> bool {
    let found = std::fs::symlink_metadata(path);
    found.is_ok_and(|m| m.is_file() && Identity::of(&m) == *now)
}
