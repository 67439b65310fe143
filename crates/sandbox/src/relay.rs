//! Standard output and error of a program whose output is bounded: two pipes, which are emptied, counted and passed on
//! to where the streams lead.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use portcullis_sys::process;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;

use crate::error::Error;
use crate::standard::above_standard;
use crate::watchdog::Fired;

/// What is read at one time: a pipe's whole content (pipe(7)).
const PART: usize = 64 << 10;
/// What a pipe that can be written takes without waiting for its reader (pipe(7), `PIPE_BUF`).
const PASSES: usize = 4096;

/// The ends that are read, and where what is read goes.
#[derive(Debug)]
pub(crate) struct Relay {
    ways: [Way; 2],
    /// Whoever started the program ends after it: all is passed on before.
    awaited: bool,
}

#[derive(Debug)]
struct Way {
    from: OwnedFd,
    to: OwnedFd,
    /// What the reader has no room for, once the program has ended.
    rest: Vec<u8>,
}

/// A relay at work.
#[derive(Debug)]
pub(crate) struct Passing {
    counted: mpsc::Receiver<()>,
    thread: JoinHandle<()>,
    awaited: bool,
}

impl Relay {
    /// The pipes before the streams `output` and `error`, and the ends that the program writes to. They are open to
    /// every user, as descriptors are: a program opens them again by their names (`/dev/stdout`).
    pub(crate) fn between(
        output: BorrowedFd<'_>,
        error: BorrowedFd<'_>,
        awaited: bool,
    ) -> Result<(Relay, [OwnedFd; 2]), Error> {
        let (output, written) = way(output)?;
        let (error, complained) = way(error)?;
        let relay = Relay {
            ways: [output, error],
            awaited,
        };
        Ok((relay, [written, complained]))
    }

    /// Begins to pass on at most `most` bytes in all; what would be more is dropped, and ends the process of `first`,
    /// with which all the others end. `stop` is closed at its other end when nobody writes any more.
    pub(crate) fn begin(
        self,
        most: u64,
        first: OwnedFd,
        stop: OwnedFd,
        fired: Arc<Fired>,
    ) -> Result<Passing, Error> {
        let (tell, counted) = mpsc::sync_channel(1);
        let Relay { ways, awaited } = self;
        let count = Count {
            left: most,
            first,
            fired,
        };
        let passing = thread::Builder::new().name("portcullis-output".to_owned());
        let thread = passing.spawn(move || {
            let ways = pass_on(ways, count, &stop);
            // Who asks for the verdict may be who reads, and does not read yet.
            let _ = tell.send(());
            for way in ways.into_iter().flatten() {
                // What nobody reads is gone.
                let _ = write_all(&way.to, &way.rest);
            }
        });
        let thread = thread.map_err(|reason| Error::Read {
            path: "a new thread".into(),
            reason,
        })?;
        Ok(Passing {
            counted,
            thread,
            awaited,
        })
    }
}

impl Passing {
    /// Returns when all that was written is counted.
    pub(crate) fn finish(self) {
        // Fails only when it is past that.
        let _ = self.counted.recv();
        if self.awaited {
            // It has no result.
            let _ = self.thread.join();
        }
    }
}

fn way(to: BorrowedFd<'_>) -> Result<(Way, OwnedFd), Error> {
    let failed = |reason: io::Error| Error::Read {
        path: "a pipe".into(),
        reason,
    };
    let (from, written) = process::pipe()?;
    fchmod(&written, Mode::from_raw_mode(0o666)).map_err(|e| failed(e.into()))?;
    let way = Way {
        from,
        to: to.try_clone_to_owned().map_err(failed)?,
        rest: Vec::new(),
    };
    Ok((way, above_standard(written)?))
}

/// What is left of a limit, and what happens when nothing is.
struct Count {
    left: u64,
    first: OwnedFd,
    fired: Arc<Fired>,
}

impl Count {
    /// How many of `count` bytes are passed on.
    fn take(&mut self, count: usize) -> usize {
        let passes = count.min(usize::try_from(self.left).unwrap_or(count));
        self.left -= passes as u64;
        if passes < count {
            self.fired.output();
            // Fails only when it has ended by itself.
            let _ = process::signal_process(self.first.as_fd(), libc::SIGKILL);
        }
        passes
    }
}

/// Until nobody can write any more, or `stop` is closed at its other end and nothing is left to read. The ways come
/// back with what is still to be written.
fn pass_on(ways: [Way; 2], mut count: Count, stop: &OwnedFd) -> [Option<Way>; 2] {
    let mut open = ways.map(Some);
    let mut done = [None, None];
    let mut part = vec![0; PART];
    while let Some(ready) = ready(&open, stop) {
        for (at, _) in ready.into_iter().enumerate().filter(|(_, ready)| *ready) {
            let Some(way) = &mut open[at] else { continue };
            match rustix::io::read(&way.from, &mut part) {
                Err(Errno::INTR) => {}
                // The end: nobody has the other one open.
                Ok(0) | Err(_) => done[at] = open[at].take(),
                Ok(read) => {
                    let passes = count.take(read);
                    if way.pass(&part[..passes], stop).is_err() {
                        // Nobody reads on: the program learns of it as it would without the pipe.
                        open[at] = None;
                    }
                }
            }
        }
    }
    for (done, open) in done.iter_mut().zip(open) {
        *done = done.take().or(open);
    }
    done
}

impl Way {
    /// Writes `bytes`, or keeps them when the program has ended and there is no room for them.
    fn pass(&mut self, bytes: &[u8], stop: &OwnedFd) -> Result<(), Errno> {
        let mut left = bytes;
        while !left.is_empty() && self.rest.is_empty() {
            let mut asked = [
                PollFd::new(&self.to, PollFlags::OUT),
                PollFd::new(stop, PollFlags::IN),
            ];
            match poll(&mut asked, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            if !asked[0].revents().is_empty() {
                let now = &left[..left.len().min(PASSES)];
                match rustix::io::write(&self.to, now) {
                    Ok(count) => left = &left[count..],
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(error) => return Err(error),
                }
            } else if !asked[1].revents().is_empty() {
                break;
            }
        }
        self.rest.extend_from_slice(left);
        Ok(())
    }
}

/// Which of `open` can be read; `None` when there is nothing, and `stop` is closed or neither is open.
fn ready(open: &[Option<Way>; 2], stop: &OwnedFd) -> Option<[bool; 2]> {
    // What is closed is asked for nothing.
    let asked = |at: usize| match &open[at] {
        Some(way) => PollFd::new(&way.from, PollFlags::IN),
        None => PollFd::new(stop, PollFlags::empty()),
    };
    while open.iter().any(Option::is_some) {
        let mut asked = [asked(0), asked(1), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut asked, None) {
            Ok(_) | Err(Errno::INTR) => {}
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
    None
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            // Somebody else made it so; there is room again when it says so.
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(to, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
