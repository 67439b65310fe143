//! Copies of the trees that root's program is given, in which it is the owner that root is outside.
//!
//! Only who is privileged where a file system was mounted may have its owners seen through other ids
//! (mount_setattr(2)), so the launcher makes these copies, and passes them to the init.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use portcullis_sys::{channel, mount};

use crate::canonical::Canonical;
use crate::error::Error;
use crate::help;
use crate::layer::LayerName;
use crate::view::{Mount, View, What};

/// Passes over `to` what [`View::owned`] names, in its order, with the owners of the user namespace of `init`.
pub(crate) fn pass(view: &View, init: i32, to: BorrowedFd<'_>) -> Result<(), Error> {
    if !view.mapped {
        return Ok(());
    }
    let path = format!("/proc/{init}/ns/user");
    let users = File::open(&path).map_err(|reason| Error::Read {
        path: path.into(),
        reason,
    })?;
    for mount in view.owned() {
        let tree = owned(mount, users.as_fd())?;
        channel::pass(to, tree.as_ref().map(OwnedFd::as_fd))?;
    }
    Ok(())
}

/// The copy; none when the owners cannot be shown, and everybody may read there.
fn owned(graft: &Mount, users: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Error> {
    let copy = || {
        let place = mount::place(&graft.at)?;
        let tree = mount::copy_tree(place.as_fd())?;
        mount::map_owners(tree.as_fd(), graft.what.attributes(), users).map(|()| tree)
    };
    let error = match copy() {
        Ok(tree) => return Ok(Some(tree)),
        Err(error) => error,
    };
    let path = Path::new(std::ffi::OsStr::from_bytes(graft.at.as_bytes()));
    if !graft.what.writable() && Canonical::default().is_open(path) {
        return Ok(None);
    }
    Err(Error::Layer {
        layer: match error.call {
            "mount_setattr" | "open_tree" => LayerName::Ids,
            _ => LayerName::Filesystem,
        },
        reason: format!("root's program cannot be given {path:?} as its own: {error}"),
        help: help::owners(path, error.errno()),
    })
}

impl View {
    /// The mounts whose owners are to be the program's.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &Mount> {
        self.mounts.iter().filter(|mount| mount.is_owned())
    }

    /// Whether the launcher passes a copy of `mount`, in which the owners are the program's.
    pub(crate) fn is_passed(&self, mount: &Mount) -> bool {
        self.mapped && mount.is_owned()
    }
}

impl Mount {
    /// Its owners are to be the program's, where these are not the machine's.
    pub(crate) fn is_owned(&self) -> bool {
        matches!(self.what, What::Graft { device: false, .. })
    }
}
