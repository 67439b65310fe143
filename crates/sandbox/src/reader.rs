//! A process of our own that gives up all but reading, before it looks at something hostile.

use std::os::fd::AsFd as _;

use portcullis_sys::landlock::{self, Handled};
use portcullis_sys::seccomp::{self, SockFilter};
use portcullis_sys::{mount, process};

use crate::Error;
use crate::features::Features;
use crate::rules::{NEWEST, READ_DIR, READ_FILE, SCOPES, files};

/// `LANDLOCK_ACCESS_NET_BIND_TCP` and `LANDLOCK_ACCESS_NET_CONNECT_TCP`, since ABI 4.
const PORTS: u64 = 3;

/// Restricts the calling thread, and all that it starts, for good: files are read, and nothing else of them;
/// new descriptors lead to no network; calls are those of `filter`. What is open already stays usable. Fails
/// where Landlock cannot be had, with nothing but the promise of no new privileges made.
pub fn only_read(filter: &[SockFilter]) -> Result<(), Error> {
    let abi = Features::probe().landlock()?.min(NEWEST);
    process::no_new_privileges()?;
    let ruleset = landlock::ruleset(&Handled {
        files: files(abi),
        net: if abi >= 4 { PORTS } else { 0 },
        scopes: if abi >= 6 { SCOPES } else { 0 },
    })?;
    let root = mount::place(c"/")?;
    landlock::allow(ruleset.as_fd(), root.as_fd(), READ_FILE | READ_DIR)?;
    landlock::restrict(ruleset.as_fd(), false)?;
    Ok(seccomp::install(filter)?)
}
