//! Where the analysis reads from: the machine, an unpacked image, or memory.
//!
//! Names come from hostile files (`PT_INTERP`, `DT_NEEDED`, search paths), so an open must not
//! block on a FIFO, touch a device, leave the given root, or fill the memory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// The largest file that is read: some programs come near half of it (debug builds).
pub const MOST_BYTES: u64 = 1 << 30;

/// The most entries of one directory that are listed.
const MOST_ENTRIES: usize = 100_000;

/// Links followed in one path; the kernel's limit (`MAXSYMLINKS`, `include/linux/namei.h`).
const MOST_LINKS: usize = 40;

/// What tells a file from every other one and from its own older content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity {
    /// Device that holds it.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of its content, nanoseconds since 1970.
    pub modified_ns: i128,
    /// Last change of its content or attributes, nanoseconds since 1970.
    pub changed_ns: i128,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct FileData {
    /// Its whole content.
    pub bytes: Vec<u8>,
    /// Which file it was at that moment, where the source knows.
    pub identity: Option<Identity>,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Nothing has this name.
    #[error("there is no such file")]
    NotFound,
    /// Opening it could block or have an effect, and it holds no program.
    #[error("it is a {0} and not a regular file")]
    NotRegular(&'static str),
    /// It holds more than [`MOST_BYTES`].
    #[error("it has {0} bytes, more than the {MOST_BYTES} that are read")]
    TooLarge(u64),
    /// A chain of symbolic links that does not end.
    #[error("its symbolic links lead nowhere (more than {MOST_LINKS})")]
    Links,
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<Errno> for FilesError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR => FilesError::NotFound,
            Errno::LOOP => FilesError::Links,
            // Opening a socket (`open(2)`), or a device that nothing stands behind.
            Errno::NXIO | Errno::NODEV => FilesError::NotRegular("socket or device"),
            other => FilesError::Io(other.into()),
        }
    }
}

/// Everything that the analysis reads comes through here.
pub trait Files: Sync {
    /// The content of the regular file at the absolute `path`, links followed.
    fn read(&self, path: &Path) -> Result<FileData, FilesError>;

    /// The names in the directory at the absolute `path`, sorted.
    fn list(&self, path: &Path) -> Result<Vec<OsString>, FilesError>;

    /// `path` without links and dots, as these files see it.
    fn resolve(&self, path: &Path) -> Result<PathBuf, FilesError>;

    /// `path` made absolute, without looking at any file.
    fn absolute(&self, path: &Path) -> PathBuf;
}

/// The files of this machine, or those below a directory that stands in for `/`.
#[derive(Clone, Debug, Default)]
pub struct HostFiles {
    /// The directory that stands in for `/`; no link leads out of it.
    pub root: Option<PathBuf>,
}

impl HostFiles {
    fn open(&self, path: &Path, flags: OFlags) -> Result<rustix::fd::OwnedFd, FilesError> {
        // openat2 refuses flags that mean nothing beside O_PATH.
        let flags = match flags.contains(OFlags::PATH) {
            true => flags | OFlags::CLOEXEC,
            false => flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK,
        };
        let Some(root) = &self.root else {
            return Ok(rustix::fs::open(path, flags, Mode::empty())?);
        };
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(root, directory, Mode::empty())?;
        // The kernel resolves: no window between a check of the links and the open.
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&top, path, flags, Mode::empty(), how) {
            // Kernels before 5.6, and filters of container engines that answer so.
            Err(Errno::NOSYS | Errno::PERM) => {
                let inside = self.resolve(path)?;
                let real = below(root, &inside);
                Ok(rustix::fs::open(
                    &real,
                    flags | OFlags::NOFOLLOW,
                    Mode::empty(),
                )?)
            }
            other => Ok(other?),
        }
    }
}

impl Files for HostFiles {
    fn read(&self, path: &Path) -> Result<FileData, FilesError> {
        // First without opening the content: opening a FIFO or a device can have effects.
        let probe = self.open(path, OFlags::PATH)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&probe)?.st_mode);
        if kind != FileType::RegularFile {
            return Err(FilesError::NotRegular(name_of(kind)));
        }
        drop(probe);
        let fd = self.open(path, OFlags::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            return Err(FilesError::NotRegular(name_of(kind)));
        }
        let identity = identity(&stat);
        if identity.size > MOST_BYTES {
            return Err(FilesError::TooLarge(identity.size));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(identity.size).unwrap_or(0) + 1);
        // A file of /proc says 0 bytes and a growing one too few: the limit holds either way.
        File::from(fd)
            .take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(FilesError::TooLarge(bytes.len() as u64));
        }
        Ok(FileData {
            bytes,
            identity: Some(identity),
        })
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>, FilesError> {
        let fd = self.open(path, OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(fd)?.take(MOST_ENTRIES) {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort();
        Ok(names)
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, FilesError> {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let mut done = PathBuf::from("/");
        let mut pending: Vec<OsString> = reversed(&self.absolute(path));
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&name);
            let real = below(root, &next);
            let stat = rustix::fs::statat(rustix::fs::CWD, &real, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                done = next;
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(FilesError::Links);
            }
            let target = std::fs::read_link(&real)?;
            if target.is_absolute() {
                done = PathBuf::from("/");
            }
            pending.extend(reversed(&target));
        }
        Ok(done)
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        match &self.root {
            None => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            Some(_) => Path::new("/").join(path),
        }
    }
}

/// The real path of `path`, which counts from `root`.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn reversed(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    let mut parts: Vec<_> = parts.collect();
    parts.reverse();
    parts
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Fifo => "FIFO",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        _ => "special file",
    }
}

fn identity(stat: &Stat) -> Identity {
    let ns = |seconds: i64, ns: u64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
    Identity {
        device: stat.st_dev,
        inode: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(u64::MAX),
        modified_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
        changed_ns: ns(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// Files that exist in memory only: tests, and images that are not unpacked.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    /// Absolute path and content.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> Result<FileData, FilesError> {
        match self.files.get(&self.resolve(path)?) {
            Some(bytes) => Ok(FileData {
                bytes: bytes.clone(),
                identity: None,
            }),
            None => Err(FilesError::NotFound),
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>, FilesError> {
        let top = self.resolve(path)?;
        let mut names: Vec<OsString> = self
            .files
            .keys()
            .filter_map(|p| p.strip_prefix(&top).ok()?.components().next())
            .map(|c| c.as_os_str().to_owned())
            .collect();
        names.dedup();
        if names.is_empty() {
            return Err(FilesError::NotFound);
        }
        Ok(names)
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, FilesError> {
        let mut done = PathBuf::from("/");
        for part in reversed(&self.absolute(path)).into_iter().rev() {
            if part == ".." {
                done.pop();
            } else {
                done.push(part);
            }
        }
        Ok(done)
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        Path::new("/").join(path)
    }
}
