//! What an analysis looked at, and whether all of it is still so.
//!
//! A library that appears earlier in the search path changes the closure as much as a changed file
//! does, so the paths that were *not* found count too. Times can lie in one way: a file that was
//! written within the granularity of its time stamps, just before it was read, can change again
//! without a new time. Such a file is compared by content until its times are old enough.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::store::Key;

/// Paths that one memo may hold; an analysis that looks at more is not remembered.
const PATHS: usize = 20_000;
/// Older time stamps than this, at the time of reading, cannot hide a later write: FAT keeps
/// times in steps of two seconds, everything else is finer.
const SETTLED_NS: i128 = 2_000_000_000;

/// What a request led to, as long as [`Memo::holds`].
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(crate) struct Memo {
    /// The closure's key.
    pub(crate) closure: Key,
    seen: Vec<(Vec<u8>, Seen)>,
}

/// What was found at a path, links followed.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
enum Seen {
    /// Nothing, or no way to it (the error number).
    Nothing(i32),
    /// A directory that was only passed or probed.
    Directory,
    /// A directory whose entries were read.
    Listing(Identity),
    /// A regular file.
    File(Identity, Content),
    /// Something else: its file type bits.
    Other(u32),
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: i128,
    changed: i128,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
struct Content {
    sha256: [u8; 32],
    /// Times alone tell whether it is the same.
    settled: bool,
}

/// Whether a memo still says the truth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holds {
    /// By times, sizes and inodes alone.
    Yes,
    /// By content; a new memo would be answered without reading next time.
    ByContent,
    /// Something changed.
    No,
}

impl Memo {
    /// The bytes to store.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        postcard::to_stdvec(self).ok()
    }

    /// The memo that `bytes` hold.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Memo> {
        let (memo, rest) = postcard::take_from_bytes::<Memo>(bytes).ok()?;
        rest.is_empty().then_some(memo)
    }

    /// Looks at every path again.
    pub(crate) fn holds(&self) -> Holds {
        let mut answer = Holds::Yes;
        for (path, then) in &self.seen {
            let path = PathBuf::from(std::ffi::OsString::from_vec(path.clone()));
            let same = match (then, look(&path)) {
                (Seen::Nothing(then), Look::Nothing(now)) => *then == now,
                (Seen::Directory, Look::Directory(_)) => true,
                (Seen::Listing(then), Look::Directory(now)) => *then == now,
                (Seen::Other(then), Look::Other(now)) => *then == now,
                (Seen::File(then, content), Look::File(now)) => {
                    if *then == now && content.settled {
                        continue;
                    }
                    answer = Holds::ByContent;
                    then.size == now.size
                        && hash(&path).is_ok_and(|(_, hash)| hash == content.sha256)
                }
                _ => false,
            };
            if !same {
                return Holds::No;
            }
        }
        answer
    }

    /// The same memo with the present times of its files; `None` when they change meanwhile.
    pub(crate) fn refreshed(&self) -> Option<Memo> {
        let recorder = Recorder::default();
        for (path, seen) in &self.seen {
            let path = Path::new(std::ffi::OsStr::from_bytes(path));
            match seen {
                Seen::Listing(_) => recorder.listed(path),
                _ => recorder.looked_at(path),
            }
        }
        let fresh = recorder.finish(self.closure, |path| Some(hash(path).ok()?.1))?;
        let content = |memo: &Memo| -> Vec<Option<[u8; 32]>> {
            memo.seen
                .iter()
                .map(|(_, seen)| match seen {
                    Seen::File(_, content) => Some(content.sha256),
                    _ => None,
                })
                .collect()
        };
        (content(&fresh) == content(self)).then_some(fresh)
    }
}

/// Collects what an analysis looks at, while it does.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    looks: Mutex<Looks>,
}

impl Recorder {
    /// Call before `path` is opened or probed.
    pub(crate) fn looked_at(&self, path: &Path) {
        self.note(path, false);
    }

    /// Call before the entries of `path` are read.
    pub(crate) fn listed(&self, path: &Path) {
        self.note(path, true);
    }

    fn note(&self, path: &Path, listed: bool) {
        let mut looks = match self.looks.lock() {
            Ok(looks) => looks,
            // A map of finished insertions is whole whatever panicked elsewhere.
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some((_, was_listed)) = looks.get_mut(path) {
            *was_listed |= listed;
        } else if looks.len() <= PATHS {
            // The first look counts: what changes after it is found at the end.
            looks.insert(path.to_owned(), (look(path), listed));
        }
    }

    /// The memo, when nothing changed since the first look at each path. `known` gives hashes that
    /// the analysis has computed already, of the bytes that it used.
    pub(crate) fn finish(
        self,
        closure: Key,
        known: impl Fn(&Path) -> Option<[u8; 32]>,
    ) -> Option<Memo> {
        let looks = match self.looks.into_inner() {
            Ok(looks) => looks,
            Err(poisoned) => poisoned.into_inner(),
        };
        if looks.len() > PATHS {
            return None;
        }
        let now = i128::try_from(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()?
                .as_nanos(),
        );
        let now = now.ok()?;
        let seen = without_what_is_below(looks)?
            .into_iter()
            .map(|(path, (then, listed))| {
                let seen = match &then {
                    Look::Nothing(error) => Seen::Nothing(*error),
                    Look::Directory(identity) if listed => Seen::Listing(*identity),
                    Look::Directory(_) => Seen::Directory,
                    Look::Other(kind) => Seen::Other(*kind),
                    Look::File(identity) => {
                        let settled = identity.modified.max(identity.changed) < now - SETTLED_NS;
                        let sha256 = match known(&path) {
                            Some(hash) => hash,
                            // Times cannot tell whether these are still the bytes that were used.
                            None if !settled => return None,
                            None => hash(&path).ok()?.1,
                        };
                        Seen::File(*identity, Content { sha256, settled })
                    }
                };
                let unchanged = match (&seen, look(&path)) {
                    (Seen::Directory, Look::Directory(_)) => true,
                    (_, again) => again == then,
                };
                unchanged.then(|| (path.into_os_string().into_vec(), seen))
            })
            .collect::<Option<_>>()?;
        Some(Memo { closure, seen })
    }
}

/// What was looked at, and whether its entries were read.
type Looks = BTreeMap<PathBuf, (Look, bool)>;

/// The same looks, with the uppermost directory that is missing in place of what was not found below it: while that is
/// missing, so is all that could be there, and there are many paths of the kind. `None` when it was there meanwhile.
fn without_what_is_below(looks: Looks) -> Option<Looks> {
    let missing = Look::Nothing(Errno::NOENT.raw_os_error());
    let is_missing = |path: &&Path| path.has_root() && look(path) == missing;
    let mut kept = Looks::new();
    // They come one after the other, so that the last place is mostly the next one's too.
    let mut last: Option<PathBuf> = None;
    for (mut path, (then, listed)) in looks {
        if then == missing {
            let known = last.take().filter(|last| path.starts_with(last));
            path = known.unwrap_or_else(|| {
                let uppermost = path.ancestors().take_while(is_missing).last();
                uppermost.unwrap_or(&path).to_owned()
            });
            last = Some(path.clone());
        }
        let kept = kept.entry(path).or_insert_with(|| (then.clone(), false));
        if kept.0 != then {
            return None;
        }
        kept.1 |= listed;
    }
    Some(kept)
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Look {
    Nothing(i32),
    Directory(Identity),
    File(Identity),
    Other(u32),
}

fn look(path: &Path) -> Look {
    let stat = match rustix::fs::stat(path) {
        Ok(stat) => stat,
        Err(error) => return Look::Nothing(error.raw_os_error()),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Look::File(Identity::new(&stat)),
        FileType::Directory => Look::Directory(Identity::new(&stat)),
        kind => Look::Other(kind.as_raw_mode()),
    }
}

impl Identity {
    fn new(stat: &Stat) -> Identity {
        let ns = |seconds: i64, ns: u64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: ns(stat.st_mtime, stat.st_mtime_nsec),
            changed: ns(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// The identity and SHA-256 of a regular file, read to the size that it has when it is opened.
fn hash(path: &Path) -> io::Result<(Identity, [u8; 32])> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL.into());
    }
    let identity = Identity::new(&stat);
    let mut hasher = Sha256::new();
    let mut rest = file.take(identity.size);
    let mut buffer = vec![0; 1 << 18];
    loop {
        match rest.read(&mut buffer)? {
            0 => return Ok((identity, hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    const CLOSURE: Key = [9; 32];

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Place {
            let place = Place {
                dir: tempfile::tempdir().unwrap(),
            };
            fs::write(place.at("file"), "content").unwrap();
            fs::create_dir(place.at("dir")).unwrap();
            place
        }

        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn memo(&self) -> Memo {
            let recorder = Recorder::default();
            for name in ["file", "dir", "absent", "file/below"] {
                recorder.looked_at(&self.at(name));
            }
            recorder.looked_at(Path::new("/dev/null"));
            recorder
                .finish(CLOSURE, |path| Some(hash(path).unwrap().1))
                .unwrap()
        }

        /// As if the memo had been written long after the files.
        fn settled(&self) -> Memo {
            let mut memo = self.memo();
            for (_, seen) in &mut memo.seen {
                if let Seen::File(_, content) = seen {
                    content.settled = true;
                }
            }
            memo
        }
    }

    #[test]
    fn an_unchanged_place_holds() {
        let place = Place::new();
        assert_eq!(place.settled().holds(), Holds::Yes);
        let memo = place.settled();
        assert_eq!(Memo::decode(&memo.encode().unwrap()), Some(memo));
    }

    #[test]
    fn a_fresh_file_is_compared_by_content() {
        let place = Place::new();
        let memo = place.memo();
        assert_eq!(memo.holds(), Holds::ByContent);
        assert_eq!(memo.refreshed(), Some(place.memo()));
    }

    #[test]
    fn every_kind_of_change_is_seen() {
        type Change = (&'static str, fn(&Place));
        let changes: &[Change] = &[
            ("content", |p| fs::write(p.at("file"), "CONTENT").unwrap()),
            ("size", |p| {
                fs::write(p.at("file"), "longer than it was").unwrap()
            }),
            ("removed", |p| fs::remove_file(p.at("file")).unwrap()),
            ("appeared", |p| fs::write(p.at("absent"), "").unwrap()),
            ("kind", |p| {
                fs::remove_dir(p.at("dir")).unwrap();
                fs::write(p.at("dir"), "").unwrap();
            }),
        ];
        for (name, change) in changes {
            let place = Place::new();
            let memo = place.memo();
            change(&place);
            assert_eq!(memo.holds(), Holds::No, "{name}");
            assert_eq!(memo.refreshed().filter(|m| *m == memo), None, "{name}");
        }
    }

    #[test]
    fn what_is_missing_is_remembered_by_the_directory_that_is() {
        let place = Place::new();
        let recorder = Recorder::default();
        for name in ["none/a/x", "none/a/y", "none/b", "dir/none", "file/below/x"] {
            recorder.looked_at(&place.at(name));
        }
        let memo = recorder.finish(CLOSURE, |_| None).unwrap();
        let paths: Vec<PathBuf> = memo
            .seen
            .iter()
            .map(|(path, _)| std::ffi::OsString::from_vec(path.clone()).into())
            .collect();
        let expected = ["dir/none", "file/below/x", "none"].map(|name| place.at(name));
        assert_eq!(paths, expected);
        assert_eq!(memo.holds(), Holds::Yes);
        for name in ["none", "dir/none"] {
            fs::create_dir(place.at(name)).unwrap();
            assert_eq!(memo.holds(), Holds::No, "{name}");
            fs::remove_dir(place.at(name)).unwrap();
            assert_eq!(memo.holds(), Holds::Yes, "{name}");
        }
    }

    #[test]
    fn the_same_content_with_other_times_holds() {
        let place = Place::new();
        let memo = place.settled();
        let file = fs::File::options()
            .write(true)
            .open(place.at("file"))
            .unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(100))
            .unwrap();
        assert_eq!(memo.holds(), Holds::ByContent);
    }

    #[test]
    fn the_same_size_and_modification_time_with_other_content_does_not() {
        let place = Place::new();
        let memo = place.memo();
        let modified = fs::metadata(place.at("file")).unwrap().modified().unwrap();
        fs::write(place.at("file"), "CONTENT").unwrap();
        let file = fs::File::options()
            .write(true)
            .open(place.at("file"))
            .unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(memo.holds(), Holds::No);
    }

    #[test]
    fn a_change_during_the_analysis_leaves_no_memo() {
        let place = Place::new();
        let recorder = Recorder::default();
        recorder.looked_at(&place.at("file"));
        fs::write(place.at("file"), "another size").unwrap();
        assert_eq!(recorder.finish(CLOSURE, |_| None), None);
    }

    #[test]
    fn a_fresh_file_of_unknown_content_leaves_no_memo() {
        let place = Place::new();
        let recorder = Recorder::default();
        recorder.looked_at(&place.at("file"));
        assert_eq!(recorder.finish(CLOSURE, |_| None), None);
    }

    #[test]
    fn a_listed_directory_counts_with_its_entries() {
        let place = Place::new();
        let recorder = Recorder::default();
        recorder.looked_at(&place.at("dir"));
        recorder.listed(&place.at("dir"));
        let memo = recorder.finish(CLOSURE, |_| None).unwrap();
        assert_eq!(memo.holds(), Holds::Yes);
        let dir = fs::File::open(place.at("dir")).unwrap();
        dir.set_modified(SystemTime::now() + Duration::from_secs(5))
            .unwrap();
        assert_eq!(memo.holds(), Holds::No);
    }
}
