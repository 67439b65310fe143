//! The directory of entries: private, bounded, written atomically, read with suspicion.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fmt, fs, io};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::neutral;

/// All entries together; the least recently used go first.
const TOTAL: u64 = 256 << 20;
/// One entry. A result of the largest programs is a few megabytes.
const ENTRY: u64 = 64 << 20;
/// Entries that are looked at when room is made; more are a sign of somebody else's files.
const COUNT: usize = 100_000;
/// Format of the files; a change makes old ones misses.
const MAGIC: &[u8; 16] = b"portcullis-cch1\n";
const HASH: usize = 32;

/// What an entry holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// What a request's analysis looked at, and the closure that it found.
    Memo,
    /// A scan result.
    Scan,
    /// What a start needs of it.
    Brief,
    /// A compiled filter with a placeholder for the launch cookie.
    Filter,
}

/// Names an entry of a kind.
pub(crate) type Key = [u8; 32];

/// An open cache directory.
#[derive(Debug)]
pub(crate) struct Store {
    dir: OwnedFd,
    #[cfg(test)]
    path: PathBuf,
}

/// Why there is no cache. None of this stops a scan.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// Neither `XDG_CACHE_HOME` nor `HOME` is an absolute path.
    NoHome,
    /// The directory could not be made or opened.
    Io(PathBuf, io::Error),
    /// It belongs to another user, or others can read or write it.
    NotPrivate(PathBuf),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::NoHome => write!(f, "neither XDG_CACHE_HOME nor HOME is an absolute path"),
            Unusable::Io(path, error) => write!(f, "{}: {error}", neutral::path(path)),
            Unusable::NotPrivate(path) => write!(
                f,
                "{} belongs to another user, or others can use it",
                neutral::path(path)
            ),
        }
    }
}

impl Store {
    /// The user's cache directory, made if it is not there.
    pub(crate) fn open() -> Result<Store, Unusable> {
        Store::open_at(&directory().ok_or(Unusable::NoHome)?)
    }

    /// The cache at `path`.
    pub(crate) fn open_at(path: &Path) -> Result<Store, Unusable> {
        let failed = |e: io::Error| Unusable::Io(path.to_owned(), e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(CWD, path, flags, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) => {
                make(path).map_err(failed)?;
                open()
            }
            other => other,
        };
        let dir = opened.map_err(|e| failed(e.into()))?;
        let stat = rustix::fs::fstat(&dir).map_err(|e| failed(e.into()))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
            return Err(Unusable::NotPrivate(path.to_owned()));
        }
        Ok(Store {
            dir,
            #[cfg(test)]
            path: path.to_owned(),
        })
    }

    /// The content of an entry; `None` when it is not there or not what was written.
    pub(crate) fn read(&self, kind: Kind, key: &Key) -> Option<Vec<u8>> {
        let name = name(kind, key);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.dir, &name, flags, Mode::empty()).ok()?;
        let file = fs::File::from(fd);
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.len() > ENTRY {
            return None;
        }
        // What is written behind that meanwhile is not what the hash is of.
        let mut bytes = vec![0; usize::try_from(metadata.len()).ok()?];
        (&file).read_exact(&mut bytes).ok()?;
        let content = bytes.strip_prefix(MAGIC)?;
        let (hash, content) = content.split_at_checked(HASH)?;
        if Sha256::digest(content).as_slice() != hash {
            return None;
        }
        // Room is made by modification time, of which an hour says enough; a failure only makes this entry look
        // older.
        if metadata
            .modified()
            .ok()?
            .elapsed()
            .is_ok_and(|age| age > FRESH)
        {
            let _ = rustix::fs::futimens(&file, &TOUCH);
        }
        bytes.drain(..MAGIC.len() + HASH);
        Some(bytes)
    }

    /// Keeps `content` under `key`. Half-written files are never seen: the hash covers what a
    /// crash can leave, the rename covers readers.
    pub(crate) fn write(&self, kind: Kind, key: &Key, content: &[u8]) -> io::Result<()> {
        let size = (MAGIC.len() + HASH + content.len()) as u64;
        if size > ENTRY {
            return Ok(());
        }
        self.make_room(size)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let temporary = format!("new-{}", hex(&random));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.dir, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = fs::File::from(fd);
        let written = file
            .write_all(MAGIC)
            .and_then(|()| file.write_all(&Sha256::digest(content)))
            .and_then(|()| file.write_all(content))
            .and_then(|()| {
                rustix::fs::renameat(&self.dir, &temporary, &self.dir, name(kind, key))
                    .map_err(io::Error::from)
            });
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.dir, &temporary, AtFlags::empty());
        }
        written
    }

    /// Removes the least recently used entries until `size` more bytes fit.
    fn make_room(&self, size: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.dir)?.take(COUNT) {
            let entry = entry?;
            let name = entry.file_name().to_owned();
            if !name.to_str().is_ok_and(is_ours) {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(&self.dir, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            entries.push((stat.st_mtime, stat.st_mtime_nsec, name, size));
        }
        let mut total: u64 = entries.iter().map(|e| e.3).sum::<u64>() + size;
        if total <= TOTAL {
            return Ok(());
        }
        entries.sort_unstable();
        for (_, _, name, size) in entries {
            if total <= TOTAL {
                break;
            }
            // Another process may be making room too; what is gone is gone.
            let _ = rustix::fs::unlinkat(&self.dir, &name, AtFlags::empty());
            total -= size;
        }
        Ok(())
    }
}

/// The directory of entries and those above it.
fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match rustix::fs::mkdir(path, Mode::RWXU) {
        // Somebody else begins too.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// An entry that was read or written less than this ago is not marked as used again.
const FRESH: Duration = Duration::from_secs(3600);

const TOUCH: Timestamps = Timestamps {
    last_access: Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_OMIT,
    },
    last_modification: Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    },
};

/// `$XDG_CACHE_HOME/portcullis`, else `~/.cache/portcullis` (XDG Base Directory Specification:
/// relative paths are to be ignored).
pub(crate) fn directory() -> Option<PathBuf> {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|cache| cache.join("portcullis"))
}

fn name(kind: Kind, key: &Key) -> String {
    let kind = match kind {
        Kind::Memo => "memo",
        Kind::Scan => "scan",
        Kind::Brief => "brief",
        Kind::Filter => "filter",
    };
    format!("{kind}-{}", hex(key))
}

fn is_ours(name: &str) -> bool {
    ["memo-", "scan-", "brief-", "filter-", "new-"]
        .iter()
        .any(|kind| name.starts_with(kind))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::SystemTime;

    use super::*;

    const KEY: Key = [7; 32];

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_at(&dir.path().join("a/portcullis")).unwrap();
        (dir, store)
    }

    #[test]
    fn what_was_written_is_read() {
        let (_dir, store) = store();
        assert_eq!(store.read(Kind::Scan, &KEY), None);
        store.write(Kind::Scan, &KEY, b"content").unwrap();
        assert_eq!(
            store.read(Kind::Scan, &KEY).as_deref(),
            Some(&b"content"[..])
        );
        assert_eq!(store.read(Kind::Memo, &KEY), None);
        let mode = fs::metadata(&store.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn every_changed_byte_is_a_miss() {
        let (_dir, store) = store();
        store.write(Kind::Scan, &KEY, b"content").unwrap();
        let path = store.path.join(name(Kind::Scan, &KEY));
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert_eq!(store.read(Kind::Scan, &KEY), None, "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert_eq!(store.read(Kind::Scan, &KEY), None, "cut at {at}");
        }
    }

    #[test]
    fn an_entry_that_is_no_regular_file_is_a_miss() {
        let (_dir, store) = store();
        let path = store.path.join(name(Kind::Scan, &KEY));
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(store.read(Kind::Scan, &KEY), None);
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(store.read(Kind::Scan, &KEY), None);
    }

    #[test]
    fn a_directory_that_others_can_read_is_not_used() {
        let (_dir, store) = store();
        fs::set_permissions(&store.path, fs::Permissions::from_mode(0o750)).unwrap();
        let again = Store::open_at(&store.path);
        assert!(matches!(again, Err(Unusable::NotPrivate(_))), "{again:?}");
    }

    #[test]
    fn an_entry_that_is_read_is_marked_as_used_once_an_hour() {
        let (_dir, store) = store();
        store.write(Kind::Scan, &KEY, b"content").unwrap();
        let file = fs::File::options()
            .write(true)
            .open(store.path.join(name(Kind::Scan, &KEY)))
            .unwrap();
        let modified = || file.metadata().unwrap().modified().unwrap();
        let now = SystemTime::now();
        for (age, is_marked) in [(FRESH / 2, false), (2 * FRESH, true)] {
            file.set_modified(now - age).unwrap();
            store.read(Kind::Scan, &KEY).unwrap();
            assert_eq!(modified() > now - age, is_marked, "{age:?}");
        }
    }

    #[test]
    fn the_least_recently_used_entry_goes_first() {
        let (_dir, store) = store();
        for (key, seconds) in [(1, 100), (2, 50), (3, 200)] {
            store.write(Kind::Scan, &[key; 32], b"x").unwrap();
            let file = fs::File::options()
                .write(true)
                .open(store.path.join(name(Kind::Scan, &[key; 32])))
                .unwrap();
            // Sparse, so that the test costs no room.
            file.set_len(TOTAL / 3).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
                .unwrap();
        }
        fs::write(store.path.join("somebody-else"), b"").unwrap();
        store.write(Kind::Scan, &[4; 32], b"y").unwrap();
        let left: Vec<bool> = [1, 2, 3, 4]
            .iter()
            .map(|k| store.path.join(name(Kind::Scan, &[*k; 32])).exists())
            .collect();
        assert_eq!(left, [true, false, true, true]);
        assert!(store.path.join("somebody-else").exists());
    }
}
