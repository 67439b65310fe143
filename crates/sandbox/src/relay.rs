//! Standard output and error of a program whose output is bounded: two pipes, which the launcher empties, counts
//! and passes on.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use portcullis_sys::process;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, fchmod};

use crate::error::Error;
use crate::watchdog::Fired;

/// What is read at one time: a pipe's whole content (pipe(7)).
const PART: usize = 64 << 10;

/// The ends that the launcher reads.
pub(crate) struct Relay {
    output: OwnedFd,
    error: OwnedFd,
}

impl Relay {
    /// The pipes, and the ends that the program writes to. They are open to every user, as descriptors are: a
    /// program opens them again by their names (`/dev/stdout`).
    pub(crate) fn new() -> Result<(Relay, [OwnedFd; 2]), Error> {
        let (output, written) = process::pipe()?;
        let (error, complained) = process::pipe()?;
        for end in [&written, &complained] {
            fchmod(end, Mode::from_raw_mode(0o666)).map_err(|e| Error::Read {
                path: "a pipe".into(),
                reason: io::Error::from(e),
            })?;
        }
        Ok((Relay { output, error }, [written, complained]))
    }

    /// Passes on at most `most` bytes in all; what would be more is dropped, and ends the process of `first`,
    /// with which all the others end. Returns when nobody can write any more, or when `stop` is closed at its
    /// other end and nothing is left to read.
    pub(crate) fn pass_on(&self, most: u64, first: &OwnedFd, stop: &OwnedFd, fired: &Fired) {
        let (output, error) = (io::stdout(), io::stderr());
        let mut open = [
            Some((self.output.as_fd(), output.as_fd())),
            Some((self.error.as_fd(), error.as_fd())),
        ];
        let mut left = most;
        let mut part = vec![0; PART];
        while open.iter().any(Option::is_some) {
            let Some(ready) = ready(&open, stop) else {
                return;
            };
            for (pair, _) in open.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
                let Some((from, to)) = *pair else { continue };
                let count = match rustix::io::read(from, &mut part) {
                    Err(rustix::io::Errno::INTR) => continue,
                    // The end: nobody has the other one open.
                    Ok(0) | Err(_) => {
                        *pair = None;
                        continue;
                    }
                    Ok(count) => count,
                };
                let passes = count.min(usize::try_from(left).unwrap_or(count));
                left -= passes as u64;
                if passes < count {
                    fired.output();
                    // Fails only when it has ended by itself.
                    let _ = process::signal_process(first.as_fd(), libc::SIGKILL);
                }
                // Nobody reads on: the program learns of it as it would without the pipe.
                if write(to, &part[..passes]).is_err() {
                    *pair = None;
                }
            }
        }
    }
}

/// What is open of one stream: where it comes from, and where it goes.
type Pair<'a> = Option<(BorrowedFd<'a>, BorrowedFd<'a>)>;

/// Which of `open` can be read; `None` when `stop` is closed and there is nothing.
fn ready<'a>(open: &'a [Pair<'a>; 2], stop: &'a OwnedFd) -> Option<[bool; 2]> {
    // What is closed is asked for nothing.
    let ask = |pair: &'a Pair<'a>| match pair {
        Some((from, _)) => PollFd::new(from, PollFlags::IN),
        None => PollFd::new(stop, PollFlags::empty()),
    };
    loop {
        let mut asked = [
            ask(&open[0]),
            ask(&open[1]),
            PollFd::new(stop, PollFlags::IN),
        ];
        match poll(&mut asked, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
        let is = |at: usize| open[at].is_some() && !asked[at].revents().is_empty();
        let ready = [is(0), is(1)];
        if ready != [false, false] {
            return Some(ready);
        }
        if !asked[2].revents().is_empty() {
            return None;
        }
    }
}

fn write(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), rustix::io::Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR) => {}
            // Somebody else made it so; there is room again when it says so.
            Err(rustix::io::Errno::AGAIN) => {
                poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
