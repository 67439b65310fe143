//! Where paths lead, and by whom they are entered, with every file on the way looked at once: a view asks for some
//! hundred paths of a few directories, most of which are not there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

/// Links that are followed here, one after the other; what takes more is left to who knows the kernel's own limit.
const MOST_LINKS: usize = 8;

/// Paths without symbolic links, and modes of files, as they were when each was first asked for. They are compared as
/// bytes: to compare them part by part takes longer than the kernel does to find them.
#[derive(Default)]
pub(crate) struct Canonical {
    paths: RefCell<HashMap<OsString, Result<PathBuf, Errno>>>,
    modes: RefCell<HashMap<OsString, Option<u32>>>,
}

impl Canonical {
    /// The same as [`Path::canonicalize`] says.
    pub(crate) fn of(&self, path: &Path) -> io::Result<PathBuf> {
        // What is not spelled plainly is left to who knows all of it.
        match is_plain(path) {
            true => self.plain(path, 0).map_err(io::Error::from),
            false => path.canonicalize(),
        }
    }

    fn plain(&self, path: &Path, links: usize) -> Result<PathBuf, Errno> {
        let name = path.as_os_str();
        if let Some(known) = self.paths.borrow().get(name) {
            return known.clone();
        }
        // What leads to itself finds this.
        let remember = |found| self.paths.borrow_mut().insert(name.to_owned(), found);
        remember(Err(Errno::LOOP));
        let found = self.look(path, links);
        remember(found.clone());
        found
    }

    fn look(&self, path: &Path, links: usize) -> Result<PathBuf, Errno> {
        let Some(above) = above(path).next() else {
            return Ok(path.to_owned());
        };
        let bytes = path.as_os_str().as_bytes();
        let name = bytes.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let above = self.plain(above, links)?;
        let own = above.join(OsStr::from_bytes(name));
        let mode = rustix::fs::lstat(&own)?.st_mode;
        if FileType::from_raw_mode(mode) != FileType::Symlink {
            let name = own.clone().into_os_string();
            self.modes.borrow_mut().insert(name, Some(mode));
            return Ok(own);
        }
        let target = rustix::fs::readlink(&own, Vec::new())?;
        let target = above.join(OsStr::from_bytes(target.as_bytes()));
        match links < MOST_LINKS && is_plain(&target) {
            true => self.plain(&target, links + 1),
            false => own.canonicalize().map_err(|error| {
                let number = error.raw_os_error().unwrap_or(libc::EIO);
                Errno::from_raw_os_error(number)
            }),
        }
    }

    /// The mode of what is at `path`, its kind included; `None` when nothing can be seen there.
    pub(crate) fn mode(&self, path: &Path) -> Option<u32> {
        let name = path.as_os_str();
        if let Some(known) = self.modes.borrow().get(name) {
            return *known;
        }
        let found = std::fs::metadata(path).ok().map(|found| found.mode());
        self.modes.borrow_mut().insert(name.to_owned(), found);
        found
    }

    /// The same as [`Path::is_dir`] says.
    pub(crate) fn is_dir(&self, path: &Path) -> bool {
        self.mode(path).is_some_and(is_directory)
    }

    /// Whether everybody may read what is at `path`, and enter it if it is a directory.
    pub(crate) fn is_open(&self, path: &Path) -> bool {
        self.mode(path).is_some_and(|mode| {
            let needed = if is_directory(mode) { 0o005 } else { 0o004 };
            mode & needed == needed
        })
    }
}

fn is_directory(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::Directory
}

/// The directories above `path`, which is absolute and spelled plainly, the nearest first.
pub(crate) fn above(path: &Path) -> impl Iterator<Item = &Path> {
    let bytes = path.as_os_str().as_bytes();
    let ends = (0..bytes.len()).rev().filter(|_| bytes.len() > 1);
    let ends = ends.filter(|at| bytes[*at] == b'/');
    ends.map(|at| Path::new(OsStr::from_bytes(&bytes[..at.max(1)])))
}

/// Whether `path` is `directory` or below it; both as above.
pub(crate) fn is_within(path: &OsStr, directory: &Path) -> bool {
    let directory = directory.as_os_str().as_bytes();
    let rest = path.as_bytes().strip_prefix(directory);
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || directory == b"/")
}

/// Whether `path` is absolute and each of its parts is a name.
fn is_plain(path: &Path) -> bool {
    let mut parts = path.as_os_str().as_bytes().split(|b| *b == b'/');
    let is_absolute = parts.next() == Some(b"");
    is_absolute && parts.all(|part| !matches!(part, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_above_and_within_is_what_the_standard_library_says() {
        let paths = ["/", "/a", "/a/b", "/a/bc", "/ab", "/a/b/c"].map(Path::new);
        for path in paths {
            let own: Vec<&Path> = above(path).collect();
            let theirs: Vec<&Path> = path.ancestors().skip(1).collect();
            assert_eq!(own, theirs);
            for other in paths {
                let own = is_within(path.as_os_str(), other);
                assert_eq!(own, path.starts_with(other), "{path:?} {other:?}");
            }
        }
    }

    #[test]
    fn it_is_what_the_standard_library_says() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(place.join("a/b")).unwrap();
        std::fs::write(place.join("a/file"), "").unwrap();
        symlink("a/b", place.join("link")).unwrap();
        symlink("nowhere", place.join("broken")).unwrap();
        symlink("loop", place.join("loop")).unwrap();
        symlink(place.join("link"), place.join("absolute")).unwrap();
        symlink("a/../a/b", place.join("around")).unwrap();
        symlink("round/a", place.join("round")).unwrap();
        symlink("there", place.join("back")).unwrap();
        symlink("back", place.join("there")).unwrap();
        for number in 1..30 {
            let before = format!("chain{}", number - 1);
            symlink(before, place.join(format!("chain{number}"))).unwrap();
        }
        symlink("a", place.join("chain0")).unwrap();
        let canonical = Canonical::default();
        for name in [
            "a",
            "a/b",
            "a/file",
            "a/file/below",
            "a/file/",
            "link",
            "link/..",
            "a/./b",
            "a//b",
            "none",
            "none/below",
            "broken",
            "broken/below",
            "loop",
            "loop/below",
            "absolute",
            "absolute/below",
            "around",
            "round",
            "round/a",
            "back",
            "there",
            "chain29/b",
            "chain5",
            "",
        ] {
            let path = place.join(name);
            let (own, theirs) = (canonical.of(&path), path.canonicalize());
            let number = |e: io::Error| e.raw_os_error();
            assert_eq!(own.map_err(number), theirs.map_err(number), "{name}");
        }
        let own = canonical.of(Path::new(".")).unwrap();
        assert_eq!(own, std::env::current_dir().unwrap());
        assert_eq!(canonical.of(Path::new("/")).unwrap(), Path::new("/"));
    }
}
