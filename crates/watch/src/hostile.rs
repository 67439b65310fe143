//! The readers of what the kernel, files and memory say of a program, without one: for who looks for bytes on which they
//! fail (feature `fuzz`).

use std::fs::File;

use crate::audit::{Audited, of_records};
use crate::source::{Function, of_file};
use crate::stack::by_memory;

/// What audit records, each with its type, say of a run of these processes.
pub fn audited<'a>(
    records: impl IntoIterator<Item = (u16, &'a [u8])>,
    processes: &[i32],
) -> Audited {
    of_records(records, &|pid| processes.contains(&pid))
}

/// The functions at these addresses of a file, the innermost of each first.
pub fn functions(file: &File, addresses: &[u64]) -> Vec<Vec<Function>> {
    of_file(file, addresses)
}

/// Where the caller of a function goes on, and its stack, by the unwind table and by the code of an ELF file that lies in
/// the memory of this process. The function is the one at the file's entry point.
pub fn callers(file: &[u8]) -> [Option<[Option<u64>; 2]>; 2] {
    by_memory(file)
}
