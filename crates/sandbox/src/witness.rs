//! What attempts of the break-out test try to reach: files, sockets and other objects of the launcher's, open to
//! everybody, so that nothing but the sandbox keeps a sibling from them.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use portcullis_sys::ipc::{self, Key, Queue};
use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::error::Error;

/// Removed when it is dropped.
pub(crate) struct Witness {
    directory: PathBuf,
    shown: PathBuf,
    hidden: PathBuf,
    shared: PathBuf,
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) queue: Queue,
    /// Where keys are to be had at all.
    pub(crate) key: Option<Key>,
    // Held open, so that who is let through meets somebody.
    _pathname: UnixListener,
    _abstract: UnixListener,
    _tcp: TcpListener,
    _pipe: OwnedFd,
}

impl Witness {
    pub(crate) fn new() -> Result<Witness, Error> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("portcullis-{}-{number}", std::process::id());
        // Where every program has a place of its own.
        let directory = Path::new("/tmp").join(&name);
        let failed = |reason| Error::Read {
            path: directory.clone(),
            reason,
        };
        // What a launcher of the same number left behind when it was killed.
        let _ = fs::remove_dir_all(&directory);
        let _ = fs::remove_file(directory.with_extension("link"));
        let shared = Path::new("/dev/shm").join(&name);
        make(&directory, name).map_err(|reason| {
            // As far as there was room for it.
            let _ = fs::remove_dir_all(&directory);
            let _ = fs::remove_file(shared);
            failed(reason)
        })
    }

    /// What a sibling is shown, read-only.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// What is hidden from it.
    pub(crate) fn hidden(&self) -> &Path {
        &self.hidden
    }

    /// A file that is hidden among those.
    pub(crate) fn masked(&self) -> PathBuf {
        self.shown.join("masked")
    }

    /// A path below what is shown.
    pub(crate) fn shown_at(&self, name: &str) -> PathBuf {
        self.shown.join(name)
    }

    /// A path below what is hidden.
    pub(crate) fn hidden_at(&self, name: &str) -> PathBuf {
        self.hidden.join(name)
    }

    /// A path below what it is not given at all.
    pub(crate) fn private_at(&self, name: &str) -> PathBuf {
        self.directory.join("private").join(name)
    }

    /// A file in the memory that processes share by name.
    pub(crate) fn shared(&self) -> &Path {
        &self.shared
    }

    /// Where there is nothing, in a directory in which everybody can make something.
    pub(crate) fn link(&self) -> PathBuf {
        self.directory.with_extension("link")
    }

    /// Removes what an attempt made that got through.
    pub(crate) fn renew(&self) -> Result<(), Error> {
        ipc::forget_messages(&self.name);
        for path in [self.shown_at("new"), self.private_at("new"), self.link()] {
            match fs::remove_file(&path) {
                Err(reason) if reason.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::Read { path, reason });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn make(directory: &Path, name: String) -> io::Result<Witness> {
    fs::create_dir(directory)?;
    let (shown, private) = (directory.join("shown"), directory.join("private"));
    let hidden = shown.join("hidden");
    let shared = Path::new("/dev/shm").join(&name);
    for made in [directory, &shown, &private, &hidden] {
        if made != directory {
            fs::create_dir(made)?;
        }
        fs::set_permissions(made, Permissions::from_mode(0o777))?;
    }
    let files = [
        shown.join("file"),
        shown.join("masked"),
        hidden.join("secret"),
        private.join("file"),
        shared.clone(),
    ];
    for file in &files {
        fs::write(file, [0; 4096])?;
        fs::set_permissions(file, Permissions::from_mode(0o777))?;
    }
    let address = SocketAddr::from_abstract_name(&name)?;
    let pathname = UnixListener::bind(private.join("socket"))?;
    fs::set_permissions(private.join("socket"), Permissions::from_mode(0o777))?;
    let pipe = private.join("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::empty(), 0)?;
    fs::set_permissions(&pipe, Permissions::from_mode(0o777))?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let pipe = rustix::fs::open(&pipe, flags, Mode::empty())?;
    // By its number: a text would bring the lookup of names.
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(Witness {
        port: tcp.local_addr()?.port(),
        queue: ipc::queue().map_err(|e| e.reason)?,
        key: match ipc::key(&name) {
            Ok(key) => Some(key),
            // A kernel without keys, or a filter of a container that forbids them.
            Err(e) if [libc::ENOSYS, libc::EPERM].contains(&e.errno()) => None,
            Err(e) => return Err(e.reason),
        },
        _pathname: pathname,
        _abstract: UnixListener::bind_addr(&address)?,
        _tcp: tcp,
        _pipe: pipe,
        directory: directory.to_owned(),
        shown,
        hidden,
        shared,
        name,
    })
}

impl Drop for Witness {
    fn drop(&mut self) {
        // What cannot be removed is found, and removed, by the next of its name.
        let _ = fs::remove_dir_all(&self.directory);
        let _ = fs::remove_file(&self.shared);
        let _ = fs::remove_file(self.link());
        ipc::forget_messages(&self.name);
    }
}
