//! Files that a call opened, or whose directories it changed: told for each such call of a recording that asks
//! for it, with the paths that they have at that moment.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use portcullis_abi::{Arch, Sysno};

use crate::decide::Call;
use crate::memory::Memory;

/// `PATH_MAX` of `linux/limits.h`.
const LONGEST: usize = 4096;

/// A file, and what was done to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Touched {
    /// Where it is, absolute. Observed: other tasks could have moved it since.
    pub path: PathBuf,
    /// It was opened to be written, or its entry in its directory was made, changed or removed.
    pub written: bool,
    /// The call could have made it.
    pub made: bool,
    /// The descriptor, where it was opened.
    pub descriptor: Option<u32>,
}

/// Calls that open a file: which argument has flags, if one has.
const OPENS: [(&str, Option<usize>); 4] = [
    ("open", Some(1)),
    ("openat", Some(2)),
    ("openat2", None),
    ("creat", None),
];

/// Where a call takes a path: the argument with the directory's descriptor, where it takes one, and the path's.
type PathAt = (Option<usize>, usize);

/// Calls that change what a directory or an inode holds, by path.
const CHANGES: [(&str, &[PathAt]); 25] = [
    ("mkdir", &[(None, 0)]),
    ("rmdir", &[(None, 0)]),
    ("unlink", &[(None, 0)]),
    ("rename", &[(None, 0), (None, 1)]),
    ("link", &[(None, 1)]),
    ("symlink", &[(None, 1)]),
    ("chmod", &[(None, 0)]),
    ("chown", &[(None, 0)]),
    ("lchown", &[(None, 0)]),
    ("mknod", &[(None, 0)]),
    ("truncate", &[(None, 0)]),
    ("utime", &[(None, 0)]),
    ("utimes", &[(None, 0)]),
    ("setxattr", &[(None, 0)]),
    ("lsetxattr", &[(None, 0)]),
    ("mkdirat", &[(Some(0), 1)]),
    ("unlinkat", &[(Some(0), 1)]),
    ("renameat", &[(Some(0), 1), (Some(2), 3)]),
    ("renameat2", &[(Some(0), 1), (Some(2), 3)]),
    ("linkat", &[(Some(2), 3)]),
    ("symlinkat", &[(Some(1), 2)]),
    ("fchmodat", &[(Some(0), 1)]),
    ("fchownat", &[(Some(0), 1)]),
    ("mknodat", &[(Some(0), 1)]),
    ("utimensat", &[(Some(0), 1)]),
];

/// Whether what a call does to files is told.
pub(super) fn is_told(number: u32) -> bool {
    let name = Arch::NATIVE.name(Sysno(number)).unwrap_or_default();
    OPENS.iter().any(|(known, _)| *known == name) || CHANGES.iter().any(|(known, _)| *known == name)
}

/// What a native call of `tid` that returned `value`, no error, did to files.
pub(super) fn touched(tid: i32, call: &Call, value: i64) -> Vec<Touched> {
    let name = Arch::NATIVE.name(Sysno(call.number)).unwrap_or_default();
    if let Some((_, flags)) = OPENS.iter().find(|(known, _)| *known == name) {
        let flags = flags.map(|index| call.args[index] as i32);
        return opened(tid, value, flags).into_iter().collect();
    }
    let Ok(memory) = Memory::open(tid) else {
        return Vec::new();
    };
    let mut changes = CHANGES.iter().filter(|(known, _)| *known == name);
    let places = changes.next().map_or(&[][..], |(_, places)| places);
    let path = |(directory, path): &(Option<usize>, usize)| {
        let text = memory.string(call.args[*path], LONGEST)?;
        let directory = directory.map(|index| call.args[index] as i32);
        Some(Touched {
            path: absolute(tid, directory, OsString::from_vec(text).as_ref())?,
            written: true,
            made: true,
            descriptor: None,
        })
    };
    places.iter().filter_map(path).collect()
}

/// The file behind a new descriptor. Without `flags` it could have been made where it can be written.
fn opened(tid: i32, descriptor: i64, flags: Option<i32>) -> Option<Touched> {
    let descriptor = u32::try_from(descriptor).ok()?;
    let path = fs::read_link(format!("/proc/{tid}/fd/{descriptor}")).ok()?;
    let told = fs::read_to_string(format!("/proc/{tid}/fdinfo/{descriptor}")).ok()?;
    let octal = told.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let opened = i32::from_str_radix(octal.trim(), 8).ok()?;
    let written = opened & libc::O_ACCMODE != libc::O_RDONLY && opened & libc::O_PATH == 0;
    // Pipes and sockets have links that are no paths.
    path.is_absolute().then_some(Touched {
        path,
        written,
        made: flags.map_or(written, |flags| flags & libc::O_CREAT != 0),
        descriptor: Some(descriptor),
    })
}

/// Where `path` leads from the working directory of `tid`, or from the directory of a descriptor.
fn absolute(tid: i32, directory: Option<i32>, path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let from = match directory {
        None | Some(libc::AT_FDCWD) => format!("/proc/{tid}/cwd"),
        Some(descriptor) => format!("/proc/{tid}/fd/{descriptor}"),
    };
    Some(fs::read_link(from).ok()?.join(path))
}
