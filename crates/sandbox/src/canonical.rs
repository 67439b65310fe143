//! Where paths lead, with every directory on the way looked at once: a view asks for some hundred paths of a few
//! directories, most of which are not there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Paths without symbolic links, as they were when each was first asked for.
#[derive(Default)]
pub(crate) struct Canonical(RefCell<HashMap<PathBuf, Result<PathBuf, Errno>>>);

impl Canonical {
    /// The same as [`Path::canonicalize`] says.
    pub(crate) fn of(&self, path: &Path) -> io::Result<PathBuf> {
        // What is not spelled plainly is left to who knows all of it.
        let mut parts = path.as_os_str().as_bytes().split(|b| *b == b'/');
        let is_absolute = parts.next() == Some(b"");
        let is_plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
        match is_absolute && parts.all(is_plain) {
            true => self.plain(path).map_err(io::Error::from),
            false => path.canonicalize(),
        }
    }

    fn plain(&self, path: &Path) -> Result<PathBuf, Errno> {
        if let Some(known) = self.0.borrow().get(path) {
            return known.clone();
        }
        let found = self.look(path);
        self.0.borrow_mut().insert(path.to_owned(), found.clone());
        found
    }

    fn look(&self, path: &Path) -> Result<PathBuf, Errno> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(path.to_owned());
        };
        let own = self.plain(above)?.join(name);
        match rustix::fs::readlink(&own, Vec::new()) {
            // It is there, and no link (readlink(2)).
            Err(Errno::INVAL) => Ok(own),
            Err(error) => Err(error),
            Ok(_) => own.canonicalize().map_err(|error| {
                let number = error.raw_os_error().unwrap_or(libc::EIO);
                Errno::from_raw_os_error(number)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn it_is_what_the_standard_library_says() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(place.join("a/b")).unwrap();
        std::fs::write(place.join("a/file"), "").unwrap();
        symlink("a/b", place.join("link")).unwrap();
        symlink("nowhere", place.join("broken")).unwrap();
        symlink("loop", place.join("loop")).unwrap();
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
