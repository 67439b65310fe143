//! The files that the program sees, as a list of mounts: pure data for the child and for whoever reads the
//! plan.
//!
//! The base is a copy of the whole tree, made read-only. On it come, parents before children, private
//! places, devices, trees that can be written, and covers over what is hidden. What the program needs from
//! below a private place (its own files, its working directory) is put there again.
//!
//! A program of root that has ids of its own owns nothing of the base. What it is given (its home and working
//! directory, its own files, named trees) is put there a second time, with root's files as its own; where only
//! their owner may enter a directory on the way, an empty one takes its place.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portcullis_sys::mount::Attributes;
use rustix::io::Errno;

use crate::canonical::{Canonical, above, is_within};
use crate::confinement::{Confinement, Network};
use crate::error::Error;
use crate::places_table::{
    DEVICE_LINKS, DEVICES, HOME_SECRETS, PRIVATE, ROOT_HIDDEN, SYSTEM, SYSTEM_HIDDEN,
};

/// What the program sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct View {
    /// Ascending by path, so that parents come before children.
    pub(crate) mounts: Vec<Mount>,
    /// The machine's root is the initial RAM file system, on which the view lies.
    pub(crate) over: bool,
    /// The program's root is another than the machine's.
    pub(crate) mapped: bool,
    /// Where the program begins.
    pub(crate) directory: CString,
    /// Its file; none for one that is sealed in memory.
    pub(crate) program: Option<CString>,
    /// There is an empty root and nothing else.
    pub(crate) empty: bool,
}

/// One mount on the base.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mount {
    /// Where it is attached.
    pub(crate) at: CString,
    pub(crate) what: What,
    /// Directories to make in it, ascending, with their modes.
    pub(crate) directories: Vec<(CString, u32)>,
    /// Empty files to make in it, on which others are attached.
    pub(crate) files: Vec<CString>,
    /// Symbolic links to make in it: content and path.
    pub(crate) links: Vec<(CString, CString)>,
    /// It can be written only until these are made.
    pub(crate) sealed: bool,
}

/// What is mounted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// A copy of what the machine has at the same path.
    Graft {
        /// It can be written.
        writable: bool,
        /// It is a device file.
        device: bool,
    },
    /// An empty file system of this kind, with an option `mode`.
    Fresh {
        kind: &'static std::ffi::CStr,
        mode: CString,
    },
    /// An empty directory that cannot be written.
    EmptyDirectory,
    /// An empty file that cannot be written.
    EmptyFile,
}

impl What {
    /// The attributes of a graft's copy.
    pub(crate) fn attributes(&self) -> Attributes {
        let base = Attributes::NO_SUID;
        match self {
            What::Graft { device: true, .. } => base.and(Attributes::NO_EXEC),
            What::Graft { writable: true, .. } => base.and(Attributes::NO_DEVICES),
            What::Graft { .. } => base.and(Attributes::NO_DEVICES).and(Attributes::READ_ONLY),
            What::Fresh { kind, .. } if *kind == c"devpts" => base.and(Attributes::NO_EXEC),
            What::Fresh { .. } => base.and(Attributes::NO_DEVICES),
            What::EmptyDirectory | What::EmptyFile => base
                .and(Attributes::NO_DEVICES)
                .and(Attributes::NO_EXEC)
                .and(Attributes::READ_ONLY),
        }
    }

    /// Whether it stays writable, when it is not sealed.
    pub(crate) fn writable(&self) -> bool {
        match self {
            What::Graft { writable, device } => *writable || *device,
            What::Fresh { .. } => true,
            What::EmptyDirectory | What::EmptyFile => false,
        }
    }
}

impl View {
    /// The view that `wanted` asks for, of this machine as it is now.
    pub(crate) fn new(wanted: &Confinement, program: &Path, reader: Reader) -> Result<View, Error> {
        if wanted.empty {
            return Ok(View {
                mounts: Vec::new(),
                over: is_initial_root(),
                mapped: false,
                directory: c"/".to_owned(),
                program: None,
                empty: true,
            });
        }
        let canonical = Canonical::default();
        let mut plan = Planned {
            mapped: reader == Reader::OtherRoot,
            mounts: BTreeMap::new(),
            canonical: &canonical,
        };
        for (path, mode) in PRIVATE {
            if let Ok(path) = canonical.of(Path::new(path)) {
                plan.put(path, fresh(c"tmpfs", mode));
            }
        }
        plan.devices()?;
        let runtime = wanted.runtime.as_ref();
        let runtime = runtime.and_then(|path| canonical.of(path).ok());
        if let Some(path) = runtime.filter(|path| canonical.is_dir(path)) {
            plan.put(path, fresh(c"tmpfs", "700"));
        }
        if plan.mapped {
            for home in &wanted.homes {
                plan.own(home);
            }
        }
        let mut granted = Vec::new();
        for path in &wanted.read {
            granted.push((existing(&canonical, path, "read")?, false));
        }
        for path in &wanted.write {
            let found = existing(&canonical, path, "write")?;
            if found == Path::new("/") {
                return Err(Error::Invalid(
                    "\"/\" cannot be made writable as a whole: name the directories below it"
                        .to_owned(),
                ));
            }
            granted.push((found, true));
        }
        for (path, writable) in &granted {
            plan.open(path, *writable);
        }
        let directory = existing(&canonical, &wanted.directory, "work in")?;
        let program = existing(&canonical, program, "start")?;
        plan.needs(wanted, &directory, &program);
        let mut covers = hidden(&canonical, wanted, reader);
        for path in &wanted.hide {
            covers.push(existing(&canonical, path, "hide")?);
        }
        for path in covers {
            plan.cover(&path, &granted);
        }
        // What is needed can lie below what is hidden.
        plan.needs(wanted, &directory, &program);
        plan.finish(&directory, &program)
    }
}

impl View {
    /// How much it gives, as a sentence.
    pub(crate) fn detail(&self) -> String {
        if self.empty {
            return "an empty root that cannot be written".to_owned();
        }
        let paths = |is: fn(&What) -> bool| {
            let found = self.mounts.iter().filter(|m| is(&m.what));
            let shown: Vec<String> = found.map(|m| format!("{:?}", m.at)).collect();
            shown
        };
        let written = paths(|what| matches!(what, What::Graft { writable: true, .. }));
        let hidden = paths(|what| matches!(what, What::EmptyDirectory | What::EmptyFile)).len();
        let written = match written.is_empty() {
            true => String::new(),
            false => format!(" and {}", written.join(", ")),
        };
        format!("read-only but for a private /tmp{written}; {hidden} places hidden")
    }
}

/// What the program finds at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// What the machine has there; whether it can be written.
    Machine {
        /// It can.
        writable: bool,
    },
    /// A place of the program's own, or what stands in one.
    Private,
    /// Nothing: it is hidden.
    Hidden,
}

impl View {
    /// What is at `path`, which is absolute and has no symbolic links.
    pub(crate) fn shown(&self, path: &Path) -> Shown {
        let at = |above: &Path| {
            let mut mounts = self.mounts.iter();
            mounts.find(|m| m.at.as_bytes() == above.as_os_str().as_bytes())
        };
        match path.ancestors().find_map(at).map(|mount| &mount.what) {
            None => Shown::Machine { writable: false },
            Some(What::Graft { writable, .. }) => Shown::Machine {
                writable: *writable,
            },
            Some(What::Fresh { .. }) => Shown::Private,
            Some(What::EmptyDirectory | What::EmptyFile) => Shown::Hidden,
        }
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.what {
            What::Graft { device: true, .. } => "the machine's device",
            What::Graft { writable: true, .. } => "the machine's, writable",
            What::Graft { .. } => "the machine's, read-only",
            What::Fresh { .. } if self.sealed => "its own, read-only",
            What::Fresh { .. } => "its own, writable",
            What::EmptyDirectory => "an empty directory",
            What::EmptyFile => "an empty file",
        };
        write!(f, "{:?}: {what}", self.at)
    }
}

/// By whose rights files are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reader {
    /// An ordinary user's.
    User,
    /// Those of the machine's root, whose secrets are the system's.
    Root,
    /// Root's, with ids that own nothing of the machine.
    OtherRoot,
}

/// What is hidden without being asked for.
fn hidden(canonical: &Canonical, wanted: &Confinement, reader: Reader) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = SYSTEM_HIDDEN.map(PathBuf::from).into();
    let mut homes = wanted.homes.clone();
    if reader != Reader::User {
        paths.extend(ROOT_HIDDEN.map(PathBuf::from));
        let others = std::fs::read_dir("/home").into_iter().flatten().flatten();
        homes.extend(others.map(|entry| entry.path()));
    }
    for home in homes {
        let names = names(&home);
        let may_be = |secret: &&str| {
            let first = secret.split('/').next().unwrap_or_default();
            let mut names = names.iter().flatten();
            names.any(|name| name.eq_ignore_ascii_case(first))
        };
        let secrets = HOME_SECRETS.iter();
        let secrets = secrets.filter(|secret| names.is_none() || may_be(secret));
        paths.extend(secrets.map(|secret| home.join(secret)));
    }
    let found = paths.iter().filter_map(|path| canonical.of(path).ok());
    found.collect()
}

/// The names in a directory, so that what is not there need not be looked for one by one. `None` when that would not
/// tell: they cannot be read, are very many, or a name can be found by other letters than it is shown with (a file
/// system that ignores case knows more of that than of ASCII), or the file system is a program, which can find what it
/// does not show.
fn names(directory: &Path) -> Option<Vec<String>> {
    const MOST: usize = 4096;
    /// `FUSE_SUPER_MAGIC` and `AUTOFS_SUPER_MAGIC` of `linux/magic.h`.
    const PROGRAMS: [i64; 2] = [0x6573_5546, 0x0187];
    let kind = match rustix::fs::statfs(directory) {
        Ok(found) => found.f_type,
        Err(Errno::NOENT) => return Some(Vec::new()),
        Err(_) => return None,
    };
    let entries = std::fs::read_dir(directory).ok()?;
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        name.is_ascii().then_some(name)
    };
    let names: Option<Vec<String>> = entries.take(MOST).map(name).collect();
    names.filter(|names| names.len() < MOST && !PROGRAMS.contains(&kind))
}

fn existing(canonical: &Canonical, path: &Path, verb: &str) -> Result<PathBuf, Error> {
    let what = || format!("cannot {verb} {path:?}");
    canonical
        .of(path)
        .map_err(|e| Error::Invalid(format!("{}: {e}", what())))
}

fn fresh(kind: &'static std::ffi::CStr, mode: &str) -> What {
    What::Fresh {
        kind,
        mode: CString::new(mode).unwrap_or_default(),
    }
}

/// The mounts while they are collected.
struct Planned<'a> {
    /// By their paths as bytes, in whose order parents come before children as well.
    mounts: BTreeMap<OsString, What>,
    /// The program owns nothing of the base.
    mapped: bool,
    canonical: &'a Canonical,
}

const READ_ONLY: What = What::Graft {
    writable: false,
    device: false,
};

impl Planned<'_> {
    fn put(&mut self, path: PathBuf, what: What) {
        self.mounts.insert(path.into_os_string(), what);
    }

    /// A `/dev` of its own, when the machine has the devices.
    fn devices(&mut self) -> Result<(), Error> {
        let sealed = PathBuf::from("/dev");
        self.put(sealed, fresh(c"tmpfs", "755"));
        for device in DEVICES.map(Path::new) {
            // Where it is a link, what it leads to would be somewhere else.
            if self.canonical.of(device).is_ok_and(|found| found == device) {
                self.put(
                    device.to_owned(),
                    What::Graft {
                        writable: false,
                        device: true,
                    },
                );
            }
        }
        self.put("/dev/pts".into(), fresh(c"devpts", "620"));
        self.put("/dev/shm".into(), fresh(c"tmpfs", "1777"));
        Ok(())
    }

    /// Nothing is seen at and below `path` but for what the user names there.
    fn cover(&mut self, path: &Path, granted: &[(PathBuf, bool)]) {
        let is = |other: &Path| granted.iter().any(|(g, _)| g == other);
        // Below a private place, and where the program cannot enter, there is nothing to hide.
        if is(path) || self.private_above(path).is_some() || self.closed_above(path).is_some() {
            return;
        }
        self.mounts
            .retain(|other, _| !is_within(other, path) || is(Path::new(other)));
        let what = match self.canonical.is_dir(path) {
            true => What::EmptyDirectory,
            false => What::EmptyFile,
        };
        self.put(path.to_owned(), what);
        for (inside, writable) in granted.iter().filter(|(g, _)| g.starts_with(path)) {
            self.make_room(inside);
            self.put(
                inside.clone(),
                What::Graft {
                    writable: *writable,
                    device: false,
                },
            );
        }
    }

    /// The user names `path`: it is as the machine has it, and can be written when he says so.
    fn open(&mut self, path: &Path, writable: bool) {
        let was = self.mounts.remove(path.as_os_str());
        self.make_room(path);
        if writable || was.is_some() || self.private_above(path).is_some() || self.is_foreign(path)
        {
            self.put(
                path.to_owned(),
                What::Graft {
                    writable,
                    device: false,
                },
            );
        }
    }

    /// Hidden and closed directories above `path` become private ones, in which others can be attached.
    fn make_room(&mut self, path: &Path) {
        for above in above(path) {
            if self.mounts.get(above.as_os_str()) == Some(&What::EmptyDirectory) {
                self.put(above.to_owned(), fresh(c"tmpfs", "755"));
            }
        }
        if let Some(closed) = self.closed_above(path) {
            self.put(closed, fresh(c"tmpfs", "755"));
        }
    }

    /// The outermost directory above `path` that the program may not enter: only its owner may, and that is
    /// not the program.
    fn closed_above(&self, path: &Path) -> Option<PathBuf> {
        if !self.is_foreign(path) {
            return None;
        }
        let mut above: Vec<&Path> = above(path).collect();
        above.reverse();
        let closed = above.into_iter().find(|directory| {
            let mode = self.canonical.mode(directory);
            mode.is_some_and(|mode| mode & 0o001 == 0)
        });
        closed.map(Path::to_owned)
    }

    /// Whether `path` would be seen in the base, by a program that owns nothing there.
    fn is_foreign(&self, path: &Path) -> bool {
        self.mapped && self.nearest(path).is_none()
    }

    /// The directory `path` is given as the program's own, unless it is one of the system's.
    fn own(&mut self, path: &Path) {
        let Ok(path) = self.canonical.of(path) else {
            return;
        };
        let system = SYSTEM.iter().any(|system| Path::new(system) == path);
        if !system && self.canonical.is_dir(&path) && self.is_foreign(&path) {
            self.make_room(&path);
            self.mounts
                .entry(path.into_os_string())
                .or_insert(READ_ONLY);
        }
    }

    /// Its own files, its working directory and what its network is configured by.
    fn needs(&mut self, wanted: &Confinement, directory: &Path, program: &Path) {
        if !self.mounts.contains_key(directory.as_os_str()) {
            self.own(directory);
            self.need(directory);
        }
        let names = (wanted.network != Network::None).then_some(Path::new("/etc/resolv.conf"));
        let parts = wanted.parts.iter().map(PathBuf::as_path);
        for part in parts.chain([program]).chain(names) {
            // A file that is gone by now is missed by the program itself.
            if let Ok(found) = self.canonical.of(part) {
                self.need(&found);
            }
        }
    }

    /// What is needed is put where a private place would hide it.
    fn need(&mut self, path: &Path) {
        self.make_room(path);
        if self.private_above(path).is_some()
            || self.is_foreign(path) && !self.canonical.is_open(path)
        {
            // What is there already stays as it is.
            self.mounts
                .entry(path.as_os_str().to_owned())
                .or_insert(READ_ONLY);
        }
    }

    /// The nearest mount strictly above `path`.
    fn nearest(&self, path: &Path) -> Option<&Path> {
        above(path).find_map(|above| {
            let found = self.mounts.get_key_value(above.as_os_str());
            found.map(|(at, _)| Path::new(at))
        })
    }

    /// The nearest mount strictly above `path`, when it shows nothing of the machine's.
    fn private_above(&self, path: &Path) -> Option<&Path> {
        let nearest = self.nearest(path)?;
        match self.mounts.get(nearest.as_os_str()) {
            Some(What::Graft { .. }) | None => None,
            Some(_) => Some(nearest),
        }
    }

    fn finish(self, directory: &Path, program: &Path) -> Result<View, Error> {
        let mut mounts: Vec<Mount> = Vec::with_capacity(self.mounts.len());
        for (path, what) in &self.mounts {
            let path = Path::new(path);
            let at = c_string(path)?;
            if let Some(nearest) = self.private_above(path) {
                let found = mounts
                    .iter_mut()
                    .find(|m| m.at.as_bytes() == nearest.as_os_str().as_bytes());
                if let Some(place) = found {
                    let is_file = match what {
                        What::Graft { .. } => !self.canonical.is_dir(path),
                        What::EmptyFile => true,
                        What::Fresh { .. } | What::EmptyDirectory => false,
                    };
                    make_way(place, nearest, path, is_file)?;
                }
            }
            mounts.push(Mount {
                sealed: path == Path::new("/dev"),
                links: match path == Path::new("/dev") {
                    true => DEVICE_LINKS
                        .into_iter()
                        .map(|(to, at)| Ok((c_string(to.as_ref())?, c_string(at.as_ref())?)))
                        .collect::<Result<_, Error>>()?,
                    false => Vec::new(),
                },
                at,
                what: what.clone(),
                directories: Vec::new(),
                files: Vec::new(),
            });
        }
        Ok(View {
            mounts,
            over: is_initial_root(),
            mapped: self.mapped,
            directory: c_string(directory)?,
            program: Some(c_string(program)?),
            empty: false,
        })
    }
}

/// Whether the root of this process is the one that the kernel began with.
fn is_initial_root() -> bool {
    /// `RAMFS_MAGIC` and `TMPFS_MAGIC` of `linux/magic.h`: it is one of these, and so can others be.
    const KINDS: [i64; 2] = [0x8584_58f6, 0x0102_1994];
    let kind = rustix::fs::statfs("/").map(|found| found.f_type);
    if kind.is_ok_and(|kind| !KINDS.contains(&kind)) {
        return false;
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut roots = mounts
        .lines()
        .filter(|line| line.split(' ').nth(4) == Some("/"));
    roots
        .next_back()
        .is_some_and(|line| line.contains(" - rootfs "))
}

/// Makes in `place`, which is at `nearest`, what `path` is attached to: a file or a directory.
fn make_way(place: &mut Mount, nearest: &Path, path: &Path, is_file: bool) -> Result<(), Error> {
    let mut way: Vec<&Path> = path
        .ancestors()
        .take_while(|above| *above != nearest)
        .collect();
    way.reverse();
    for directory in way {
        let name = c_string(directory)?;
        if directory == path && is_file {
            place.files.push(name);
        } else if !place.directories.iter().any(|(made, _)| *made == name) {
            place.directories.push((name, 0o755));
        }
    }
    Ok(())
}

fn c_string(path: &Path) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|e| Error::Invalid(format!("{path:?} holds a NUL byte: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> PathBuf {
        std::env::current_exe().unwrap()
    }

    fn at<'a>(view: &'a View, path: &Path) -> Option<&'a Mount> {
        let mut mounts = view.mounts.iter();
        mounts.find(|m| m.at.as_bytes() == path.as_os_str().as_bytes())
    }

    #[test]
    fn what_is_needed_below_a_private_place_is_put_there_again() {
        let place = tempfile::tempdir_in("/tmp").unwrap();
        let place = place.path().canonicalize().unwrap();
        let program = place.join("program");
        std::fs::write(&program, "").unwrap();
        let wanted = Confinement::new(PathBuf::from("/"));
        let view = View::new(&wanted, &program, Reader::User).unwrap();
        let tmp = at(&view, Path::new("/tmp")).unwrap();
        assert!(tmp.what.writable());
        assert_eq!(tmp.directories.len(), 1);
        assert_eq!(tmp.files, [c_string(&program).unwrap()]);
        assert!(!at(&view, &program).unwrap().what.writable());

        // The working directory has it already.
        let wanted = Confinement::new(place.clone());
        let view = View::new(&wanted, &program, Reader::User).unwrap();
        assert!(!at(&view, &place).unwrap().what.writable());
        assert_eq!(at(&view, &program), None);
    }

    #[test]
    fn names_are_told_where_they_tell_what_can_be_found() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        assert_eq!(names(&place.join("none")), Some(Vec::new()));
        std::fs::write(place.join(".Netrc"), "").unwrap();
        assert_eq!(names(place), Some(vec![".Netrc".to_owned()]));
        assert_eq!(names(&place.join(".Netrc")), None);
        std::fs::write(place.join("\u{212a}"), "").unwrap();
        assert_eq!(names(place), None);
    }

    #[test]
    fn a_secret_is_hidden_and_a_named_part_of_it_is_not() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        std::fs::create_dir(home.join(".ssh")).unwrap();
        std::fs::write(home.join(".ssh/known_hosts"), "").unwrap();
        std::fs::write(home.join(".netrc"), "").unwrap();
        let mut wanted = Confinement::new(home.clone());
        wanted.homes = vec![home.clone()];
        wanted.write = vec![home.clone()];
        let program = program();
        let view = View::new(&wanted, &program, Reader::User).unwrap();
        let what = |view: &View, name: &str| at(view, &home.join(name)).map(|m| m.what.clone());
        assert_eq!(what(&view, ".ssh"), Some(What::EmptyDirectory));
        assert_eq!(what(&view, ".netrc"), Some(What::EmptyFile));
        assert!(at(&view, &home).unwrap().what.writable());

        wanted.read = vec![home.join(".ssh/known_hosts")];
        let view = View::new(&wanted, &program, Reader::User).unwrap();
        let ssh = at(&view, &home.join(".ssh")).unwrap();
        assert!(matches!(ssh.what, What::Fresh { .. }));
        assert_eq!(ssh.files.len(), 1);
        wanted.read = vec![home.join(".ssh")];
        let view = View::new(&wanted, &program, Reader::User).unwrap();
        assert!(matches!(
            what(&view, ".ssh"),
            Some(What::Graft {
                writable: false,
                ..
            })
        ));
    }

    #[test]
    fn parents_come_before_children() {
        let wanted = Confinement::new(PathBuf::from("/"));
        let view = View::new(&wanted, &program(), Reader::Root).unwrap();
        for (index, mount) in view.mounts.iter().enumerate() {
            let path = Path::new(std::ffi::OsStr::from_bytes(mount.at.as_bytes()));
            for before in &view.mounts[..index] {
                let before = Path::new(std::ffi::OsStr::from_bytes(before.at.as_bytes()));
                assert!(!before.starts_with(path), "{before:?} {path:?}");
            }
        }
    }

    #[test]
    fn a_root_of_other_ids_is_given_what_is_its_users() {
        // Closed to others, as a home of root is.
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let work = home.join("work/tree");
        std::fs::create_dir_all(&work).unwrap();
        let owners = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&home, owners).unwrap();
        let canonical = Canonical::default();
        let planned = |mapped| Planned {
            mapped,
            mounts: BTreeMap::new(),
            canonical: &canonical,
        };
        let mut same = planned(false);
        same.own(&home);
        same.need(&work);
        assert!(same.mounts.is_empty());
        // The way there is closed: it is made anew.
        let mut other = planned(true);
        other.need(&work);
        assert!(matches!(other.mounts[home.as_os_str()], What::Fresh { .. }));
        assert_eq!(other.mounts[work.as_os_str()], READ_ONLY);
        // Below its home it is there already.
        let mut other = planned(true);
        other.own(&home);
        other.own(&work);
        assert_eq!(
            other.mounts,
            BTreeMap::from([(home.clone().into_os_string(), READ_ONLY)])
        );
        // What cannot be reached is not covered.
        let mut other = planned(true);
        other.cover(&work, &[]);
        assert!(other.mounts.is_empty());
        // One of the system is nobody's own.
        other.own(Path::new("/etc"));
        other.own(Path::new("/"));
        assert!(other.mounts.is_empty());
    }

    #[test]
    fn the_whole_cannot_be_written() {
        let mut wanted = Confinement::new(PathBuf::from("/"));
        wanted.write = vec![PathBuf::from("/")];
        assert!(View::new(&wanted, &program(), Reader::User).is_err());
    }
}
