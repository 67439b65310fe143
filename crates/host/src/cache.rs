//! Artifacts that were prepared before, in a directory of the host's own.
//!
//! An entry is named after all that decides what a preparation makes: the module, the preparing program, the
//! processor's features, the parameters. Its first bytes authenticate the rest. What is corrupt, or was put there
//! by somebody else, is removed and prepared again; no job is blamed for it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use portcullis_sandbox::LayerName;
use sha2::{Digest as _, Sha256};

use crate::artifact::{Artifact, Key, Tag};
use crate::error::Error;
use crate::image::Image;
use crate::prepare::{Preparation, prepare};
use crate::wire::MOST_BODY;

/// A directory of artifacts, and the key that authenticates them.
pub struct Cache {
    directory: PathBuf,
    key: Key,
    most: u64,
    processor: [u8; 32],
}

/// What an artifact is called after.
pub(crate) type Name = [u8; 32];

/// Where an artifact came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// It was there.
    Kept,
    /// It was prepared.
    Made,
    /// What was there was not what had been prepared; it was removed, and prepared again.
    MadeAgain,
}

/// Tells files of one process apart while they are written.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The file of the key.
const KEY: &str = "key";
/// Begins the names of artifacts, and of files that are being written.
const ENTRY: &str = "artifact-";
const NEW: &str = "new-";

impl Cache {
    /// Opens the cache in `directory`, which is made when it is not there; it keeps up to `most` bytes. A directory
    /// that others can enter or that belongs to somebody else is refused: who can write there is trusted to run
    /// code in workers.
    pub fn open(directory: &Path, most: u64) -> Result<Cache, Error> {
        let failed = at(directory);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(&failed)?;
        let found = fs::symlink_metadata(directory).map_err(&failed)?;
        let own = found.uid() == rustix::process::geteuid().as_raw();
        if !found.is_dir() || !own || found.mode() & 0o077 != 0 {
            return Err(failed(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "not a directory of this user alone (mode 0700)",
            )));
        }
        Ok(Cache {
            key: key(directory)?,
            directory: directory.to_owned(),
            most,
            processor: Sha256::digest(processor().as_bytes()).into(),
        })
    }

    /// The artifact of a module: kept, or prepared now by `image`.
    pub fn artifact(
        &self,
        image: &Image,
        wanted: &Preparation<'_>,
        without: &[LayerName],
    ) -> Result<(Artifact, Found), Error> {
        let name = self.name(image, wanted);
        let path = self.directory.join(format!("{ENTRY}{}", hex(&name)));
        let mut found = Found::Made;
        if let Some((tag, bytes)) = read(&path)? {
            if let Some(artifact) = Artifact::kept(&bytes, &tag, &name, &self.key)? {
                // For the order of last use. A cache that cannot be written is still one.
                let _ = File::open(&path).and_then(|f| f.set_modified(SystemTime::now()));
                return Ok((artifact, Found::Kept));
            }
            found = Found::MadeAgain;
            let _ = fs::remove_file(&path);
        }
        let bytes = prepare(image, wanted, without)?;
        let (artifact, tag) = Artifact::made(&bytes, &name, &self.key)?;
        self.keep(&path, &tag, &bytes)?;
        Ok((artifact, found))
    }

    /// What an artifact is made of.
    pub(crate) fn name(&self, image: &Image, wanted: &Preparation<'_>) -> Name {
        let mut hash = Sha256::new();
        hash.update(b"portcullis artifact 3");
        hash.update(Sha256::digest(wanted.module));
        hash.update(image.program());
        hash.update([u8::from(wanted.metered)]);
        hash.update(wanted.allocations.to_le_bytes());
        hash.update(self.processor);
        hash.finalize().into()
    }

    fn keep(&self, path: &Path, tag: &Tag, bytes: &[u8]) -> Result<(), Error> {
        let size = length(bytes.len());
        if size > self.most {
            return Ok(());
        }
        self.make_room(self.most - size)?;
        write_new(&self.directory, path, &[tag, bytes])
    }

    /// Removes what was not used for longest until what is left has at most `most` bytes.
    fn make_room(&self, most: u64) -> Result<(), Error> {
        let failed = at(&self.directory);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            let known = entry.file_name();
            let known = known.to_string_lossy();
            let Ok(metadata) = entry.metadata() else {
                // Another process removed it.
                continue;
            };
            if known.starts_with(ENTRY) || known.starts_with(NEW) {
                let used = (metadata.mtime(), metadata.mtime_nsec());
                entries.push((used, metadata.len(), entry.path()));
            }
        }
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in entries {
            if total <= most {
                break;
            }
            // One that is gone already is as good.
            let _ = fs::remove_file(&path);
            total -= size;
        }
        Ok(())
    }
}

/// What the kernel says of the first processor's features.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let features = ["flags", "Features", "model name", "CPU part"];
    let lines = text.lines().take_while(|line| !line.is_empty());
    let lines = lines.filter(|line| features.iter().any(|name| line.starts_with(name)));
    lines.collect::<Vec<_>>().join("\n")
}

/// The tag and the bytes of an entry; `None` when there is none, or nothing that could be one.
fn read(path: &Path) -> Result<Option<(Tag, Vec<u8>)>, Error> {
    let failed = at(path);
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(&failed)?,
    };
    let mut bytes = Vec::new();
    let most = length(MOST_BODY + size_of::<Tag>());
    file.take(most).read_to_end(&mut bytes).map_err(&failed)?;
    // One that is too short authenticates nothing, which is found out later.
    let tag = bytes.first_chunk().copied().unwrap_or_default();
    let rest = bytes.split_off(size_of::<Tag>().min(bytes.len()));
    Ok(Some((tag, rest)))
}

/// The key of the directory, made when there is none.
fn key(directory: &Path) -> Result<Key, Error> {
    let path = directory.join(KEY);
    let failed = at(&path);
    for _ in 0..2 {
        match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(33).read_to_end(&mut bytes).map_err(&failed)?;
                let bytes = bytes.try_into().map_err(|_| {
                    failed(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "not 32 bytes; remove it, and all is prepared anew",
                    ))
                })?;
                return Ok(Key::new(bytes));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let new = Key::random()?;
                match link_new(directory, &path, &[new.bytes()]) {
                    // Another process was faster.
                    Err(Error::File { reason, .. })
                        if reason.kind() == io::ErrorKind::AlreadyExists => {}
                    other => other?,
                }
            }
            Err(e) => return Err(failed(e)),
        }
    }
    Err(failed(io::Error::from(io::ErrorKind::NotFound)))
}

/// Writes a file whole, in place of whatever is there.
fn write_new(directory: &Path, path: &Path, parts: &[&[u8]]) -> Result<(), Error> {
    let new = fresh(directory, parts)?;
    fs::rename(&new, path).map_err(at(path))
}

/// Writes a file whole, where there must be none.
fn link_new(directory: &Path, path: &Path, parts: &[&[u8]]) -> Result<(), Error> {
    let new = fresh(directory, parts)?;
    let linked = fs::hard_link(&new, path).map_err(at(path));
    fs::remove_file(&new).map_err(at(&new))?;
    linked
}

fn fresh(directory: &Path, parts: &[&[u8]]) -> Result<PathBuf, Error> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("{NEW}{}-{number}", std::process::id()));
    let failed = at(&path);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .map_err(&failed)?;
    let mut parts = parts.iter();
    if let Err(reason) = parts.try_for_each(|part| file.write_all(part)) {
        // A part for which there was no room takes none.
        let _ = fs::remove_file(&path);
        return Err(failed(reason));
    }
    Ok(path)
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |reason| Error::File {
        path: path.clone(),
        reason,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_stays_and_is_the_users_alone() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("cache");
        let first = Cache::open(&directory, 0).unwrap();
        let again = Cache::open(&directory, 0).unwrap();
        assert_eq!(first.key.bytes(), again.key.bytes());
        let mode = fs::metadata(directory.join(KEY)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);

        fs::write(directory.join(KEY), "short").unwrap();
        assert!(Cache::open(&directory, 0).is_err());
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(Cache::open(place.path(), 0).is_err());
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("cache");
        let cache = Cache::open(&directory, 220).unwrap();
        let path = |name: &str| directory.join(format!("{ENTRY}{name}"));
        for (name, seconds) in [("a", 2), ("b", 1), ("c", 3)] {
            cache.keep(&path(name), &[0; 32], &[0; 68]).unwrap();
            let file = File::open(path(name)).unwrap();
            let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(then).unwrap();
        }
        // There was no room for three: the first went for the third, being the older one then.
        let there = |name: &str| path(name).exists();
        assert_eq!([there("a"), there("b"), there("c")], [true, false, true]);
        // One that is larger than the whole is not kept, and nothing goes for it.
        cache.keep(&path("d"), &[0; 32], &[0; 300]).unwrap();
        assert_eq!([there("a"), there("c"), there("d")], [true, true, false]);
    }
}
