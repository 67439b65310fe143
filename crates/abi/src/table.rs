//! The calls of each architecture, and the index that finds one by its name.

mod aarch64;
mod arm;
mod i386;
mod x32;
mod x86_64;

use crate::Arch;

/// `(number, name, (major, minor, patch) of the first release with it)`.
pub(crate) type Row = (u32, &'static str, (u8, u8, u8));

/// The calls of one architecture.
pub(crate) struct Table {
    /// By number, ascending.
    pub(crate) calls: &'static [Row],
    /// Places in `calls` by the hash of the name; see [`index`].
    index: &'static Index,
}

/// Slots of an index: a power of two, at least twice as many as any architecture has calls.
const SLOTS: usize = 1024;
/// A free slot.
const FREE: u16 = u16::MAX;

type Index = [u16; SLOTS];

/// The table of an architecture.
pub(crate) fn of(arch: Arch) -> &'static Table {
    match arch {
        Arch::X86_64 => &X86_64,
        Arch::X32 => &X32,
        Arch::I386 => &I386,
        Arch::Aarch64 => &AARCH64,
        Arch::Arm => &ARM,
    }
}

static X86_64: Table = table(x86_64::SYSCALLS, &const { index(x86_64::SYSCALLS) });
static X32: Table = table(x32::SYSCALLS, &const { index(x32::SYSCALLS) });
static I386: Table = table(i386::SYSCALLS, &const { index(i386::SYSCALLS) });
static AARCH64: Table = table(aarch64::SYSCALLS, &const { index(aarch64::SYSCALLS) });
static ARM: Table = table(arm::SYSCALLS, &const { index(arm::SYSCALLS) });

const fn table(calls: &'static [Row], index: &'static Index) -> Table {
    Table { calls, index }
}

impl Table {
    /// The number of the call with exactly this name.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        let mut slot = hash(name.as_bytes());
        // At least half of the slots are free, so a free one ends every search.
        loop {
            let at = self.index[slot];
            if at == FREE {
                return None;
            }
            let (number, found, _) = self.calls[at as usize];
            if found == name {
                return Some(number);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// The place in `calls` of a number.
    pub(crate) fn place(&self, number: u32) -> Option<usize> {
        self.calls.binary_search_by_key(&number, |row| row.0).ok()
    }
}

/// Open addressing with linear steps, made while the crate is compiled. A policy of four hundred
/// names is resolved in a few microseconds, where a search by halves compares nine names for each.
const fn index(calls: &[Row]) -> Index {
    assert!(calls.len() * 2 <= SLOTS, "more slots are needed");
    let mut index = [FREE; SLOTS];
    let mut at = 0;
    while at < calls.len() {
        let mut slot = hash(calls[at].1.as_bytes());
        while index[slot] != FREE {
            slot = (slot + 1) % SLOTS;
        }
        index[slot] = at as u16;
        at += 1;
    }
    index
}

/// The first slot to look at: FNV-1a (32 bits), folded, because its low bits alone mix poorly.
const fn hash(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ (hash >> 16)) as usize % SLOTS
}
