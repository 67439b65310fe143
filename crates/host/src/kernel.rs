//! What the host needs of the kernel.

use std::os::fd::AsFd as _;

use portcullis_sys::{pidfd, process};

use crate::error::Error;

/// Whether this kernel tells how a process of another parent ended.
pub(crate) fn tells_ends() -> Result<(), Error> {
    let own = process::handle(std::process::id().cast_signed())?;
    match pidfd::known(own.as_fd()) {
        Ok(_) if is_at_least((6, 15)) => Ok(()),
        _ => Err(Error::Kernel),
    }
}

/// The release of the running kernel against `wanted`. There is no other way to ask whether ends are told: the
/// answer comes only with an end.
fn is_at_least(wanted: (u32, u32)) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map(|n| n.parse::<u32>().ok());
    let have = (numbers.next().flatten(), numbers.next().flatten());
    matches!(have, (Some(major), Some(minor)) if (major, minor) >= wanted)
}
