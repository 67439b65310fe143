//! What a native program writes: two pipes, which are emptied while it runs.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::error::Error;
use crate::leash::Leash;
use crate::output::{Seen, Stream};

/// What is read at one time: a pipe's whole content (pipe(7)).
const PART: usize = 64 << 10;

/// Takes what comes from standard output and error until `stop` is closed at its other end, when nobody writes any more.
/// It also looks at the clock for who holds the leash.
pub(crate) fn hear(
    seen: &mut Seen<'_>,
    pipes: [OwnedFd; 2],
    stop: &OwnedFd,
    leash: &Leash,
) -> Result<(), Error> {
    for pipe in &pipes {
        let flags = fcntl_getfl(pipe).map_err(std::io::Error::from)?;
        fcntl_setfl(pipe, flags | OFlags::NONBLOCK).map_err(std::io::Error::from)?;
    }
    let mut ways = [
        Some((&pipes[0], Stream::Stdout)),
        Some((&pipes[1], Stream::Stderr)),
    ];
    let mut part = vec![0; PART];
    loop {
        let until = leash.until().filter(|_| !leash.is_pulled());
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            leash.pull();
            continue;
        }
        let timeout = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let way = |at: usize| match ways[at] {
            Some((pipe, _)) => PollFd::new(pipe, PollFlags::IN),
            // What is closed is asked for nothing.
            None => PollFd::new(stop, PollFlags::empty()),
        };
        let mut asked = [PollFd::new(stop, PollFlags::IN), way(0), way(1)];
        match poll(&mut asked, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        let over = !asked[0].revents().is_empty();
        for way in &mut ways {
            // At the end all that is there, and else a part of each, so that the clock is looked at.
            while let Some((pipe, stream)) = *way {
                match rustix::io::read(pipe, &mut part) {
                    Err(Errno::INTR) => continue,
                    Err(Errno::AGAIN) => break,
                    Ok(length) if length > 0 => {
                        if !seen.write(stream, &part[..length]) {
                            leash.end();
                            *way = None;
                        }
                    }
                    Ok(_) | Err(_) => *way = None,
                }
                if !over {
                    break;
                }
            }
        }
        if over {
            return Ok(());
        }
    }
}
