//! The mount interface by descriptors: trees that are attached nowhere until they are as they must be.
//!
//! Every function may be called by a child before its exec.
#![expect(unsafe_code, reason = "raw system calls with paths and structures")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::process::owned;
use crate::{Error, check};

/// `MOUNT_ATTR_*` of `linux/mount.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes(u64);

impl Attributes {
    /// None.
    pub const NONE: Attributes = Attributes(0);
    /// `MOUNT_ATTR_RDONLY`.
    pub const READ_ONLY: Attributes = Attributes(1);
    /// `MOUNT_ATTR_NOSUID`.
    pub const NO_SUID: Attributes = Attributes(2);
    /// `MOUNT_ATTR_NODEV`.
    pub const NO_DEVICES: Attributes = Attributes(4);
    /// `MOUNT_ATTR_NOEXEC`.
    pub const NO_EXEC: Attributes = Attributes(8);

    /// All of `self` and `other`.
    #[must_use]
    pub const fn and(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }
}

const FSCONFIG_SET_STRING: libc::c_int = 1;
const FSCONFIG_CMD_CREATE: libc::c_int = 6;
const FSOPEN_CLOEXEC: libc::c_int = 1;
const FSMOUNT_CLOEXEC: libc::c_int = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_int = 4;
const OPEN_TREE_CLONE: libc::c_int = 1;
const AT_RECURSIVE: libc::c_int = 0x8000;
const MS_PRIVATE: u64 = 1 << 18;

/// Which directory `AT_FDCWD` stands for.
const HERE: libc::c_int = libc::AT_FDCWD;

/// The object at the absolute `path`, as a place and nothing more; a symbolic link anywhere on the way is
/// `ELOOP`.
pub fn place(path: &CStr) -> Result<OwnedFd, Error> {
    #[repr(C)]
    struct How {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    const NO_SYMLINKS: u64 = 4;
    let how = How {
        flags: (libc::O_PATH | libc::O_CLOEXEC) as u64,
        mode: 0,
        resolve: NO_SYMLINKS,
    };
    // SAFETY: the path is null-terminated and `how` lives, with its size.
    let value = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            HERE,
            path.as_ptr(),
            &raw const how,
            size_of::<How>(),
        )
    };
    check("openat2", value).map(owned)
}

/// A copy of the mounts at and below `place`, attached nowhere.
pub fn copy_tree(place: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | AT_RECURSIVE | libc::AT_EMPTY_PATH;
    // SAFETY: an empty, null-terminated path; the rest are integers.
    let value =
        unsafe { libc::syscall(libc::SYS_open_tree, place.as_raw_fd(), c"".as_ptr(), flags) };
    check("open_tree", value).map(owned)
}

/// The same of what is at the absolute `path`, where a link stays one.
pub fn copy_tree_at(path: &CStr) -> Result<OwnedFd, Error> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | AT_RECURSIVE | libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: a null-terminated path; the rest are integers.
    let value = unsafe { libc::syscall(libc::SYS_open_tree, HERE, path.as_ptr(), flags) };
    check("open_tree", value).map(owned)
}

/// Gives every mount of `tree` the attributes `set`, and takes each out of propagation (Linux 5.12).
/// Unlike flags beside a bind, which the kernel ignores (mount(2)), this holds or fails.
pub fn set_attributes(tree: BorrowedFd<'_>, set: Attributes) -> Result<(), Error> {
    change(tree, set, None)
}

/// The same, and the owners of files are seen, and written, through the ids of `users`, a user namespace
/// (mount_setattr(2), "ID-mapped mounts"). `EINVAL`: a file system of the tree cannot do that; `EPERM`: the
/// caller may not, or a mount of the tree does it already.
pub fn map_owners(
    tree: BorrowedFd<'_>,
    set: Attributes,
    users: BorrowedFd<'_>,
) -> Result<(), Error> {
    change(tree, set, Some(users))
}

fn change(
    tree: BorrowedFd<'_>,
    set: Attributes,
    users: Option<BorrowedFd<'_>>,
) -> Result<(), Error> {
    const MAP_OWNERS: u64 = 0x10_0000;
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let attr = MountAttr {
        set: set.0 | users.map_or(0, |_| MAP_OWNERS),
        clear: 0,
        propagation: MS_PRIVATE,
        user_namespace: users.map_or(0, |users| users.as_raw_fd() as u64),
    };
    // SAFETY: an empty path, and a structure that lives, with its size.
    let value = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | AT_RECURSIVE,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    check("mount_setattr", value).map(drop)
}

/// Attaches `tree` at the absolute `path`.
pub fn attach(tree: BorrowedFd<'_>, path: &CStr) -> Result<(), Error> {
    // SAFETY: both paths are null-terminated; the rest are integers.
    let value = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            HERE,
            path.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    check("move_mount", value).map(drop)
}

/// A new file system of a kind, with `options` (names and values), attached nowhere.
pub fn fresh(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: Attributes,
) -> Result<OwnedFd, Error> {
    // SAFETY: a null-terminated name.
    let value = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) };
    let context = owned(check("fsopen", value)?);
    for (name, value) in options {
        // SAFETY: both strings are null-terminated.
        let value = unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                context.as_raw_fd(),
                FSCONFIG_SET_STRING,
                name.as_ptr(),
                value.as_ptr(),
                0,
            )
        };
        check("fsconfig", value)?;
    }
    // SAFETY: the command takes neither a key nor a value.
    let value = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            std::ptr::null::<libc::c_char>(),
            std::ptr::null::<libc::c_char>(),
            0,
        )
    };
    check("fsconfig(CREATE)", value)?;
    // SAFETY: integers only.
    let value = unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context.as_raw_fd(),
            FSMOUNT_CLOEXEC,
            attributes.0,
        )
    };
    check("fsmount", value).map(owned)
}

/// Makes `tree`, a copy of a whole root, the root of the calling process's mount namespace, and detaches the
/// former one. The working directory is the new root afterwards. The initial RAM file system cannot be replaced
/// (pivot_root(2)): with `over` the tree lies on it, and is the root of the process.
pub fn become_root(tree: BorrowedFd<'_>, over: bool) -> Result<(), Error> {
    attach(tree, c"/")?;
    // SAFETY: an integer only.
    let value = unsafe { libc::syscall(libc::SYS_fchdir, tree.as_raw_fd()) };
    check("fchdir", value)?;
    if over {
        // SAFETY: a null-terminated path.
        let value = unsafe { libc::syscall(libc::SYS_chroot, c".".as_ptr()) };
        return check("chroot", value).map(drop);
    }
    // The former root comes to lie on the new one, where it can be detached (pivot_root(2)).
    // SAFETY: null-terminated paths.
    let value = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    check("pivot_root", value)?;
    // SAFETY: a null-terminated path.
    let value = unsafe { libc::syscall(libc::SYS_umount2, c".".as_ptr(), libc::MNT_DETACH) };
    check("umount2", value)?;
    enter(c"/")
}

/// Detaches what is mounted at `path`.
pub fn detach(path: &CStr) -> Result<(), Error> {
    // SAFETY: a null-terminated path.
    let value = unsafe { libc::syscall(libc::SYS_umount2, path.as_ptr(), libc::MNT_DETACH) };
    check("umount2", value).map(drop)
}

/// Makes a directory; one that is there is as good.
pub fn make_directory(path: &CStr, mode: u32) -> Result<(), Error> {
    // SAFETY: a null-terminated path.
    let value = unsafe { libc::syscall(libc::SYS_mkdirat, HERE, path.as_ptr(), mode) };
    there(check("mkdir", value))
}

/// Makes an empty file; what is there is as good.
pub fn make_file(path: &CStr) -> Result<(), Error> {
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // SAFETY: a null-terminated path.
    let value = unsafe { libc::syscall(libc::SYS_openat, HERE, path.as_ptr(), flags, 0o444) };
    there(check("open(O_CREAT)", value).map(|fd| drop(owned(fd))))
}

/// Makes a symbolic link.
pub fn make_link(content: &CStr, path: &CStr) -> Result<(), Error> {
    // SAFETY: null-terminated strings.
    let value =
        unsafe { libc::syscall(libc::SYS_symlinkat, content.as_ptr(), HERE, path.as_ptr()) };
    check("symlink", value).map(drop)
}

/// Changes the working directory.
pub fn enter(path: &CStr) -> Result<(), Error> {
    // SAFETY: a null-terminated path.
    let value = unsafe { libc::syscall(libc::SYS_chdir, path.as_ptr()) };
    check("chdir", value).map(drop)
}

fn there<T>(made: Result<T, Error>) -> Result<(), Error> {
    match made {
        Err(e) if e.errno() == libc::EEXIST => Ok(()),
        other => other.map(drop),
    }
}
