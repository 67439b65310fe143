//! The Landlock rules of a view: pure data for the child.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use portcullis_sys::landlock::{FileAccess, Handled};

use crate::view::{View, What};

/// What is denied, and what is allowed all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// The ABI that they are of.
    pub(crate) abi: u32,
    pub(crate) handled: Handled,
    /// Paths in the program's root.
    pub(crate) paths: Vec<(CString, FileAccess)>,
    /// Standard descriptors, which a program may open again by name (`/dev/stdout`).
    pub(crate) descriptors: Vec<(i32, FileAccess)>,
    /// TCP ports to which it may connect, where the network is handled.
    pub(crate) ports: Vec<u16>,
}

/// `LANDLOCK_ACCESS_FS_*` of `linux/landlock.h`.
const EXECUTE: FileAccess = 1;
const WRITE_FILE: FileAccess = 1 << 1;
pub(crate) const READ_FILE: FileAccess = 1 << 2;
pub(crate) const READ_DIR: FileAccess = 1 << 3;
const TRUNCATE: FileAccess = 1 << 14;
const IOCTL_DEV: FileAccess = 1 << 15;
/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET` and `LANDLOCK_SCOPE_SIGNAL`.
pub(crate) const SCOPES: u64 = 3;

/// `LANDLOCK_ACCESS_NET_BIND_TCP` and `LANDLOCK_ACCESS_NET_CONNECT_TCP`.
const NET: u64 = 3;
/// The first ABI that has them.
pub(crate) const PORTS: u32 = 4;

/// The newest ABI whose accesses are handled here: newer kernels do what they do for this one.
pub(crate) const NEWEST: u32 = 7;

/// The first ABI whose denials have audit records.
const AUDITED: u32 = 7;

/// The accesses to files that `abi` knows (landlock(7)): 13 at first, then one each with ABI 2, 3 and 5.
pub(crate) fn files(abi: u32) -> FileAccess {
    let count = match abi {
        0 | 1 => 13,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    (1 << count) - 1
}

impl Rules {
    /// The rules of `view` for a kernel with `abi`. `opened` are the standard descriptors that are open, and
    /// whether each can be written.
    pub(crate) fn new(view: &View, abi: u32, opened: &[(i32, bool)]) -> Rules {
        let abi = abi.min(NEWEST);
        let all = files(abi);
        let read = EXECUTE | READ_FILE | READ_DIR;
        if view.empty {
            return Rules::nothing(abi);
        }
        let mut paths = vec![(c"/".to_owned(), read)];
        for mount in &view.mounts {
            let access = match &mount.what {
                // Devices are opened to be written and asked by ioctl; nothing is made in their directory.
                _ if mount.sealed => read | WRITE_FILE | IOCTL_DEV,
                What::Graft { device: true, .. } => continue,
                what if what.writable() => all,
                _ => continue,
            };
            let is_file = matches!(mount.what, What::Graft { .. }) && is_file(mount);
            let fit = if is_file { of_files() } else { all };
            paths.push((mount.at.clone(), access & all & fit));
        }
        // Files of the program's own processes are written (comm, oom_score_adj).
        paths.push((c"/proc".to_owned(), (read | WRITE_FILE | TRUNCATE) & all));
        let descriptors = opened.iter().map(|(descriptor, written)| {
            let access = match written {
                true => READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV,
                false => READ_FILE | IOCTL_DEV,
            };
            (*descriptor, access & all)
        });
        Rules {
            abi,
            handled: Handled {
                files: all,
                net: 0,
                scopes: if abi >= 6 { SCOPES } else { 0 },
            },
            descriptors: descriptors.collect(),
            paths,
            ports: Vec::new(),
        }
    }

    /// The same for who may bind no TCP port, and connect to these alone.
    pub(crate) fn with_ports(mut self, ports: &[u16]) -> Rules {
        self.handled.net = NET;
        self.ports = ports.to_owned();
        self
    }
}

impl Rules {
    /// What they deny can have audit records; that no file may be opened needs none.
    pub(crate) fn can_be_audited(&self) -> bool {
        self.abi >= AUDITED && !self.paths.is_empty()
    }

    /// Whether what is at `path`, or is made there, may be written.
    pub(crate) fn allow_writing(&self, path: &Path) -> bool {
        let mut paths = self.paths.iter();
        paths.any(|(at, access)| {
            access & WRITE_FILE != 0 && path.starts_with(OsStr::from_bytes(at.as_bytes()))
        })
    }

    /// No file at all.
    fn nothing(abi: u32) -> Rules {
        Rules {
            abi,
            handled: Handled {
                files: files(abi),
                net: if abi >= PORTS { NET } else { 0 },
                scopes: if abi >= 6 { SCOPES } else { 0 },
            },
            paths: Vec::new(),
            descriptors: Vec::new(),
            ports: Vec::new(),
        }
    }

    /// What it does and does not, as a sentence.
    pub(crate) fn detail(&self) -> String {
        let signals = match self.handled.scopes {
            0 => "",
            _ => ", signals and abstract sockets stay inside",
        };
        if self.paths.is_empty() {
            return format!("ABI {}: no file at all{signals}", self.abi);
        }
        format!(
            "ABI {}: files are written in {} places{signals}; it does not see metadata and sockets in the file system",
            self.abi,
            self.paths.len().saturating_sub(1)
        )
    }
}

/// The accesses that a rule about a file can have.
fn of_files() -> FileAccess {
    EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
}

fn is_file(mount: &crate::view::Mount) -> bool {
    !Path::new(OsStr::from_bytes(mount.at.as_bytes())).is_dir()
}
