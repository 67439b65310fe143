//! A job's directory: what is put there before it begins, and what is taken from there when nothing of it runs any more.
//!
//! It is the private place of one sandbox, in memory, and seen from outside by a descriptor that was opened while the
//! job stood at its exec. Whatever a job leaves there is hostile: nothing is followed, nothing but a regular file is
//! read, and no more of it than there is room for, whatever length it claims to have.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

use portcullis_sys::process;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, open, openat2};
use rustix::io::Errno;

use crate::error::Error;
use crate::secret::{self, Secret};

/// Where a native program has it, and begins.
pub(crate) const PLACE: &str = "/tmp";

/// How many files a job is given, and how many are asked of it.
const MOST: usize = 1024;
/// The longest name, and of how many parts.
const MOST_NAME: usize = 1024;
const MOST_PARTS: usize = 16;

/// A file that a job is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// Its name in the job's directory: relative, and with nothing that leads elsewhere.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// It may be executed.
    pub executable: bool,
}

/// A file that was asked of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Its name, as it was asked for.
    pub name: String,
    /// What it held, or why that was not taken.
    pub content: Result<Vec<u8>, NotTaken>,
}

/// Why a file of a job was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotTaken {
    /// There is none.
    Missing,
    /// It is a link, or behind one, or on another mount.
    Elsewhere,
    /// It is no regular file: a directory, a pipe, a socket, a device.
    NoFile,
    /// There is no room for all of it.
    TooLarge,
    /// It could not be read, with this error number.
    Unreadable(i32),
    /// The job was ended before it had handed over all that is wanted.
    Ended,
}

impl NotTaken {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            NotTaken::Missing => "missing",
            NotTaken::Elsewhere => "elsewhere",
            NotTaken::NoFile => "no_file",
            NotTaken::TooLarge => "too_large",
            NotTaken::Unreadable(_) => "unreadable",
            NotTaken::Ended => "ended",
        }
    }
}

/// Refuses what cannot be placed or asked for, before anything is begun.
pub(crate) fn check(given: &[Given], wanted: &[String]) -> Result<(), Error> {
    if given.len() > MOST || wanted.len() > MOST {
        return Err(Error::Unfit(format!(
            "more than {MOST} files of one job are not taken"
        )));
    }
    let names = given.iter().map(|file| &file.name).chain(wanted);
    match names.into_iter().find(|name| !is_below(name)) {
        None => Ok(()),
        Some(name) => Err(Error::Unfit(format!(
            "{name:?} is no name of a file in a job's directory: at most {MOST_PARTS} parts, none of them empty, \
             \".\" or \"..\""
        ))),
    }
}

pub(crate) fn is_below(name: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255;
    name.len() <= MOST_NAME
        && !name.contains('\0')
        && name.split('/').count() <= MOST_PARTS
        && name.split('/').all(part)
}

/// The directory, from outside.
pub(crate) struct Directory(OwnedFd);

const WITHIN: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

impl Directory {
    /// Of the process `pid`, which does not run yet.
    pub(crate) fn of(pid: i32) -> io::Result<Directory> {
        let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(format!("/proc/{pid}/root"), place, Mode::empty())?;
        let path = PLACE.trim_start_matches('/');
        let found = openat2(
            root,
            path,
            place,
            Mode::empty(),
            WITHIN - ResolveFlags::NO_XDEV,
        )?;
        Ok(Directory(found))
    }

    /// Puts files and secrets there, as their owner would.
    pub(crate) fn place(&self, files: &[Given], secrets: &[Secret]) -> io::Result<()> {
        let of = fstat(&self.0)?;
        let placed = process::with_file_owner(of.st_uid, of.st_gid, || {
            for file in files {
                let mode = if file.executable { 0o755 } else { 0o644 };
                self.put(&file.name, &file.bytes, mode)?;
            }
            for secret in secrets {
                let name = format!("{}/{}", secret::PLACE, secret.name);
                self.put(&name, &secret.bytes, 0o400)?;
            }
            Ok(())
        });
        placed.map_err(|e| e.reason)?
    }

    fn put(&self, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        for (at, _) in name.match_indices('/') {
            match mkdirat(&self.0, &name[..at], Mode::from_raw_mode(0o755)) {
                // For another file.
                Err(Errno::EXIST) => {}
                other => other?,
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = openat2(&self.0, name, flags, Mode::from_raw_mode(mode), WITHIN)?;
        File::from(made).write_all(bytes)
    }

    /// What is asked for, up to `most` bytes of all of it. Nothing writes there any more.
    pub(crate) fn take(&self, wanted: &[String], most: u64) -> Vec<Taken> {
        let mut room = most;
        let take = |name: &String| {
            let content = self.read(name, room);
            if let Ok(bytes) = &content {
                room -= bytes.len() as u64;
            }
            Taken {
                name: name.clone(),
                content,
            }
        };
        wanted.iter().map(take).collect()
    }

    fn read(&self, name: &str, room: u64) -> Result<Vec<u8>, NotTaken> {
        // A pipe without a writer is not waited for, a terminal becomes nobody's.
        let flags =
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat2(&self.0, name, flags, Mode::empty(), WITHIN).map_err(refused)?;
        let found = fstat(&file).map_err(refused)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(NotTaken::NoFile);
        }
        let claimed = u64::try_from(found.st_size).unwrap_or(u64::MAX);
        if claimed > room {
            return Err(NotTaken::TooLarge);
        }
        let mut bytes = Vec::new();
        let read = File::from(file).take(room + 1).read_to_end(&mut bytes);
        read.map_err(|e| NotTaken::Unreadable(e.raw_os_error().unwrap_or(0)))?;
        match bytes.len() as u64 > room {
            true => Err(NotTaken::TooLarge),
            false => Ok(bytes),
        }
    }
}

fn refused(error: Errno) -> NotTaken {
    match error {
        Errno::NOENT | Errno::NOTDIR => NotTaken::Missing,
        Errno::LOOP | Errno::XDEV => NotTaken::Elsewhere,
        // A socket, or a device that is not there.
        Errno::NXIO | Errno::NODEV => NotTaken::NoFile,
        other => NotTaken::Unreadable(other.raw_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use rustix::fs::{CWD, mknodat};

    use super::*;

    fn directory(path: &Path) -> Directory {
        let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Directory(open(path, place, Mode::empty()).unwrap())
    }

    fn given(name: &str, bytes: &[u8]) -> Given {
        Given {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
            executable: name == "run",
        }
    }

    #[test]
    fn what_is_given_is_there_and_comes_back() {
        let place = tempfile::tempdir().unwrap();
        let directory = directory(place.path());
        let files = [
            given("a", b"one"),
            given("deep/er/b", b""),
            given("run", b"#!"),
        ];
        directory.place(&files, &[]).unwrap();
        let names = files.each_ref().map(|file| file.name.clone());
        for (taken, file) in directory.take(&names, 5).iter().zip(&files) {
            assert_eq!(taken.content.as_ref(), Ok(&file.bytes), "{}", taken.name);
        }
        let mode = |name: &str| {
            let found = fs::metadata(place.path().join(name)).unwrap();
            std::os::unix::fs::MetadataExt::mode(&found) & 0o777
        };
        assert_eq!((mode("run"), mode("a")), (0o755, 0o644));
        // What is there already is not written over.
        assert!(directory.place(&files[..1], &[]).is_err());
    }

    #[test]
    fn traps_are_not_walked_into() {
        let (place, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("secret"), "secret").unwrap();
        let at = |name: &str| place.path().join(name);
        symlink(other.path().join("secret"), at("link")).unwrap();
        symlink(other.path(), at("out")).unwrap();
        symlink("/proc/self/fd", at("magic")).unwrap();
        symlink("good", at("inside")).unwrap();
        symlink("loop", at("loop")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        mknodat(
            CWD,
            at("pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o666),
            0,
        )
        .unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        fs::write(at("good"), "good").unwrap();
        // A petabyte that takes no room.
        File::create(at("sparse"))
            .unwrap()
            .set_len(1 << 43)
            .unwrap();
        let names = [
            "link",
            "out/secret",
            "magic/0",
            "inside",
            "loop",
            "directory",
            "pipe",
            "socket",
            "sparse",
            "none",
            "good/x",
            "good",
        ];
        let taken = directory(place.path()).take(&names.map(str::to_owned), 1 << 20);
        let found: Vec<_> = taken.iter().map(|t| t.content.clone()).collect();
        let (elsewhere, no_file) = (Err(NotTaken::Elsewhere), Err(NotTaken::NoFile));
        let expected = [
            elsewhere.clone(),
            elsewhere.clone(),
            elsewhere.clone(),
            elsewhere.clone(),
            elsewhere,
            no_file.clone(),
            no_file.clone(),
            no_file,
            Err(NotTaken::TooLarge),
            Err(NotTaken::Missing),
            Err(NotTaken::Missing),
            Ok(b"good".to_vec()),
        ];
        for ((name, found), expected) in names.iter().zip(&found).zip(&expected) {
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn all_files_together_have_room() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(place.path().join(name), [0; 40]).unwrap();
        }
        let names = ["a", "b", "c"].map(str::to_owned);
        let taken = directory(place.path()).take(&names, 100);
        let sizes = taken
            .iter()
            .map(|t| t.content.as_ref().map(Vec::len).map_err(|e| *e));
        let sizes: Vec<_> = sizes.collect();
        assert_eq!(sizes, [Ok(40), Ok(40), Err(NotTaken::TooLarge)]);
    }

    #[test]
    fn names_lead_nowhere_else() {
        let long = "x".repeat(256);
        let deep = vec!["x"; 17].join("/");
        for name in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            "a\0b",
            &long,
            &deep,
        ] {
            assert!(check(&[], &[name.to_owned()]).is_err(), "{name:?}");
            assert!(check(&[given(name, b"")], &[]).is_err(), "{name:?}");
        }
        assert!(check(&[given("a/b.c", b"")], &["...".to_owned()]).is_ok());
        let many = vec!["x".to_owned(); MOST + 1];
        assert!(check(&[], &many).is_err());
    }
}
