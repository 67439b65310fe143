//! What the program inherits open.

use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use portcullis_sys::{channel, process};
use rustix::fs::{FileType, Mode, OFlags};

use crate::error::Error;

/// The standard descriptors that are open, and whether each can be written; those of `standard` are in the place of
/// this process's own. With `confined` files, one that leads out of them is an error: a directory of the machine's
/// own mounts, or a place to open things from.
pub(crate) fn of_program(
    keep: &[i32],
    standard: &[Option<OwnedFd>; 3],
    confined: bool,
) -> Result<Vec<(i32, bool)>, Error> {
    let given = (0..).zip(standard);
    let given =
        given.map(|(number, given)| (number, given.as_ref().map_or(number, AsRawFd::as_raw_fd)));
    let mut found = Vec::new();
    for (number, own) in given.chain(keep.iter().map(|number| (*number, *number))) {
        let written = look(number, own, confined)?;
        if let Some(written) = written.filter(|_| number < 3) {
            found.push((number, written));
        }
    }
    Ok(found)
}

/// Refuses sockets that could reach another machine, whatever they may be connected to afterwards: Landlock looks at
/// those of TCP alone.
pub(crate) fn refuse_sockets(keep: &[i32], standard: &[Option<OwnedFd>; 3]) -> Result<(), Error> {
    let given = (0..).zip(standard);
    let given =
        given.map(|(number, given)| (number, given.as_ref().map_or(number, AsRawFd::as_raw_fd)));
    for (number, own) in given.chain(keep.iter().map(|number| (*number, *number))) {
        refuse_socket(number, own)?;
    }
    Ok(())
}

/// The same of `own`, which the program has as `number`.
pub(crate) fn refuse_socket(number: i32, own: i32) -> Result<(), Error> {
    match channel::family(own) {
        Some(family) if family != libc::AF_UNIX => Err(Error::Invalid(format!(
            "descriptor {number} is a socket of a network, for which rules about ports do not hold; give the program a pipe"
        ))),
        _ => Ok(()),
    }
}

/// Opens root's pipes among the standard descriptors to every user: programs open them again by their names
/// (`/dev/stderr`), where a pipe is a file that only its owner may open. Who is no owner of the descriptor
/// reaches it through `/proc/PID/fd` alone, which asks for more. Those of `standard` are in the place of this
/// process's own.
pub(crate) fn open_pipes(standard: &[Option<OwnedFd>; 3]) {
    let own = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let own = [own.0.as_fd(), own.1.as_fd(), own.2.as_fd()];
    for (given, own) in standard.iter().zip(own) {
        open_pipe(given.as_ref().map_or(own, OwnedFd::as_fd));
    }
}

/// The same of one.
pub(crate) fn open_pipe(descriptor: BorrowedFd<'_>) {
    let is_roots = rustix::fs::fstat(descriptor).is_ok_and(|found| {
        FileType::from_raw_mode(found.st_mode) == FileType::Fifo && found.st_uid == 0
    });
    // One that has a name of its own is a file of the machine's.
    let name = || std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
    if is_roots && name().is_ok_and(|name| name.as_os_str().as_bytes().starts_with(b"pipe:")) {
        // What stays closed is missed by the program itself.
        let _ = rustix::fs::fchmod(descriptor, Mode::from_raw_mode(0o666));
    }
}

/// Whether `own`, which the program has as `number`, can be written; nothing where it is closed.
pub(crate) fn look(number: i32, own: i32, confined: bool) -> Result<Option<bool>, Error> {
    let Ok((mode, flags)) = process::opened(own) else {
        return Ok(None);
    };
    let flags = OFlags::from_bits_retain(flags);
    let leads_out =
        FileType::from_raw_mode(mode) == FileType::Directory || flags.contains(OFlags::PATH);
    if confined && leads_out {
        return Err(Error::Invalid(format!(
            "descriptor {number} is a directory or a place (O_PATH): the program could open everything from there; close it or give it another file"
        )));
    }
    Ok(Some(flags & OFlags::RWMODE != OFlags::RDONLY))
}
