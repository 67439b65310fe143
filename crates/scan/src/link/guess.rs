//! Pointers of objects at fixed addresses: their linker resolved them, so nothing says which
//! words of data are pointers, and every word that could be one counts.

use crate::image::{Addr, ImageObject, Slot, Word};
use crate::load::{region_of, word32, word64};

/// Adds what looks like a pointer in the object's data.
///
/// At every multiple of 8, a word that is any mapped address; elsewhere, where only packed
/// structures and tables of 32-bit pointers have them, an address that is a function's start.
pub(super) fn pointers(object: &ImageObject, words: &mut Vec<Word>) {
    let file = &object.file;
    let (first, end) = (file.first_page(), file.end());
    for region in object.regions.iter().filter(|r| !r.executable) {
        let Some(bytes) = file.memory.from(region.range.start) else {
            continue;
        };
        let size = usize::try_from(region.range.end - region.range.start).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(size)];
        let mut at = 0;
        while let Some(low) = word32(bytes, at) {
            let address = region.range.start + at as u64;
            let whole = word64(bytes, at);
            let start = |word: u64| {
                let inside = word >= first && word < end;
                inside && file.starts.binary_search(&word).is_ok()
            };
            let pointer = match whole {
                Some(word) if address % 8 == 0 && within(object, first, end, word) => Some(word),
                // A table of 32-bit pointers.
                _ if address % 4 == 0 => Some(u64::from(low)).filter(|&word| start(word)),
                // A packed structure.
                _ => whole.filter(|&word| start(word)),
            };
            let found = pointer.map(|word| Word {
                at: address,
                slot: Slot::Address(Addr(word)),
                guessed: true,
            });
            words.extend(found);
            at += 1;
        }
    }
}

fn within(object: &ImageObject, first: u64, end: u64, word: u64) -> bool {
    word >= first && word < end && region_of(&object.regions, word).is_some()
}
