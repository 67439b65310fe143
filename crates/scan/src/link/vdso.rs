//! Variables that Go's runtime keeps addresses of functions of the vDSO in.
//!
//! It looks them up by a table of its own (`vdsoSymbolKeys`, runtime/vdso_linux_amd64.go and
//! runtime/vdso_linux_arm64.go; `vdsoParseSymbols`, runtime/vdso_linux.go): the name, the two hashes that
//! ELF has of it, and the address of the variable. The hashes have to be those of the name.

use crate::image::{ImageObject, Slot};

/// Longer than names of the vDSO are.
const MOST_NAME: u64 = 64;

/// The variables whose address one such record holds and nothing else, and the names.
pub(super) fn pointers(object: &ImageObject) -> Vec<(u64, String)> {
    if object.file.go.is_none() {
        return Vec::new();
    }
    let words = &object.words.slots;
    let records = words.iter().filter_map(|word| {
        let Slot::Address(name) = word.slot else {
            return None;
        };
        record(object, word.at, name.0)
    });
    let mut found: Vec<(u64, String)> = records.collect();
    found.retain(|(variable, _)| {
        let holds = |slot: Slot| matches!(slot, Slot::Address(at) if at.0 == *variable);
        words.iter().filter(|word| holds(word.slot)).count() == 1
    });
    found
}

/// The record at `at`, which begins with the address of a name.
fn record(object: &ImageObject, at: u64, name: u64) -> Option<(u64, String)> {
    let memory = &object.file.memory;
    let number = |at: u64| memory.u64(at.wrapping_sub(object.base));
    let size = number(at.checked_add(8)?).filter(|&size| size > 0 && size <= MOST_NAME)?;
    let name = memory.bytes(name.wrapping_sub(object.base), size as usize)?;
    let hashes = u64::from(sysv_hash(name)) | u64::from(gnu_hash(name)) << 32;
    let known = number(at.checked_add(16)?) == Some(hashes);
    let name = std::str::from_utf8(name).ok().filter(|_| known)?;
    let place = at.checked_add(24)?;
    let held = object
        .words
        .slots
        .binary_search_by_key(&place, |word| word.at);
    match object.words.slots[held.ok()?].slot {
        Slot::Address(variable) => Some((variable.0, name.to_owned())),
        Slot::Resolver(_) | Slot::Value(_) => None,
    }
}

/// `elf_hash` (System V ABI, "Hash Table").
fn sysv_hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, &byte| {
        let hash = (hash << 4).wrapping_add(byte.into());
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// The hash of `DT_GNU_HASH`.
fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, &byte| {
        hash.wrapping_mul(33).wrapping_add(byte.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go has them (runtime/vdso_linux_amd64.go).
    #[test]
    fn hashes_are_those_of_elf() {
        let name = b"__vdso_clock_gettime";
        assert_eq!(
            (sysv_hash(name), gnu_hash(name)),
            (0x0d35_ec75, 0x6e43_a318)
        );
    }
}
