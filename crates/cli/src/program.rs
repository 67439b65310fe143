//! Which file a program name after `--` means.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

use crate::exit::Exit;
use crate::neutral;

/// A program that cannot be started, as a shell tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotStartable {
    /// Exit code 127.
    NotFound(OsString),
    /// Exit code 126.
    NotExecutable(PathBuf),
}

impl NotStartable {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            NotStartable::NotFound(_) => Exit::NotFound,
            NotStartable::NotExecutable(_) => Exit::NotExecutable,
        }
    }
}

impl fmt::Display for NotStartable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotStartable::NotFound(name) => {
                write!(f, "{}: not found", neutral::bytes(name.as_bytes()))?;
                if !name.as_bytes().contains(&b'/') {
                    write!(f, " in PATH (a file of this directory is ./NAME)")?;
                }
                Ok(())
            }
            NotStartable::NotExecutable(path) => write!(
                f,
                "{}: not executable for this user, or no regular file",
                neutral::path(path)
            ),
        }
    }
}

/// The file that `name` means: itself when it holds a slash, else the first executable in PATH.
pub(crate) fn find(name: &OsStr) -> Result<PathBuf, NotStartable> {
    find_in(name, env::var_os("PATH").as_deref())
}

fn find_in(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, NotStartable> {
    let not_found = || NotStartable::NotFound(name.to_owned());
    if name.is_empty() {
        return Err(not_found());
    }
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match (path.exists(), executable(&path)) {
            (false, _) => Err(not_found()),
            (true, false) => Err(NotStartable::NotExecutable(path)),
            (true, true) => Ok(path),
        };
    }
    let mut found = None;
    for directory in env::split_paths(path.ok_or_else(not_found)?) {
        // An empty element is the working directory (POSIX, 8.3); `join` alone would give a name
        // without a slash.
        let candidate = Path::new(".").join(directory).join(name);
        if executable(&candidate) {
            return Ok(candidate);
        }
        if candidate.is_file() {
            found.get_or_insert(candidate);
        }
    }
    Err(found.map_or_else(not_found, NotStartable::NotExecutable))
}

fn executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(path: &Path, mode: u32) {
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn path_is_searched_in_order_and_directories_are_no_programs() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|n| dir.path().join(n));
        for d in [&a, &b, &c] {
            fs::create_dir(d).unwrap();
        }
        fs::create_dir(a.join("tool")).unwrap();
        file(&b.join("tool"), 0o755);
        file(&c.join("tool"), 0o755);
        file(&a.join("data"), 0o644);
        let path = env::join_paths([&a, &b, &c]).unwrap();
        let find = |name: &str| find_in(name.as_ref(), Some(&path));
        assert_eq!(find("tool"), Ok(b.join("tool")));
        assert_eq!(
            find("data"),
            Err(NotStartable::NotExecutable(a.join("data")))
        );
        assert_eq!(find("none"), Err(NotStartable::NotFound("none".into())));
        assert_eq!(find(""), Err(NotStartable::NotFound("".into())));
    }

    #[test]
    fn a_slash_means_a_path() {
        let dir = tempfile::tempdir().unwrap();
        file(&dir.path().join("tool"), 0o755);
        let name = dir.path().join("tool");
        assert_eq!(find_in(name.as_os_str(), None), Ok(name.clone()));
        let name = dir.path().join("none");
        assert_eq!(
            find_in(name.as_os_str(), None),
            Err(NotStartable::NotFound(name.clone().into()))
        );
        assert_eq!(
            find_in(dir.path().as_os_str(), None),
            Err(NotStartable::NotExecutable(dir.path().to_owned()))
        );
    }
}
