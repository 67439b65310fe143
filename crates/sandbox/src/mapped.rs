//! The files that a process has mapped executable, compared with those that were analysed.
//!
//! ld.so opens its libraries by path, after the launcher has looked at them; this comparison is
//! what ties the running code to the analysed one. Files that the program's own user can write are
//! outside this promise: their content can change under a mapping.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::identity::{Identity, Program};

/// A file that was analysed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MappedFile {
    /// Its path, for messages and to notice that another file has taken its place.
    pub path: PathBuf,
    /// What it was when it was analysed.
    pub identity: Identity,
}

/// What a mapped file means that was not analysed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unlisted {
    /// The program is ended.
    Refuse,
    /// It is left: the program is known to load modules.
    Allow,
}

/// More than a process can map (`vm.max_map_count` is 65 530 by default, lines are about 100 bytes).
const MAPS_LIMIT: u64 = 64 << 20;

/// One file-backed executable mapping of `/proc/PID/maps`.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Mapping {
    range: String,
    dev: u64,
    ino: u64,
    path: Vec<u8>,
}

/// Compares what `pid` has mapped executable with `program` and `expected`; the first difference
/// is the error, as a sentence.
pub(crate) fn compare(
    pid: i32,
    program: &Program,
    expected: &[MappedFile],
    unlisted: Unlisted,
) -> Result<(), String> {
    for mapping in executable(pid)? {
        one(pid, &mapping, program, expected, unlisted)?;
    }
    Ok(())
}

/// What `pid` has mapped executable, each file once.
pub(crate) fn executable(pid: i32) -> Result<Vec<Mapping>, String> {
    let maps = PathBuf::from(format!("/proc/{pid}/maps"));
    let mut text = Vec::with_capacity(16 << 10);
    File::open(&maps)
        .and_then(|f| f.take(MAPS_LIMIT).read_to_end(&mut text))
        .map_err(|e| format!("cannot read {}: {e}", maps.display()))?;
    let mut seen = BTreeSet::new();
    let mappings = text.split(|b| *b == b'\n').filter_map(executable_file);
    let first = mappings.filter(|m| seen.insert((m.dev, m.ino, m.path.clone())));
    Ok(first.collect())
}

fn one(
    pid: i32,
    mapping: &Mapping,
    program: &Program,
    expected: &[MappedFile],
    unlisted: Unlisted,
) -> Result<(), String> {
    let path = mapping.path();
    let now = mapping.identity(pid)?;
    let analysed = std::iter::once((program.path(), program.identity()))
        .chain(expected.iter().map(|f| (f.path.as_path(), &f.identity)))
        .find(|(_, id)| (id.dev, id.ino) == (now.dev, now.ino));
    if let Some((_, analysed)) = analysed {
        return match analysed.difference(&now) {
            None => Ok(()),
            Some(what) => Err(format!(
                "{path:?} changed since it was analysed ({what}); run again"
            )),
        };
    }
    if expected.iter().any(|f| f.path == path) {
        return Err(format!(
            "{path:?} is not the file that was analysed; run again"
        ));
    }
    match unlisted {
        Unlisted::Allow => Ok(()),
        Unlisted::Refuse => Err(format!(
            "{path:?} is mapped executable and was not analysed"
        )),
    }
}

impl Mapping {
    /// Where the mapping says that the file is.
    pub(crate) fn path(&self) -> &Path {
        Path::new(std::ffi::OsStr::from_bytes(&self.path))
    }

    /// What is mapped. `map_files` leads to the very file but needs a capability
    /// (`CAP_CHECKPOINT_RESTORE`, proc(5)); without it the path is asked, and has to lead to the
    /// inode that the mapping names. The device is not compared then: file systems with devices of
    /// their own per subvolume show another number in maps than in stat.
    pub(crate) fn identity(&self, pid: i32) -> Result<Identity, String> {
        let exact = PathBuf::from(format!("/proc/{pid}/map_files/{}", self.range));
        if let Ok(identity) = Identity::of_path(&exact) {
            return Ok(identity);
        }
        let path = self.path();
        match Identity::of_path(path) {
            Ok(identity) if identity.ino == self.ino => Ok(identity),
            Ok(_) => Err(format!("{path:?} was replaced while the program ran")),
            Err(e) => Err(format!("cannot look at {path:?}, which is mapped: {e}")),
        }
    }
}

/// `start-end perms offset major:minor inode path` (proc_pid_maps(5)).
fn executable_file(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |b| *b == b' ');
    let range = std::str::from_utf8(fields.next()?).ok()?;
    let permissions = fields.next()?;
    let _offset = fields.next()?;
    let device = std::str::from_utf8(fields.next()?).ok()?;
    let ino = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    if permissions.get(2) != Some(&b'x') || ino == 0 {
        return None;
    }
    let (major, minor) = device.split_once(':')?;
    let dev = libc::makedev(
        u32::from_str_radix(major, 16).ok()?,
        u32::from_str_radix(minor, 16).ok()?,
    );
    Some(Mapping {
        range: range.to_owned(),
        dev,
        ino,
        path: fields.next()?.trim_ascii_start().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executable_files_count() {
        let line = b"7f00-7f10 r-xp 00001000 08:01 42                         /a b (deleted)";
        let mapping = executable_file(line).unwrap();
        assert_eq!(mapping.path, b"/a b (deleted)");
        assert_eq!((mapping.dev, mapping.ino), (libc::makedev(8, 1), 42));
        assert_eq!(
            executable_file(b"7f00-7f10 r--p 00001000 08:01 42 /a"),
            None
        );
        assert_eq!(
            executable_file(b"7ffe-7fff r-xp 00000000 00:00 0    [vdso]"),
            None
        );
        assert_eq!(executable_file(b""), None);
    }
}
