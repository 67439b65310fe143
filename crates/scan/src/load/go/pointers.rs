//! Which words of variables are pointers, as Go's garbage collector is told.

use std::ops::Range;

use super::super::memory::Memory;
use super::varint;

/// Which words of variables are pointers, as far as that is told.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Pointers {
    start: u64,
    words: Vec<bool>,
}

impl Pointers {
    /// Whether the word that `at` is in is a pointer, where that is told.
    pub(crate) fn at(&self, at: u64) -> Option<bool> {
        let word = at.checked_sub(self.start)? / 8;
        self.words.get(usize::try_from(word).ok()?).copied()
    }

    /// Runs the program at `at` that makes the mask (`runGCProg`, runtime/mbitmap.go): bits as they are, and
    /// repetitions of the last ones.
    pub(super) fn read(memory: &Memory, range: &Range<u64>, at: u64) -> Option<Pointers> {
        let count = usize::try_from((range.end.checked_sub(range.start)?) / 8).ok()?;
        let mut bytes = memory.from(at)?.iter();
        let mut words: Vec<bool> = Vec::new();
        while words.len() < count {
            let code = *bytes.next()?;
            let low = usize::from(code & 0x7f);
            if code == 0 {
                // What is left holds none.
                words.resize(count, false);
            } else if code < 0x80 {
                let bits = bytes.by_ref().take(low.div_ceil(8));
                let bits = bits.flat_map(|byte| (0..8).map(move |n| byte >> n & 1 == 1));
                words.extend(bits.take(low));
            } else {
                let length = match low {
                    0 => usize::try_from(varint(&mut bytes)?).ok()?,
                    low => low,
                };
                let times = usize::try_from(varint(&mut bytes)?).ok()?;
                let from = words.len().checked_sub(length).filter(|_| length > 0)?;
                let room = count - words.len();
                let repeated = words[from..].to_vec();
                let all = repeated
                    .iter()
                    .cycle()
                    .take(length.saturating_mul(times).min(room));
                words.extend(all);
            }
        }
        words.truncate(count);
        Some(Pointers {
            start: range.start,
            words,
        })
    }
}
