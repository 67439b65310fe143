//! What a job's process says: one message of a socket that keeps messages apart is one frame, so there is no
//! length to lie about. The first byte is the kind.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use portcullis_sys::process;

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
    to: OwnedFd,
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
        let piece = |kind| {
            let mut piece = Vec::with_capacity(MOST);
            piece.push(kind);
            piece
        };
        Results {
            to,
            pieces: [piece(STDOUT), piece(STDERR)],
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
            let room = MOST - self.pieces[which].len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pieces[which].extend_from_slice(now);
            bytes = later;
            if self.pieces[which].len() == MOST {
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
        if piece.len() > 1 {
            process::write_message(self.to.as_fd(), piece)?;
            piece.truncate(1);
        }
        Ok(())
    }

    /// Says the last word. If the host is gone there is nobody to tell.
    pub fn end(mut self, said: &Said) {
        let sent = self.flush(0).and_then(|()| self.flush(1));
        if sent.is_ok() {
            let _ = process::write_message(self.to.as_fd(), &said.encode());
        }
        // Closing is none of its calls, and the end of the process does it.
        std::mem::forget(self.to);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
