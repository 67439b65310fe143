//! Pointers of objects at fixed addresses: their linker resolved them, so nothing says which
//! words of data are pointers, and every word that could be one counts.

use crate::image::{Addr, ImageObject, Slot, Word};
use crate::load::{Go, region_of, word32, word64};

/// Bytes of an ELF file's header (`Elf64_Ehdr`).
const HEADER: u64 = 64;
/// Bytes of a symbol (`Elf64_Sym`).
const SYMBOL: u64 = 24;

/// Adds what looks like a pointer in the object's data.
///
/// At every multiple of 8, a word that is any mapped address; elsewhere, where only packed
/// structures and tables of 32-bit pointers have them, an address that is a function's start. Go keeps
/// addresses of its functions in aligned words, and addresses inside of them nowhere but in the jump
/// tables of these functions.
pub(super) fn pointers(object: &ImageObject, words: &mut Vec<Word>) {
    let file = &object.file;
    let (first, end) = (file.first_page(), file.end());
    let start = |word: u64| {
        let inside = word >= first && word < end;
        (inside && file.starts.all.binary_search(&word).is_ok()).then_some(word)
    };
    // The file's header names the entry point, for the kernel.
    let headed = file.memory.segments.iter().find(|s| s.offset == 0);
    let header = headed.map_or(0..0, |s| s.address..s.address + HEADER);
    // What symbols are is asked for by name.
    let symbols = file.dynamic.tables.symbols.map_or(0..0, |at| {
        at..at.saturating_add(SYMBOL * file.symbols.all.len() as u64)
    });
    let go = |word: u64| file.go.as_ref().filter(|go| go.contains(word));
    let behind = |word: u64| file.go.as_ref().is_some_and(|go| go.text.end == word);
    let named = |go: &Go, at: u64| go.is_name_of_type(&file.memory, at);
    let aligned = |at: u64, word: u64| match go(word) {
        Some(go) => (go.begins(word) && !named(go, at)).then_some(word),
        // Go's runtime keeps the end of its code as well.
        None if behind(word) => start(word),
        None => region_of(&object.regions, word).map(|_| word),
    };
    let odd = |word: u64| start(word).filter(|&word| go(word).is_none());
    for region in object.regions.iter().filter(|r| !r.executable || r.mixed) {
        if file.go.as_ref().is_some_and(|go| go.is_table(region)) {
            continue;
        }
        let Some(bytes) = file.memory.from(region.range.start) else {
            continue;
        };
        let size = usize::try_from(region.range.end - region.range.start).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(size)];
        let mut at = 0;
        // The last word is short: a table of 32-bit pointers may end there.
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= 4) {
            let address = region.range.start + at as u64;
            at += 1;
            if header.contains(&address) || symbols.contains(&address) {
                continue;
            }
            let word = word64(rest, 0).or_else(|| word32(rest, 0).map(u64::from));
            let Some(word) = word else { break };
            let whole = word >= first && word < end;
            let pointer = if whole && address.is_multiple_of(8) {
                aligned(address, word)
            } else if address.is_multiple_of(4) {
                // A table of 32-bit pointers, or a structure that is packed.
                odd(word & 0xffff_ffff)
            } else if whole {
                odd(word)
            } else {
                None
            };
            let found = pointer.map(|word| Word {
                at: address,
                slot: Slot::Address(Addr(word)),
                guessed: true,
            });
            words.extend(found);
        }
    }
}
