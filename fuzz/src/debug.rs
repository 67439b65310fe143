//! Symbols, debug information and unwind tables of files that a program brought: they decide nothing, and are read by the
//! launcher itself.

use std::io::Write as _;

use portcullis_watch::hostile::{callers, functions};

use crate::elf;

/// Bytes of a small program with debug information.
pub(crate) const LONGEST: usize = 16 << 10;
/// More functions at one place are not told.
const INLINED: usize = 32;

/// Small programs, of which some have debug information and some have none.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    elf::begin()
}

/// Asks of one file.
pub fn ask(bytes: &[u8]) {
    let written = tempfile::tempfile().and_then(|mut file| {
        file.write_all(bytes)?;
        Ok(file)
    });
    let Ok(file) = written else {
        panic!("no place for temporary files");
    };
    // Where the code of small programs lies, the file's entry point, and the ends.
    let entry = bytes.get(24..32).and_then(|bytes| bytes.try_into().ok());
    let entry = entry.map_or(0, u64::from_le_bytes);
    let around = (0..16).map(|step| entry.wrapping_add(step * 5));
    let addresses: Vec<u64> = around.chain([0, 1, u64::MAX]).collect();
    for found in functions(&file, &addresses) {
        assert!((1..=INLINED).contains(&found.len()), "{found:?}");
        // The outermost is in no other.
        assert!(found.last().is_some_and(|last| !last.inlined));
    }
    // What it finds rests on memory beside the file as well.
    callers(bytes);
}
