//! Which other layers of the run would refuse a denied call as well: of each that was made, wherever its arguments
//! led.
//!
//! A path is what the program's memory said. It is looked at after the end, and only to see that what it names is or is
//! not there and that no link is on the way. Relative paths are not told: their directory is not known any more.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use portcullis_abi::{Arch, Sysno, errno_name};
use portcullis_sandbox::{Objection, Plan, Wish};
use portcullis_watch::{Call, Denial, Shown};

use crate::json::verdict as json;

/// What a call does to what is at the path in one of its arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Makes it: it is not there before.
    Make,
    /// Changes or removes it.
    Change,
    /// Changes its mode, owner, times or attributes.
    Describe,
}

/// Calls that change the file system, by their manual pages: the argument, and what is done.
const CHANGES: [(&str, u8, Does); 25] = [
    ("chmod", 0, Does::Describe),
    ("chown", 0, Does::Describe),
    ("fchmodat", 1, Does::Describe),
    ("fchmodat2", 1, Does::Describe),
    ("fchownat", 1, Does::Describe),
    ("lchown", 0, Does::Describe),
    ("link", 1, Does::Make),
    ("linkat", 3, Does::Make),
    ("mkdir", 0, Does::Make),
    ("mkdirat", 1, Does::Make),
    ("mknod", 0, Does::Make),
    ("mknodat", 1, Does::Make),
    ("removexattr", 0, Does::Describe),
    ("rename", 0, Does::Change),
    ("renameat", 1, Does::Change),
    ("renameat2", 1, Does::Change),
    ("rmdir", 0, Does::Change),
    ("setxattr", 0, Does::Describe),
    ("symlink", 1, Does::Make),
    ("symlinkat", 2, Does::Make),
    ("truncate", 0, Does::Change),
    ("unlink", 0, Does::Change),
    ("unlinkat", 1, Does::Change),
    ("utime", 0, Does::Describe),
    ("utimensat", 1, Does::Describe),
];

/// Calls that open what is at a path: the argument, and that of the flags.
const OPENS: [(&str, u8, Option<u8>); 3] = [
    ("creat", 0, None),
    ("open", 0, Some(1)),
    ("openat", 1, Some(2)),
];

/// Calls for which the kernel wants a capability in its first user namespace (`capable`), whatever their arguments.
const OF_THE_MACHINE: [&str; 9] = [
    "acct",
    "delete_module",
    "finit_module",
    "init_module",
    "kexec_file_load",
    "kexec_load",
    "settimeofday",
    "swapoff",
    "swapon",
];

/// `O_ACCMODE`, `O_CREAT` and `O_TRUNC` of `asm-generic/fcntl.h`, which both architectures have.
const ACCESS: u64 = 3;
const CREATE: u64 = 0o100;
const TRUNCATE: u64 = 0o1000;

/// What layers say of the calls of a denial.
pub(super) struct Layers {
    /// Those that would refuse some of them; `None` when that cannot be told of any.
    pub(super) also: Option<Vec<json::Also>>,
    /// Of how many it cannot be told.
    pub(super) unknown: u64,
}

impl Layers {
    /// What the layers of `plan` say.
    pub(super) fn of(plan: &Plan, denial: &Denial) -> Layers {
        let others = denial
            .others
            .iter()
            .map(|other| (&other.shown, other.count));
        let first = (&denial.shown, denial.count_of_first());
        let mut layers = Layers::unknown(denial.unlooked);
        for (shown, count) in std::iter::once(first).chain(others) {
            match objections(plan, &denial.call, shown) {
                None => layers.unknown += count,
                Some(objections) => layers.add(objections, count),
            }
        }
        layers
    }

    /// Of so many calls nothing can be told.
    pub(super) fn unknown(count: u64) -> Layers {
        Layers {
            also: None,
            unknown: count,
        }
    }

    fn add(&mut self, objections: Vec<Objection>, count: u64) {
        let all = self.also.get_or_insert_default();
        for objection in objections {
            let answer = errno_name(objection.errno)
                .map_or_else(|| objection.errno.to_string(), str::to_owned);
            let one = json::Also {
                layer: objection.layer.into(),
                answer: format!("errno {answer}"),
                reason: objection.reason,
                count,
            };
            let is_same = |known: &&mut json::Also| {
                (&known.layer, &known.answer, &known.reason)
                    == (&one.layer, &one.answer, &one.reason)
            };
            match all.iter_mut().find(is_same) {
                Some(known) => known.count += count,
                None => all.push(one),
            }
        }
    }
}

/// The objections of the layers of `plan` to a call whose arguments lead to `shown`; `None` when they cannot be told.
fn objections(plan: &Plan, call: &Call, shown: &[(u8, Shown)]) -> Option<Vec<Objection>> {
    if call.is_foreign() {
        return None;
    }
    let name = Arch::NATIVE.name(Sysno(call.number))?;
    let path = |index: u8| match shown.iter().find(|(at, _)| *at == index) {
        Some((_, Shown::Path(bytes))) => Some(Path::new(std::ffi::OsStr::from_bytes(bytes))),
        _ => None,
    };
    let found = |index: u8| Some((path(index)?, Found::at(path(index)?)?));
    let change = CHANGES.iter().find(|(call, ..)| *call == name);
    let open = OPENS.iter().find(|(call, ..)| *call == name);
    let wish = match (change, open, name) {
        (Some((_, index, does)), ..) => match (found(*index)?, does) {
            ((path, Found::Nothing), Does::Make) | ((path, Found::File), Does::Change) => {
                Wish::Write(path)
            }
            ((path, Found::File), Does::Describe) => Wish::Describe(path),
            _ => return None,
        },
        (_, Some((_, index, flags)), _) => {
            let flags = flags.map_or(CREATE | TRUNCATE | 1, |f| call.args[usize::from(f)]);
            let writes = flags & ACCESS != 0 || flags & TRUNCATE != 0;
            match found(*index)? {
                (path, Found::File) if writes => Wish::Write(path),
                (path, Found::File) => Wish::Read(path),
                (path, Found::Nothing) if flags & CREATE != 0 => Wish::Write(path),
                _ => return None,
            }
        }
        (_, _, "connect" | "sendto") => Wish::Reach(address(shown)?.ip()),
        (_, _, "socket" | "socketpair") => Wish::Socket,
        (_, _, name) if OF_THE_MACHINE.contains(&name) => Wish::Machine,
        _ => return None,
    };
    plan.objections(&wish)
}

/// The address of the internet that a call names.
fn address(shown: &[(u8, Shown)]) -> Option<SocketAddr> {
    let text = shown.iter().find_map(|(_, shown)| match shown {
        Shown::Address(text) => Some(text),
        _ => None,
    });
    std::str::from_utf8(text?).ok()?.parse().ok()
}

/// What is at a path on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    /// A regular file or a directory: devices, pipes and sockets are written whatever their mount says.
    File,
    /// Nothing, in a directory that is there.
    Nothing,
}

impl Found {
    /// `None` when that cannot be told, or a link is on the way.
    fn at(path: &Path) -> Option<Found> {
        let is_plain =
            |part: Component<'_>| matches!(part, Component::Normal(_) | Component::RootDir);
        if !path.is_absolute() || !path.components().all(is_plain) {
            return None;
        }
        let mut way = PathBuf::new();
        let mut parts = path.components().peekable();
        while let Some(part) = parts.next() {
            way.push(part);
            match fs::symlink_metadata(&way) {
                Ok(found) if found.is_dir() => {}
                Ok(found) if found.is_file() && parts.peek().is_none() => {}
                Err(e) if e.kind() == ErrorKind::NotFound && parts.peek().is_none() => {
                    return Some(Found::Nothing);
                }
                _ => return None,
            }
        }
        Some(Found::File)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_only_where_no_link_is_on_the_way() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        fs::write(place.join("file"), "").unwrap();
        std::os::unix::fs::symlink("file", place.join("link")).unwrap();
        std::os::unix::fs::symlink(".", place.join("itself")).unwrap();
        let found = |name: &str| Found::at(&place.join(name));
        assert_eq!(found("file"), Some(Found::File));
        assert_eq!(found(""), Some(Found::File));
        assert_eq!(found("none"), Some(Found::Nothing));
        for name in ["link", "itself/file", "none/file", "file/x", "../x"] {
            assert_eq!(found(name), None, "{name}");
        }
        assert_eq!(Found::at(Path::new("file")), None);
        assert_eq!(Found::at(Path::new("/dev/null")), None);
    }

    #[test]
    fn each_call_that_is_named_there_is() {
        let names = CHANGES.map(|(name, ..)| name).into_iter();
        let names = names.chain(OPENS.map(|(name, ..)| name));
        for name in names.chain(OF_THE_MACHINE) {
            assert!(Arch::X86_64.number(name).is_some(), "{name}");
        }
        assert!(CHANGES.is_sorted_by_key(|(name, ..)| *name));
    }
}
