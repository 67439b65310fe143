//! What the program inherits open.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags};

use crate::error::Error;

/// The standard descriptors that are open, and whether each can be written. With `confined` files, one that
/// leads out of them is an error: a directory of the machine's own mounts, or a place to open things from.
pub(crate) fn of_program(keep: &[i32], confined: bool) -> Result<Vec<(i32, bool)>, Error> {
    let mut found = Vec::new();
    for number in [0, 1, 2].into_iter().chain(keep.iter().copied()) {
        let path = PathBuf::from(format!("/proc/self/fd/{number}"));
        // Opened as a place, so that nothing happens to what is there; what is closed is not there.
        let place = File::from(
            match rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
                Ok(place) => place,
                Err(_) => continue,
            },
        );
        let Ok(kind) = rustix::fs::fstat(place.as_fd()) else {
            continue;
        };
        let flags = flags_of(number);
        let leads_out = FileType::from_raw_mode(kind.st_mode) == FileType::Directory
            || flags.contains(OFlags::PATH);
        if confined && leads_out {
            return Err(Error::Invalid(format!(
                "descriptor {number} is a directory or a place (O_PATH): the program could open everything from there; close it or give it another file"
            )));
        }
        if number < 3 {
            let access = flags & OFlags::RWMODE;
            found.push((number, access != OFlags::RDONLY));
        }
    }
    Ok(found)
}

/// Opens root's pipes among the standard descriptors to every user: programs open them again by their names
/// (`/dev/stderr`), where a pipe is a file that only its owner may open. Who is no owner of the descriptor
/// reaches it through `/proc/PID/fd` alone, which asks for more.
pub(crate) fn open_pipes() {
    let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for (number, descriptor) in [input.as_fd(), output.as_fd(), error.as_fd()]
        .iter()
        .enumerate()
    {
        let name = std::fs::read_link(format!("/proc/self/fd/{number}"));
        let is_pipe = name.is_ok_and(|name| name.as_os_str().as_bytes().starts_with(b"pipe:"));
        if is_pipe && rustix::fs::fstat(descriptor).is_ok_and(|found| found.st_uid == 0) {
            // What stays closed is missed by the program itself.
            let _ = rustix::fs::fchmod(descriptor, Mode::from_raw_mode(0o666));
        }
    }
}

/// With which flags `number` was opened.
fn flags_of(number: i32) -> OFlags {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
    let text = text.unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let bits = flags.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    OFlags::from_bits_retain(bits.unwrap_or(0))
}
