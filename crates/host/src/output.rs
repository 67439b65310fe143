//! What jobs write, within its bounds: kept until the end, or passed on at once.

use std::sync::mpsc::Sender;

use crate::frame::{self, Frame, Said};
use crate::handed::{Handed, Unfit};
use crate::leash::Leash;
use crate::limits::Limits;
use crate::outcome::Limit;

/// One of a job's outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of what a job writes, while it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Which try wrote it, counted from 1: what an earlier one wrote is void.
    pub attempt: u32,
    /// Where to.
    pub stream: Stream,
    /// What.
    pub bytes: Vec<u8>,
}

/// Where the pieces of one attempt go. What is on its way is bounded by what the job may write.
pub(crate) struct Listener {
    pub(crate) attempt: u32,
    pub(crate) to: Sender<Piece>,
}

/// What came from one job.
pub(crate) struct Seen<'a> {
    listener: Option<&'a Listener>,
    leash: &'a Leash,
    pub(crate) kept: [Vec<u8>; 2],
    /// How much of each there was, kept or passed on.
    written: [usize; 2],
    most: usize,
    pub(crate) over: Option<Limit>,
    pub(crate) malformed: bool,
    pub(crate) said: Option<Said>,
    pub(crate) files: Handed,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(
        limits: &Limits,
        leash: &'a Leash,
        listener: Option<&'a Listener>,
    ) -> Seen<'a> {
        let most = usize::try_from(limits.output).unwrap_or(usize::MAX);
        Seen {
            listener,
            leash,
            kept: [Vec::new(), Vec::new()],
            written: [0; 2],
            most,
            over: None,
            malformed: false,
            said: None,
            files: Handed::new(0, most),
        }
    }

    /// It is asked for so many files.
    pub(crate) fn wanting(mut self, files: usize) -> Seen<'a> {
        self.files = Handed::new(files, self.most);
        self
    }

    /// Takes one message. False when no more is taken.
    pub(crate) fn take(&mut self, message: &[u8]) -> bool {
        // Nothing comes after the last word.
        let frame = frame::read(message).filter(|_| self.said.is_none());
        let (stream, bytes) = match frame {
            None => {
                self.malformed = true;
                return false;
            }
            Some(Frame::Last(said)) => {
                self.said = Some(said);
                return true;
            }
            Some(Frame::File(number, bytes)) => return self.hand(|f| f.piece(number, bytes)),
            Some(Frame::NotTaken(number, why)) => return self.hand(|f| f.not_taken(number, why)),
            Some(Frame::Stdout(bytes)) => (Stream::Stdout, bytes),
            Some(Frame::Stderr(bytes)) => (Stream::Stderr, bytes),
        };
        self.write(stream, bytes)
    }

    fn hand(&mut self, take: impl FnOnce(&mut Handed) -> Result<(), Unfit>) -> bool {
        match take(&mut self.files) {
            Ok(()) => return true,
            Err(Unfit::Malformed) => self.malformed = true,
            Err(Unfit::TooMuch) => drop(self.over.get_or_insert(Limit::Output)),
        }
        false
    }

    /// Takes what was written to a stream. False when no more is taken.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        let written = &mut self.written[stream as usize];
        let room = self.most - *written;
        let taken = &bytes[..bytes.len().min(room)];
        *written += taken.len();
        self.keep(stream, taken);
        if bytes.len() > room {
            self.over.get_or_insert(Limit::Output);
            return false;
        }
        true
    }

    fn keep(&mut self, stream: Stream, bytes: &[u8]) {
        match self.listener {
            None => self.kept[stream as usize].extend_from_slice(bytes),
            // Who called it off hears no more of it.
            Some(_) if bytes.is_empty() || self.leash.is_pulled() => {}
            Some(Listener { attempt, to }) => {
                // Nobody may listen any more.
                let _ = to.send(Piece {
                    attempt: *attempt,
                    stream,
                    bytes: bytes.to_vec(),
                });
            }
        }
    }
}
