//! The module's memory, in which it passes and gets everything. Each address is checked.

use wasmtime::{Caller, Extern};

use super::State;
use crate::errno::{FAULT, ILSEQ, INVAL, NAMETOOLONG, SUCCESS};

pub(super) type In<'a> = Caller<'a, State>;

/// The longest path that is read.
const MOST_PATH: i32 = 4096;

pub(super) fn number_of<T>(done: Result<T, i32>) -> i32 {
    match done {
        Ok(_) => SUCCESS,
        Err(number) => number,
    }
}

/// Does `work` on the memory that the module exports.
pub(super) fn with(
    mut caller: In<'_>,
    work: impl FnOnce(&mut [u8], &mut State) -> Result<(), i32>,
) -> i32 {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => {
            let (bytes, state) = memory.data_and_store_mut(&mut caller);
            number_of(work(bytes, state))
        }
        _ => FAULT,
    }
}

/// A part of the memory; addresses and lengths are of 32 bits without a sign.
pub(super) fn part(memory: &mut [u8], at: i32, length: i32) -> Result<&mut [u8], i32> {
    let unsigned = |value: i32| usize::try_from(value.cast_unsigned()).map_err(|_| FAULT);
    let (at, length) = (unsigned(at)?, unsigned(length)?);
    let end = at.checked_add(length).ok_or(FAULT)?;
    memory.get_mut(at..end).ok_or(FAULT)
}

pub(super) fn put(memory: &mut [u8], at: i32, bytes: &[u8]) -> Result<(), i32> {
    let length = i32::try_from(bytes.len()).map_err(|_| INVAL)?;
    part(memory, at, length)?.copy_from_slice(bytes);
    Ok(())
}

pub(super) fn put_count(memory: &mut [u8], at: i32, count: usize) -> Result<(), i32> {
    let count = u32::try_from(count).map_err(|_| INVAL)?;
    put(memory, at, &count.to_le_bytes())
}

fn word(memory: &mut [u8], at: i32) -> Result<i32, i32> {
    let bytes = part(memory, at, 4)?;
    Ok(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// The parts that a list of `iovec` or `ciovec` names: address and length of each.
pub(super) fn parts(memory: &mut [u8], list: i32, count: i32) -> Result<Vec<(i32, i32)>, i32> {
    // `IOV_MAX` of wasi-libc.
    if !(0..=1024).contains(&count) {
        return Err(INVAL);
    }
    let each = |n: i32| {
        let at = list.wrapping_add(n * 8);
        Ok((word(memory, at)?, word(memory, at.wrapping_add(4))?))
    };
    (0..count).map(each).collect()
}

/// A path.
pub(super) fn path(memory: &mut [u8], at: i32, length: i32) -> Result<String, i32> {
    if !(0..=MOST_PATH).contains(&length) {
        return Err(NAMETOOLONG);
    }
    let bytes = part(memory, at, length)?.to_vec();
    String::from_utf8(bytes).map_err(|_| ILSEQ)
}
