//! The files that a job of a worker hands over at its end. It says no names: each is a number in the list of what was asked
//! of it, they come in that order, and there is an answer to each before its last word, or there is none at all.

use crate::directory::NotTaken;

/// What was handed over of one job.
#[derive(Debug)]
pub(crate) struct Handed {
    wanted: usize,
    files: Vec<Result<Vec<u8>, NotTaken>>,
    room: usize,
}

/// Why a piece is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unfit {
    /// It is no answer to what was asked.
    Malformed,
    /// There is no room for it.
    TooMuch,
}

impl Handed {
    /// Of a job that is asked for so many files, which have at most `room` bytes together.
    pub(crate) fn new(wanted: usize, room: usize) -> Handed {
        Handed {
            wanted,
            files: Vec::new(),
            room,
        }
    }

    /// Takes a piece of the file with this number: the first one of the next, or another one of the last.
    pub(crate) fn piece(&mut self, number: usize, bytes: &[u8]) -> Result<(), Unfit> {
        let left = self.room.checked_sub(bytes.len()).ok_or(Unfit::TooMuch)?;
        if number == self.files.len() {
            self.begin(Ok(bytes.to_vec()))?;
        } else {
            // What is empty is no more of anything, and could come for ever.
            let more = number + 1 == self.files.len() && !bytes.is_empty();
            match self.files.last_mut() {
                Some(Ok(file)) if more => file.extend_from_slice(bytes),
                _ => return Err(Unfit::Malformed),
            }
        }
        self.room = left;
        Ok(())
    }

    /// The file with this number is not handed over.
    pub(crate) fn not_taken(&mut self, number: usize, why: NotTaken) -> Result<(), Unfit> {
        match number == self.files.len() {
            true => self.begin(Err(why)),
            false => Err(Unfit::Malformed),
        }
    }

    fn begin(&mut self, file: Result<Vec<u8>, NotTaken>) -> Result<(), Unfit> {
        if self.files.len() == self.wanted {
            return Err(Unfit::Malformed);
        }
        self.files.push(file);
        Ok(())
    }

    /// An answer for each file that is wanted. Of a job that was ended before its last word the file that came last may
    /// lack its end, so nothing of it counts.
    pub(crate) fn end(mut self, whole: bool) -> Vec<Result<Vec<u8>, NotTaken>> {
        if !whole {
            return vec![Err(NotTaken::Ended); self.wanted];
        }
        self.files.resize(self.wanted, Err(NotTaken::Missing));
        self.files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_answer_to_each() {
        let mut handed = Handed::new(4, 10);
        handed.piece(0, b"on").unwrap();
        handed.piece(0, b"e").unwrap();
        handed.not_taken(1, NotTaken::NoFile).unwrap();
        handed.piece(2, b"").unwrap();
        let answers = [
            Ok(b"one".to_vec()),
            Err(NotTaken::NoFile),
            Ok(Vec::new()),
            Err(NotTaken::Missing),
        ];
        assert_eq!(handed.end(true), answers);
        let mut ended = Handed::new(2, 10);
        ended.piece(0, b"all").unwrap();
        ended.piece(1, b"a par").unwrap();
        assert_eq!(ended.end(false), [const { Err(NotTaken::Ended) }; 2]);
    }

    #[test]
    fn what_was_not_asked_is_not_taken() {
        let new = || {
            let mut handed = Handed::new(3, 10);
            handed.piece(0, b"a").unwrap();
            handed.not_taken(1, NotTaken::Missing).unwrap();
            handed
        };
        let missing = NotTaken::Missing;
        assert_eq!(new().piece(0, b"late"), Err(Unfit::Malformed));
        assert_eq!(new().piece(1, b"after all"), Err(Unfit::Malformed));
        assert_eq!(new().not_taken(1, missing), Err(Unfit::Malformed));
        assert_eq!(new().not_taken(0, missing), Err(Unfit::Malformed));
        assert_eq!(new().piece(3, b"too far"), Err(Unfit::Malformed));
        assert_eq!(new().piece(2, &[0; 10]), Err(Unfit::TooMuch));
        let mut last = new();
        last.piece(2, &[0; 8]).unwrap();
        assert_eq!(last.piece(2, b""), Err(Unfit::Malformed));
        assert_eq!(last.piece(3, b""), Err(Unfit::Malformed));
        last.piece(2, &[0; 1]).unwrap();
        assert_eq!(last.piece(2, &[0; 1]), Err(Unfit::TooMuch));
        assert_eq!(Handed::new(0, 10).piece(0, b""), Err(Unfit::Malformed));
    }
}
