//! The mounts of a process that was set up, compared with the view that it must have.
//!
//! What a mount call was told is no proof: flags beside a bind are ignored without an error. So the launcher
//! reads from the kernel, before any code of the program runs, what is mounted where and how.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::places_table::PROC_READ_ONLY;
use crate::view::{Mount, View, What};

/// More than a namespace can hold (`fs.mount-max` is 100,000; lines are about 150 bytes).
const MOUNTINFO_LIMIT: u64 = 64 << 20;

/// A line of `/proc/PID/mountinfo` (proc_pid_mountinfo(5)).
#[derive(PartialEq, Eq, Debug)]
struct Line<'a> {
    /// As bytes: it and the places of a view have one form, which is compared several thousand times.
    at: Cow<'a, [u8]>,
    read_only: bool,
    no_suid: bool,
    no_devices: bool,
    mapped: bool,
    kind: &'a [u8],
}

/// The mounts of a process, to be read when there is time for it: a list that is open stays the one of its namespace,
/// whatever becomes of the process.
#[derive(Debug)]
pub(crate) struct Mounts(File);

impl Mounts {
    /// Of `pid`, which waits for the launcher: where `/proc` hides processes, it is seen then and not after.
    pub(crate) fn of(pid: i32) -> Result<Mounts, String> {
        let path = format!("/proc/{pid}/mountinfo");
        let opened = File::open(&path).map_err(|e| format!("cannot open {path}: {e}"));
        opened.map(Mounts)
    }

    /// Whether they are those of `view`, and no other can be written; the first difference is the error, as a sentence.
    pub(crate) fn prove(self, view: &View) -> Result<(), String> {
        // Of a usual size, so that one call reads them all.
        let mut text = Vec::with_capacity(64 << 10);
        let mut list = self.0.take(MOUNTINFO_LIMIT);
        list.read_to_end(&mut text)
            .map_err(|e| format!("cannot read its mounts: {e}"))?;
        let lines = text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let lines: Option<Vec<Line<'_>>> = lines.map(line).collect();
        judge(&lines.ok_or("a line of mountinfo cannot be read")?, view)
    }
}

fn judge(lines: &[Line<'_>], view: &View) -> Result<(), String> {
    if lines.is_empty() {
        return Err("it has no mounts".to_owned());
    }
    if view.empty {
        return judge_empty(lines);
    }
    let planned: HashMap<&[u8], &Mount> =
        view.mounts.iter().map(|m| (m.at.as_bytes(), m)).collect();
    for line in lines {
        let at = path(&line.at);
        // The nearest planned mount says what may be written here: what lies below a tree that is grafted
        // came with it. Its own `/proc` has writable files of its own processes.
        let mut above = at.ancestors();
        let nearest = above.find_map(|a| planned.get(a.as_os_str().as_bytes()));
        let writable = match nearest {
            Some(mount) => !mount.sealed && mount.what.writable(),
            None => *line.at == *b"/proc" && line.kind == b"proc",
        };
        if !line.read_only && !writable {
            return Err(format!("{at:?} can be written"));
        }
        if !line.no_suid {
            return Err(format!("{at:?} raises privileges (no nosuid)"));
        }
        let device = nearest.is_some_and(|m| matches!(m.what, What::Graft { device: true, .. }))
            || line.kind == b"devpts"
            || at.starts_with("/proc");
        if !line.no_devices && !device {
            return Err(format!("{at:?} has device files (no nodev)"));
        }
    }
    // What is uppermost at each place: mountinfo lists mounts as they came.
    let uppermost: HashMap<&[u8], &Line<'_>> = lines.iter().map(|l| (&*l.at, l)).collect();
    for mount in view.owned().filter(|m| view.mapped && m.what.writable()) {
        let found = uppermost.get(mount.at.as_bytes());
        if found.is_some_and(|line| !line.mapped) {
            return Err(format!(
                "{:?} is written with the program's own ids (not idmapped)",
                path(mount.at.as_bytes())
            ));
        }
    }
    for mount in &view.mounts {
        let at = path(mount.at.as_bytes());
        // A cover whose place is gone has nothing to cover.
        let needed = || mount.what.writable() || at.exists();
        if !uppermost.contains_key(mount.at.as_bytes()) && needed() {
            return Err(format!("{at:?} is not mounted"));
        }
    }
    let processes = uppermost.get(&b"/proc"[..]).map(|line| line.kind);
    if processes != Some(b"proc") {
        return Err("/proc is not its own".to_owned());
    }
    for place in PROC_READ_ONLY {
        let at = path(place.to_bytes());
        let found = uppermost.get(place.to_bytes());
        if found.is_none_or(|line| !line.read_only) && at.exists() {
            return Err(format!("{at:?} can be written"));
        }
    }
    Ok(())
}

/// One file system of its own that cannot be written, and nothing on it.
fn judge_empty(lines: &[Line<'_>]) -> Result<(), String> {
    match lines {
        [line] if *line.at == *b"/" && line.kind == b"tmpfs" => {
            let sealed = line.read_only && line.no_suid && line.no_devices;
            match sealed {
                true => Ok(()),
                false => Err("the empty root can be written or raises privileges".to_owned()),
            }
        }
        _ => Err(format!("there is more than an empty root: {lines:?}")),
    }
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// `id parent major:minor root mount-point options … - type source super-options`.
fn line(bytes: &[u8]) -> Option<Line<'_>> {
    let mut fields = bytes.split(|b| *b == b' ');
    let at = unescape(fields.nth(4)?);
    let options = fields.next()?.split(|b| *b == b',');
    let has = |name: &[u8]| options.clone().any(|option| option == name);
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Line {
        at,
        read_only: has(b"ro"),
        no_suid: has(b"nosuid"),
        no_devices: has(b"nodev"),
        mapped: has(b"idmapped"),
        kind,
    })
}

/// Space, tab, newline and backslash stand there as a backslash and three octal digits.
fn unescape(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&b'\\') {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\');
        let value = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match value {
            Some(value) => {
                out.push(value);
                rest = &after[3..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::Confinement;
    use crate::view::Reader;

    fn view() -> View {
        let wanted = Confinement::new(PathBuf::from("/"));
        View::new(&wanted, &std::env::current_exe().unwrap(), Reader::User).unwrap()
    }

    fn one<'a>(at: &'a [u8], read_only: bool, kind: &'a [u8]) -> Line<'a> {
        Line {
            at: Cow::Borrowed(at),
            read_only,
            no_suid: true,
            no_devices: true,
            mapped: true,
            kind,
        }
    }

    fn lines(view: &View) -> Vec<Line<'_>> {
        let mut lines = vec![one(b"/", true, b"ext4")];
        lines.extend(view.mounts.iter().map(|m| {
            let read_only = m.sealed || !m.what.writable();
            one(m.at.as_bytes(), read_only, b"tmpfs")
        }));
        lines.push(one(b"/proc", false, b"proc"));
        for path in PROC_READ_ONLY {
            lines.push(one(path.to_bytes(), true, b"proc"));
        }
        lines
    }

    #[test]
    fn what_was_planned_is_proved_and_each_difference_is_found() {
        let view = view();
        assert_eq!(judge(&lines(&view), &view), Ok(()));
        let spoil = |change: &dyn Fn(&mut Vec<Line<'_>>)| {
            let mut lines = lines(&view);
            change(&mut lines);
            judge(&lines, &view).unwrap_err()
        };
        assert!(spoil(&|l| l[0].read_only = false).contains("can be written"));
        assert!(spoil(&|l| l[0].no_suid = false).contains("nosuid"));
        assert!(spoil(&|l| l[0].no_devices = false).contains("nodev"));
        assert!(spoil(&|l| l.retain(|l| *l.at != *b"/tmp")).contains("not mounted"));
        assert!(spoil(&|l| l.retain(|l| *l.at != *b"/proc")).contains("/proc"));
        assert!(spoil(&|l| l.retain(|l| *l.at != *b"/proc/sys")).contains("/proc/sys"));
        assert!(
            spoil(&|l| {
                let at = l.iter().position(|l| *l.at == *b"/dev").unwrap();
                l[at].read_only = false;
            })
            .contains("/dev")
        );
        assert!(spoil(&|l| l.clear()).contains("no mounts"));
    }

    #[test]
    fn what_is_written_keeps_its_owner_outside() {
        let tree = tempfile::tempdir().unwrap();
        let mut wanted = Confinement::new(PathBuf::from("/"));
        wanted.write = vec![tree.path().canonicalize().unwrap()];
        let program = std::env::current_exe().unwrap();
        let view = View::new(&wanted, &program, Reader::OtherRoot).unwrap();
        let mut lines = lines(&view);
        assert_eq!(judge(&lines, &view), Ok(()));
        let written = wanted.write[0].as_os_str().as_bytes();
        let at = lines.iter().position(|l| *l.at == *written).unwrap();
        lines[at].mapped = false;
        assert!(judge(&lines, &view).unwrap_err().contains("idmapped"));
    }

    #[test]
    fn an_empty_root_is_alone_and_sealed() {
        let mut view = view();
        view.empty = true;
        let own = |read_only| one(b"/", read_only, b"tmpfs");
        assert_eq!(judge(&[own(true)], &view), Ok(()));
        assert!(judge(&[own(false)], &view).is_err());
        assert!(judge(&[own(true), own(true)], &view).is_err());
        let mut machines = own(true);
        machines.kind = b"ext4";
        assert!(judge(&[machines], &view).is_err());
    }

    #[test]
    fn a_line_is_read_with_its_escapes() {
        let text = b"36 35 98:0 /mnt1 /mnt\\040two rw,noatime,nosuid master:1 - ext3 /dev/root rw,errors=continue";
        let read = line(text).unwrap();
        assert_eq!(*read.at, *b"/mnt two");
        assert!(!read.read_only && read.no_suid && !read.no_devices);
        assert_eq!(read.kind, b"ext3");
        assert_eq!(line(b"36 35"), None);
    }
}
