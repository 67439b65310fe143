//! Where groups can be made: by what is mounted, by what is switched on, and by what this process may write.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat, getxattr};

use super::Controller;

/// Where groups of a controller can be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) controller: Controller,
    /// The directory in which a group is made.
    pub(super) parent: PathBuf,
    pub(crate) unified: bool,
    /// What has to be done to it before.
    pub(super) undivided: Option<Undivided>,
}

/// What a group of version 2 lacks that was delegated to this process and has no groups with limits yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Undivided {
    /// This process is in it. A group that has processes cannot have controllers for children (cgroups(7), "no internal
    /// processes").
    pub(super) aside: bool,
    /// What its children are to have, as `cgroup.subtree_control` takes it.
    pub(super) switch: String,
}

impl Place {
    /// Where this process can make groups of each of `wanted`; none where it cannot. Those of version 2 are all in the
    /// same directory: a process is in one group of that tree.
    pub(crate) fn find(wanted: &[Controller]) -> Vec<Place> {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (mounts, own) = (read("/proc/self/mountinfo"), read("/proc/self/cgroup"));
        let level = unified(&mounts, &own);
        let level = level.and_then(|(at, own)| nearest(&at, &own, wanted, Title::of));
        let place = |controller| {
            let level = level.as_ref().filter(|l| l.gives.contains(&controller));
            let unified = level.map(|level| Place {
                controller,
                parent: level.directory.clone(),
                unified: true,
                undivided: level.undivided.clone(),
            });
            unified.or_else(|| legacy(&mounts, &own, controller))
        };
        wanted.iter().copied().filter_map(place).collect()
    }
}

/// The group of this process, when it could be divided for the controller `name` if no other process were in it.
pub(crate) fn crowded(name: &str) -> Option<PathBuf> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (_, own) = unified(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))?;
    let offers = words(&own, "cgroup.controllers").iter().any(|n| n == name);
    let ours = is_writable(&own) && Title::of(&own) > Title::None;
    let crowded = ours && members(&own).is_none();
    (offers && crowded).then_some(own)
}

/// Mount points of a kind of file system, and what of it is there; `option` must be among its own options.
fn mounted<'a>(
    mounts: &'a str,
    kind: &'a str,
    option: Option<&'a str>,
) -> impl Iterator<Item = (&'a Path, &'a str)> {
    mounts.lines().filter_map(move |line| {
        let (front, back) = line.split_once(" - ")?;
        let mut back = back.split(' ');
        let options = back.clone().nth(2)?;
        let fits = back.next() == Some(kind)
            && option.is_none_or(|o| options.split(',').any(|have| have == o));
        let mut fields = front.split(' ');
        let root = fields.nth(3)?;
        fits.then_some((Path::new(fields.next()?), root))
    })
}

/// The directory of the group `path` in a hierarchy that is mounted at `at` from its `root`.
fn directory(at: &Path, root: &str, path: &str) -> PathBuf {
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    at.join(below.strip_prefix("/").unwrap_or(below))
}

/// Where version 2 is mounted, and the group of this process there.
fn unified(mounts: &str, own: &str) -> Option<(PathBuf, PathBuf)> {
    let (at, root) = mounted(mounts, "cgroup2", None).next()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some((at.to_owned(), directory(at, root, path)))
}

/// A group of version 2 in which this process can make others.
#[derive(Debug)]
struct Level {
    directory: PathBuf,
    /// What these can have of what is wanted.
    gives: Vec<Controller>,
    undivided: Option<Undivided>,
    title: Title,
}

/// Of the group of this process and those above it, what gives most; of those what was delegated to it expressly; of those
/// what has been divided already; and of those the nearest. A group with processes has no controllers for children, but
/// for the root, so that it is seldom the own one.
fn nearest(
    at: &Path,
    own: &Path,
    wanted: &[Controller],
    title: impl Fn(&Path) -> Title,
) -> Option<Level> {
    let above = own.ancestors().take_while(|d| d.starts_with(at));
    let levels = above.filter(|directory| is_writable(directory));
    let levels: Vec<Level> = levels.map(|d| level(d, wanted, title(d))).collect();
    // Of equals it is the last.
    levels.into_iter().rev().max_by_key(|level| {
        let expressly = level.title == Title::Delegated;
        (level.gives.len(), expressly, level.undivided.is_none())
    })
}

fn level(directory: &Path, wanted: &[Controller], title: Title) -> Level {
    let [enabled, offered] =
        ["cgroup.subtree_control", "cgroup.controllers"].map(|file| words(directory, file));
    let among = |c: &Controller, names: &[String]| {
        let listed = |name| names.iter().any(|n| n == name);
        c.unified().is_none_or(listed)
    };
    let (mut gives, lacks): (Vec<_>, Vec<_>) =
        wanted.iter().copied().partition(|c| among(c, &enabled));
    let could = lacks.into_iter().filter(|c| among(c, &offered));
    let could: Vec<Controller> = could.collect();
    let members = members(directory).filter(|_| title > Title::None && !could.is_empty());
    let undivided = members.map(|members| Undivided {
        aside: members == Members::This,
        switch: could
            .iter()
            .filter_map(|c| c.unified())
            .map(|name| format!("+{name}"))
            .collect::<Vec<_>>()
            .join(" "),
    });
    if undivided.is_some() {
        gives.extend(could);
    }
    Level {
        directory: directory.to_owned(),
        gives,
        undivided,
        title,
    }
}

/// Who is in a group that can be divided.
#[derive(PartialEq, Eq, Debug)]
enum Members {
    Nobody,
    /// This process alone.
    This,
}

/// `None`: others, or that cannot be told. A process of which this one has no number is 0 there.
fn members(directory: &Path) -> Option<Members> {
    let all = fs::read_to_string(directory.join("cgroup.procs")).ok()?;
    let own = std::process::id().to_string();
    match all.lines().all(|pid| pid == own) {
        true if all.is_empty() => Some(Members::Nobody),
        true => Some(Members::This),
        false => None,
    }
}

/// By what right a group is this process's to divide. All of them are root's to write, and for that alone none is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Title {
    None,
    /// It belongs to an ordinary user, who is at work here.
    Owned,
    /// systemd says so (`Delegate=`; "CGROUP_DELEGATION" of its documentation).
    Delegated,
}

impl Title {
    fn of(directory: &Path) -> Title {
        let marked = ["trusted.delegate", "user.delegate"].iter().any(|name| {
            let mut value = [0; 2];
            getxattr(directory, *name, &mut value).is_ok_and(|length| &value[..length] == b"1")
        });
        let user = rustix::process::geteuid();
        let owned = || fs::metadata(directory).is_ok_and(|group| group.uid() == user.as_raw());
        match marked {
            true => Title::Delegated,
            false if !user.is_root() && owned() => Title::Owned,
            false => Title::None,
        }
    }
}

fn words(directory: &Path, file: &str) -> Vec<String> {
    let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

fn legacy(mounts: &str, own: &str, controller: Controller) -> Option<Place> {
    let name = controller.legacy();
    let (at, root) = mounted(mounts, "cgroup", Some(name)).next()?;
    let path = path_of(own, controller)?;
    let parent = directory(at, root, path);
    is_writable(&parent).then_some(Place {
        controller,
        parent,
        unified: false,
        undivided: None,
    })
}

/// The group of a controller in `own`, which is `/proc/PID/cgroup`, of version 1.
pub(super) fn path_of(own: &str, controller: Controller) -> Option<&str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let names = fields.next()?;
        let path = fields.next()?;
        let fits = names.split(',').any(|n| n == controller.legacy());
        fits.then_some(path)
    })
}

fn is_writable(directory: &Path) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    accessat(CWD, directory, access, AtFlags::EACCESS).is_ok()
        // A mount that is read-only, as in containers, and a member file that belongs to somebody else.
        && accessat(CWD, directory.join("cgroup.procs"), Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
35 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 /outer /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    const ALL: [Controller; 3] = [Controller::Processes, Controller::Cpu, Controller::Memory];

    #[test]
    fn hierarchies_are_found_by_their_options() {
        let found: Vec<_> = mounted(MOUNTS, "cgroup", Some("pids")).collect();
        assert_eq!(found, [(Path::new("/sys/fs/cgroup/pids"), "/")]);
        let found = unified(MOUNTS, "9:pids:/\n0::/outer/own\n").unwrap();
        let at = PathBuf::from("/sys/fs/cgroup/unified");
        assert_eq!(found, (at.clone(), at.join("own")));
        assert_eq!(mounted(MOUNTS, "cgroup", Some("cpuset")).count(), 0);
    }

    #[test]
    fn a_group_is_below_where_its_hierarchy_is_mounted() {
        let at = Path::new("/c");
        assert_eq!(directory(at, "/", "/a/b"), Path::new("/c/a/b"));
        assert_eq!(directory(at, "/a", "/a/b"), Path::new("/c/b"));
        assert_eq!(directory(at, "/", "/"), Path::new("/c"));
    }

    /// The files of a group, as the kernel shows them.
    fn group(directory: &Path, controllers: &str, enabled: &str, processes: &str) {
        fs::create_dir_all(directory).unwrap();
        for (file, text) in [
            ("cgroup.controllers", controllers),
            ("cgroup.subtree_control", enabled),
            ("cgroup.procs", processes),
        ] {
            fs::write(directory.join(file), text).unwrap();
        }
    }

    #[test]
    fn all_of_one_tree_is_in_one_place() {
        let tree = tempfile::tempdir().unwrap();
        let (at, slice) = (tree.path(), tree.path().join("slice"));
        let own = slice.join("session");
        group(at, "cpu memory pids", "cpu memory pids", "");
        group(&slice, "cpu memory pids", "memory pids", "");
        // Others are here.
        group(&own, "memory pids", "", "0\n1\n");
        let nobodys = |_: &Path| Title::None;
        let found = nearest(at, &own, &ALL, nobodys).unwrap();
        assert_eq!((found.directory, found.gives.len()), (slice, 3));
        // What needs no controller is counted in the nearest.
        let found = nearest(at, &own, &[Controller::Cpu], nobodys).unwrap();
        assert_eq!(found.directory, own);
    }

    #[test]
    fn what_was_delegated_is_divided_when_nobody_else_is_there() {
        let tree = tempfile::tempdir().unwrap();
        let at = tree.path();
        let this = format!("{}\n", std::process::id());
        let others = format!("1\n{this}");
        let switched = |processes: &str, title| {
            group(at, "cpu memory pids", "", processes);
            let level = level(at, &ALL, title);
            assert_eq!(level.gives.len() == 3, level.undivided.is_some());
            level.undivided.map(|u| (u.aside, u.switch))
        };
        let switch = "+pids +memory".to_owned();
        assert_eq!(switched(&this, Title::Owned), Some((true, switch.clone())));
        assert_eq!(switched("", Title::Delegated), Some((false, switch)));
        assert_eq!(switched(&others, Title::Owned), None);
        assert_eq!(switched(&this, Title::None), None);
        group(at, "cpu pids", "pids", "");
        let level = level(at, &ALL, Title::Owned);
        assert_eq!(level.gives, [Controller::Processes, Controller::Cpu]);
        assert_eq!(level.undivided, None);
    }

    #[test]
    fn what_has_been_divided_is_not_divided_again() {
        let tree = tempfile::tempdir().unwrap();
        let (at, outer) = (tree.path(), tree.path().join("outer"));
        let own = outer.join("own");
        group(at, "memory pids", "memory pids", "");
        group(&outer, "memory pids", "memory pids", "");
        group(
            &own,
            "memory pids",
            "",
            &format!("{}\n", std::process::id()),
        );
        let place = |title: fn(&Path) -> Title| nearest(at, &own, &ALL, title).unwrap().directory;
        assert_eq!(place(|_| Title::Owned), outer);
        // A service of root's is its own, and its slice is not.
        let service = |d: &Path| match d.ends_with("own") {
            true => Title::Delegated,
            false => Title::None,
        };
        assert_eq!(place(service), own);
    }
}
