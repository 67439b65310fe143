//! What a job's process says: one message of a socket that keeps messages apart is one frame, so there is no
//! length to lie about. The first byte is the kind.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use portcullis_sys::process;

use crate::directory::NotTaken;

/// The longest frame. A message must fit the socket's buffer (`net.core.wmem_default`, 208 KiB).
pub(crate) const MOST: usize = 32 << 10;
/// The longest text in a last word.
const MOST_TEXT: usize = 1024;

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const EXIT: u8 = 3;
const TRAP: u8 = 4;
const REFUSED: u8 = 5;
const OVER_MEMORY: u8 = 6;
const OVER_FUEL: u8 = 7;
const FILE: u8 = 8;
const NOT_TAKEN: u8 = 9;

/// Why a file is not handed over, by numbers.
const REASONS: [NotTaken; 5] = [
    NotTaken::Missing,
    NotTaken::Elsewhere,
    NotTaken::NoFile,
    NotTaken::TooLarge,
    NotTaken::Unreadable(0),
];

/// A job's last word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// It ended with this code.
    Exit(i32),
    /// The engine stopped it.
    Trap(String),
    /// The engine cannot begin it.
    Refused(String),
    /// It asked for more memory than it may have.
    OverMemory,
    /// It made as many steps as it may.
    OverFuel,
}

/// What one message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Frame<'a> {
    Stdout(&'a [u8]),
    Stderr(&'a [u8]),
    /// A piece of the file that was asked for with this number.
    File(usize, &'a [u8]),
    /// That one is not handed over.
    NotTaken(usize, NotTaken),
    Last(Said),
}

impl Said {
    fn encode(&self) -> Vec<u8> {
        let text = |kind: u8, text: &str| {
            let mut frame = vec![kind];
            frame.extend_from_slice(&text.as_bytes()[..text.len().min(MOST_TEXT)]);
            frame
        };
        match self {
            Said::Exit(code) => [&[EXIT][..], &code.to_le_bytes()].concat(),
            Said::Trap(what) => text(TRAP, what),
            Said::Refused(why) => text(REFUSED, why),
            Said::OverMemory => vec![OVER_MEMORY],
            Said::OverFuel => vec![OVER_FUEL],
        }
    }
}

/// Reads one message; `None` when it is no frame.
pub(crate) fn read(message: &[u8]) -> Option<Frame<'_>> {
    let (kind, rest) = message.split_first()?;
    let text = || (rest.len() <= MOST_TEXT).then(|| String::from_utf8_lossy(rest).into_owned());
    Some(match (*kind, rest.len()) {
        (_, length) if length >= MOST => return None,
        (STDOUT | STDERR, 0) => return None,
        (STDOUT, _) => Frame::Stdout(rest),
        (STDERR, _) => Frame::Stderr(rest),
        (FILE, 2..) => {
            let (number, bytes) = rest.split_first_chunk()?;
            Frame::File(u16::from_le_bytes(*number).into(), bytes)
        }
        (NOT_TAKEN, 3) => {
            let number = u16::from_le_bytes([rest[0], rest[1]]);
            Frame::NotTaken(number.into(), *REASONS.get(usize::from(rest[2]))?)
        }
        (EXIT, 4) => {
            let code = i32::from_le_bytes(rest.try_into().ok()?);
            Frame::Last(Said::Exit(code))
        }
        (TRAP, _) => Frame::Last(Said::Trap(text()?)),
        (REFUSED, _) => Frame::Last(Said::Refused(text()?)),
        (OVER_MEMORY, 0) => Frame::Last(Said::OverMemory),
        (OVER_FUEL, 0) => Frame::Last(Said::OverFuel),
        _ => return None,
    })
}

/// Where a job's process writes. Small pieces are gathered, unless somebody listens while it runs.
#[derive(Debug)]
pub struct Results {
    /// Closing is none of a job's calls, and the end of its process does it.
    to: ManuallyDrop<OwnedFd>,
    /// Messages in the making, each with its kind; nothing where there is nothing to send, because each page that a
    /// job's process writes to costs it a fault.
    pieces: [Vec<u8>; 2],
    at_once: bool,
}

impl AsFd for Results {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.to.as_fd()
    }
}

impl Results {
    pub(crate) fn new(to: OwnedFd, at_once: bool) -> Results {
        Results {
            to: ManuallyDrop::new(to),
            pieces: [Vec::new(), Vec::new()],
            at_once,
        }
    }

    /// Appends to standard output. Fails when the host takes no more.
    pub fn stdout(&mut self, bytes: &[u8]) -> Result<(), portcullis_sys::Error> {
        self.append(0, bytes)
    }

    /// Appends to standard error.
    pub fn stderr(&mut self, bytes: &[u8]) -> Result<(), portcullis_sys::Error> {
        self.append(1, bytes)
    }

    fn append(&mut self, which: usize, mut bytes: &[u8]) -> Result<(), portcullis_sys::Error> {
        while !bytes.is_empty() {
            let piece = &mut self.pieces[which];
            if piece.is_empty() {
                piece.push([STDOUT, STDERR][which]);
            }
            let room = MOST - piece.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            piece.extend_from_slice(now);
            bytes = later;
            if piece.len() == MOST {
                self.flush(which)?;
            }
        }
        match self.at_once {
            true => self.flush(which),
            false => Ok(()),
        }
    }

    fn flush(&mut self, which: usize) -> Result<(), portcullis_sys::Error> {
        let piece = &mut self.pieces[which];
        if !piece.is_empty() {
            process::write_message(self.to.as_fd(), piece)?;
            piece.clear();
        }
        Ok(())
    }

    /// Hands over the files that are wanted, of which all together have at most `output` bytes: those of a
    /// [`Task`](crate::Task), before its last word. `find` says what a name stands for.
    pub fn files<'a>(
        &mut self,
        wanted: &[String],
        output: u64,
        find: impl Fn(&str) -> Result<&'a [u8], NotTaken>,
    ) -> Result<(), portcullis_sys::Error> {
        let mut room = output;
        for (number, name) in (0_u16..).zip(wanted) {
            let number = number.to_le_bytes();
            let content = find(name).and_then(|bytes| {
                room = room
                    .checked_sub(bytes.len() as u64)
                    .ok_or(NotTaken::TooLarge)?;
                Ok(bytes)
            });
            let send = |kind, rest: &[u8]| {
                let frame = [&[kind], &number[..], rest].concat();
                process::write_message(self.to.as_fd(), &frame)
            };
            match content {
                Ok([]) => send(FILE, &[])?,
                Ok(bytes) => bytes
                    .chunks(MOST - 3)
                    .try_for_each(|piece| send(FILE, piece))?,
                Err(why) => {
                    let known = REASONS.iter().position(|reason| *reason == why);
                    // What it has no number for could not be read.
                    let reason = known.unwrap_or(REASONS.len() - 1);
                    send(NOT_TAKEN, &[u8::try_from(reason).unwrap_or(u8::MAX)])?;
                }
            }
        }
        Ok(())
    }

    /// Says the last word, behind which the host takes nothing. If the host is gone there is nobody to tell.
    pub fn end(&mut self, said: &Said) {
        let sent = self.flush(0).and_then(|()| self.flush(1));
        if sent.is_ok() {
            let _ = process::write_message(self.to.as_fd(), &said.encode());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handed::Handed;

    proptest! {
        #[test]
        fn any_message_is_a_frame_or_none(message in proptest::collection::vec(any::<u8>(), 0..MOST + 9)) {
            match read(&message) {
                Some(Frame::Stdout(bytes) | Frame::Stderr(bytes)) => prop_assert_eq!(bytes, &message[1..]),
                Some(Frame::Last(Said::Trap(text) | Said::Refused(text))) => {
                    // A byte that is no text becomes three.
                    prop_assert!(text.len() <= 3 * MOST_TEXT);
                }
                _ => {}
            }
        }

        #[test]
        fn files_are_read_as_they_were_handed_over(
            files in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70_000), 0..4),
            output in 0..100_000_u64,
        ) {
            let (here, there) = rustix::net::socketpair(
                rustix::net::AddressFamily::UNIX,
                rustix::net::SocketType::SEQPACKET,
                rustix::net::SocketFlags::empty(),
                None,
            ).unwrap();
            let wanted: Vec<String> = (0..=files.len()).map(|n| n.to_string()).collect();
            let find = |name: &str| {
                let file: &Vec<u8> = files.get(name.parse::<usize>().unwrap()).ok_or(NotTaken::Missing)?;
                Ok(file.as_slice())
            };
            let found = std::thread::scope(|scope| {
                let sent = scope.spawn(|| {
                    let mut results = Results::new(there, false);
                    results.files(&wanted, output, find).unwrap();
                    results.end(&Said::Exit(0));
                });
                let mut handed = Handed::new(wanted.len(), usize::try_from(output).unwrap());
                let mut message = vec![0; MOST + 1];
                loop {
                    let (length, _) = rustix::net::recv(&here, message.as_mut_slice(), rustix::net::RecvFlags::empty()).unwrap();
                    match read(&message[..length]) {
                        Some(Frame::File(number, bytes)) => handed.piece(number, bytes).unwrap(),
                        Some(Frame::NotTaken(number, why)) => handed.not_taken(number, why).unwrap(),
                        other => {
                            assert_eq!(other, Some(Frame::Last(Said::Exit(0))));
                            break;
                        }
                    }
                }
                sent.join().unwrap();
                handed.end(true)
            });
            let mut room = output;
            for (file, found) in files.iter().zip(&found) {
                match room.checked_sub(file.len() as u64) {
                    Some(left) => {
                        prop_assert_eq!(found.as_ref(), Ok(file));
                        room = left;
                    }
                    None => prop_assert_eq!(found.as_ref(), Err(&NotTaken::TooLarge)),
                }
            }
            prop_assert_eq!(found.last(), Some(&Err(NotTaken::Missing)));
        }

        #[test]
        fn a_last_word_is_read_as_it_was_said(code in any::<i32>(), text in "[a-z ]{0,1000}") {
            for said in [Said::Exit(code), Said::Trap(text.clone()), Said::Refused(text), Said::OverMemory, Said::OverFuel] {
                let message = said.encode();
                prop_assert_eq!(read(&message), Some(Frame::Last(said)));
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_none() {
        for message in [
            &b""[..],
            &[0],
            &[EXIT, 1],
            &[EXIT, 1, 2, 3, 4, 5],
            &[OVER_MEMORY, 0],
            &[FILE],
            &[FILE, 0],
            &[NOT_TAKEN, 0, 0],
            &[NOT_TAKEN, 0, 0, 5],
            &[NOT_TAKEN, 0, 0, 0, 0],
            &[99, 1],
        ] {
            assert_eq!(read(message), None, "{message:?}");
        }
        let mut long = vec![STDOUT; MOST + 1];
        assert_eq!(read(&long), None);
        long.truncate(MOST);
        assert!(read(&long).is_some());
    }
}
