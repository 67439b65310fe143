//! What the program inherits open.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use rustix::fs::{FileType, OFlags};

use crate::error::Error;

/// The standard descriptors that are open, and whether each can be written. With `confined` files, one that
/// leads out of them is an error: a directory of the machine's own mounts, or a place to open things from.
pub(crate) fn of_program(keep: &[i32], confined: bool) -> Result<Vec<(i32, bool)>, Error> {
    let mut found = Vec::new();
    for number in [0, 1, 2].into_iter().chain(keep.iter().copied()) {
        let path = PathBuf::from(format!("/proc/self/fd/{number}"));
        // Opened as a place, so that nothing happens to what is there; what is closed is not there.
        let place = File::from(
            match rustix::fs::open(
                &path,
                OFlags::PATH | OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            ) {
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

/// With which flags `number` was opened.
fn flags_of(number: i32) -> OFlags {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
    let text = text.unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let bits = flags.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    OFlags::from_bits_retain(bits.unwrap_or(0))
}
