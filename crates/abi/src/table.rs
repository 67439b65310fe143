//! The calls of each architecture, and the index that finds one by its name.

mod aarch64;
mod arm;
mod i386;
mod x32;
mod x86_64;

use crate::Arch;
use crate::names::{Names, names};

/// `(number, name, (major, minor, patch) of the first release with it)`.
type Row = (u32, &'static str, Release);

/// Major, minor, patch.
pub(crate) type Release = (u8, u8, u8);

/// The calls of one architecture.
pub(crate) struct Table {
    /// By number, ascending: that, and the first release with the call.
    pub(crate) calls: &'static [(u32, Release)],
    /// Their names, in the same order.
    pub(crate) names: Names,
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

/// The table of an architecture's rows.
macro_rules! table {
    ($arch:ident) => {
        Table {
            calls: &const { calls::<{ $arch::SYSCALLS.len() }>($arch::SYSCALLS) },
            names: names!($arch::SYSCALLS, 1),
            index: &const { index($arch::SYSCALLS) },
        }
    };
}

static X86_64: Table = table!(x86_64);
static X32: Table = table!(x32);
static I386: Table = table!(i386);
static AARCH64: Table = table!(aarch64);
static ARM: Table = table!(arm);

const fn calls<const COUNT: usize>(rows: &[Row]) -> [(u32, Release); COUNT] {
    let mut calls = [(0, (0, 0, 0)); COUNT];
    let mut row = 0;
    while row < COUNT {
        calls[row] = (rows[row].0, rows[row].2);
        row += 1;
    }
    calls
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
            if self.names.at(at.into()) == name {
                return Some(self.calls[usize::from(at)].0);
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
