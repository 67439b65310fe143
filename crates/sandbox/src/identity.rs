//! Which file it is: what is compared between analysis and run.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::SealFlags;

use crate::Error;

/// What tells a file's content from another's without reading it. The change time cannot be set
/// back by the file's owner, so a write between two looks shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Modification time: seconds and nanoseconds.
    pub mtime: (i64, i64),
    /// Change time: seconds and nanoseconds.
    pub ctime: (i64, i64),
}

impl Identity {
    /// Of a file that was looked at.
    pub fn of(metadata: &Metadata) -> Identity {
        Identity {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Of the file that `path` leads to now.
    pub fn of_path(path: &Path) -> io::Result<Identity> {
        std::fs::metadata(path).map(|m| Identity::of(&m))
    }

    /// The first thing in which `now` differs, for a person.
    pub(crate) fn difference(&self, now: &Identity) -> Option<&'static str> {
        if (self.dev, self.ino) != (now.dev, now.ino) {
            Some("another file")
        } else if self.size != now.size {
            Some("its size")
        } else if self.mtime != now.mtime {
            Some("its modification time")
        } else if self.ctime != now.ctime {
            Some("its change time")
        } else {
            None
        }
    }
}

/// A program that was opened, and stays the same file until it runs.
#[derive(Debug)]
pub struct Program {
    file: File,
    path: PathBuf,
    identity: Identity,
}

impl Program {
    /// Opens `path`, close-on-exec. What is not a regular file with an execute bit is refused;
    /// nothing that blocks (a FIFO, a device) is waited for.
    pub fn open(path: &Path) -> Result<Program, Error> {
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
            .map_err(|e| match e.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NotFound {
                    path: path.to_owned(),
                },
                _ => Error::NotExecutable {
                    path: path.to_owned(),
                    reason: e.to_string(),
                },
            })?;
        Program::from_file(file, path)
    }

    /// Of a file that was opened (and hashed) before; `path` is for messages.
    pub fn from_file(file: File, path: &Path) -> Result<Program, Error> {
        let refuse = |reason: &str| Error::NotExecutable {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let metadata = file.metadata().map_err(|e| refuse(&e.to_string()))?;
        if !metadata.is_file() {
            return Err(refuse("not a regular file"));
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(refuse("no execute permission"));
        }
        Ok(Program {
            identity: Identity::of(&metadata),
            file,
            path: path.to_owned(),
        })
    }

    /// The same file once more.
    pub fn again(&self) -> Result<Program, Error> {
        let file = self.file.try_clone().map_err(|reason| Error::Read {
            path: self.path.clone(),
            reason,
        })?;
        Ok(Program {
            file,
            path: self.path.clone(),
            identity: self.identity,
        })
    }

    /// Whether nobody can write to the open file or change its size: memory that is sealed (fcntl(2)).
    pub fn is_sealed(&self) -> bool {
        let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
        rustix::fs::fcntl_get_seals(&self.file).is_ok_and(|seals| seals.contains(all))
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it was when it was opened.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Fails when the open file, or `seen`, is not what was opened.
    pub(crate) fn still(&self, seen: &Identity) -> Result<(), Error> {
        let held = self.file.metadata().map_err(|reason| Error::Read {
            path: self.path.clone(),
            reason,
        })?;
        match self
            .identity
            .difference(&Identity::of(&held))
            .or_else(|| self.identity.difference(seen))
        {
            None => Ok(()),
            Some(what) => Err(Error::Changed {
                path: self.path.clone(),
                what: what.to_owned(),
            }),
        }
    }
}
