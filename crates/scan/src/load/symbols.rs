//! The dynamic symbol table with its versions, found as the loader finds it: through the
//! dynamic section, never through section headers.

use std::collections::BTreeMap;

use object::elf;

use super::dynamic::Tables;
use super::memory::{Memory, text, word16, word32, word64};

/// The bit of `.gnu.version` that hides a version from references without one.
const HIDDEN: u16 = 0x8000;
/// Definitions of one name in one object: one for each version.
const MOST_DEFINITIONS: usize = 64;
/// No object defines or needs a thousandth of it.
const MOST_VERSIONS: usize = 20_000;

/// One entry of a symbol table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbol {
    /// Offset of its name in the string table.
    pub(crate) name: u32,
    pub(crate) kind: u8,
    pub(crate) bind: u8,
    pub(crate) visibility: u8,
    pub(crate) section: u16,
    pub(crate) value: u64,
    pub(crate) size: u64,
}

impl Symbol {
    /// The entry that starts at `at`.
    pub(crate) fn read(table: &[u8], at: usize) -> Option<Symbol> {
        let bytes = table.get(at..at.checked_add(24)?)?;
        Some(Symbol {
            name: word32(bytes, 0)?,
            kind: bytes[4] & 0xf,
            bind: bytes[4] >> 4,
            visibility: bytes[5] & 3,
            section: word16(bytes, 6)?,
            value: word64(bytes, 8)?,
            size: word64(bytes, 16)?,
        })
    }

    pub(crate) fn defined(&self) -> bool {
        self.section != elf::SHN_UNDEF.0
    }

    pub(crate) fn local(&self) -> bool {
        self.bind == elf::STB_LOCAL.0
    }

    pub(crate) fn weak(&self) -> bool {
        self.bind == elf::STB_WEAK.0
    }

    /// Its value is no address: the loader adds no base.
    pub(crate) fn absolute(&self) -> bool {
        self.section == elf::SHN_ABS.0
    }

    pub(crate) fn resolver(&self) -> bool {
        self.kind == elf::STT_GNU_IFUNC.0
    }

    pub(crate) fn function(&self) -> bool {
        self.kind == elf::STT_FUNC.0 || self.resolver()
    }

    pub(crate) fn thread_local(&self) -> bool {
        self.kind == elf::STT_TLS.0
    }
}

/// A version that a reference asks for, or that a definition has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Version {
    pub(crate) name: Vec<u8>,
    /// `VER_FLG_BASE`: the file's own name, which counts as no version.
    pub(crate) base: bool,
    /// Needed by another file, not defined here.
    pub(crate) needed: bool,
}

/// `DT_SYMTAB` and what belongs to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct DynamicSymbols {
    pub(crate) all: Vec<Symbol>,
    /// One of each symbol: `DT_VERSYM`; empty where the object has no versions.
    indices: Vec<u16>,
    versions: BTreeMap<u16, Version>,
    /// Hash of the name, and the symbol: everything that other objects can see.
    visible: Vec<(u32, u32)>,
    /// Address and length of the string table.
    strings: Option<(u64, u64)>,
}

impl DynamicSymbols {
    /// Reads the tables; `least` symbols are referred to by relocations.
    pub(crate) fn read(memory: &Memory, tables: &Tables, least: usize) -> DynamicSymbols {
        let symbols = tables.symbols.and_then(|at| memory.from(at)).unwrap_or(&[]);
        let hashed = hash_count(memory, tables).or_else(|| gnu_hash_count(memory, tables));
        let count = hashed.unwrap_or(0).max(least).min(symbols.len() / 24);
        let all: Vec<Symbol> = (0..count)
            .map_while(|n| Symbol::read(symbols, n * 24))
            .collect();
        let raw = tables
            .versions
            .and_then(|at| memory.from(at))
            .unwrap_or(&[]);
        let indices: Vec<u16> = (0..all.len()).map_while(|n| word16(raw, n * 2)).collect();
        let strings = tables.strings(memory);
        // Names share ends, which linkers merge, but never as many as a hostile table can.
        let mut budget = strings.len().saturating_mul(16);
        let seen = |(n, s): (usize, &Symbol)| {
            let name = text(strings, s.name as usize).filter(|name| !name.is_empty())?;
            budget = budget.checked_sub(name.len())?;
            (n > 0 && !s.local()).then(|| (gnu_hash(name), n as u32))
        };
        let mut visible: Vec<_> = all.iter().enumerate().filter_map(seen).collect();
        visible.sort_unstable();
        DynamicSymbols {
            indices: if indices.len() == all.len() {
                indices
            } else {
                Vec::new()
            },
            versions: versions(memory, tables, strings),
            all,
            visible,
            strings: tables.strings,
        }
    }

    /// The name of a symbol of this table.
    pub(crate) fn name<'a>(&self, memory: &'a Memory, symbol: &Symbol) -> &'a [u8] {
        let tables = Tables {
            strings: self.strings,
            ..Tables::default()
        };
        text(tables.strings(memory), symbol.name as usize).unwrap_or(b"")
    }

    /// Symbols of this name that are not local, defined or not, in table order.
    pub(crate) fn named<'a>(
        &'a self,
        memory: &'a Memory,
        name: &'a [u8],
        hash: u32,
    ) -> impl Iterator<Item = (u32, &'a Symbol)> {
        let first = self.visible.partition_point(|v| v.0 < hash);
        self.visible[first..]
            .iter()
            .take_while(move |v| v.0 == hash)
            .take(MOST_DEFINITIONS)
            .map(|v| (v.1, &self.all[v.1 as usize]))
            .filter(move |(_, s)| self.name(memory, s) == name)
    }

    /// Whether the object has versions at all.
    pub(crate) fn versioned(&self) -> bool {
        !self.indices.is_empty()
    }

    /// The version index of a symbol, and whether it is hidden.
    pub(crate) fn index(&self, symbol: u32) -> (u16, bool) {
        let raw = self.indices.get(symbol as usize).copied().unwrap_or(1);
        (raw & !HIDDEN, raw & HIDDEN != 0)
    }

    /// What stands behind a version index; nothing for the two reserved ones.
    pub(crate) fn version(&self, index: u16) -> Option<&Version> {
        self.versions.get(&index).filter(|v| !v.base)
    }
}

/// `DT_HASH` counts the symbols.
fn hash_count(memory: &Memory, tables: &Tables) -> Option<usize> {
    let count = memory.u32(tables.hash?.checked_add(4)?)?;
    usize::try_from(count).ok()
}

/// `DT_GNU_HASH` holds every symbol from `symoffset` on: the last one ends the last chain.
fn gnu_hash_count(memory: &Memory, tables: &Tables) -> Option<usize> {
    let table = memory.from(tables.gnu_hash?)?;
    let at = |n: usize| word32(table, n.checked_mul(4)?);
    let size = |n: usize| usize::try_from(at(n)?).ok();
    let (buckets, first, bloom) = (size(0)?, size(1)?, size(2)?);
    let start = bloom.checked_mul(2)?.checked_add(4)?;
    let chains = start.checked_add(buckets)?;
    // Bounded by the table before it is walked.
    at(chains.checked_sub(1)?)?;
    let last = (start..chains).filter_map(at).max()?;
    let mut last = usize::try_from(last).ok()?;
    if last < first {
        return Some(first);
    }
    while at(chains.checked_add(last - first)?)? & 1 == 0 {
        last += 1;
    }
    Some(last + 1)
}

fn versions(memory: &Memory, tables: &Tables, strings: &[u8]) -> BTreeMap<u16, Version> {
    let mut all = BTreeMap::new();
    read_needed(memory, tables, strings, &mut all);
    read_defined(memory, tables, strings, &mut all);
    all
}

/// `Elf64_Verneed` and its `Elf64_Vernaux`.
fn read_needed(
    memory: &Memory,
    tables: &Tables,
    strings: &[u8],
    all: &mut BTreeMap<u16, Version>,
) -> Option<()> {
    let (start, count) = tables.versions_needed?;
    let table = memory.from(start)?;
    let mut at = 0usize;
    let mut steps = 0;
    for _ in 0..count {
        let (names, aux) = (
            word16(table, at.checked_add(2)?)?,
            word32(table, at.checked_add(8)?)?,
        );
        let mut entry = at.checked_add(usize::try_from(aux).ok()?)?;
        for _ in 0..names {
            steps += 1;
            if steps > MOST_VERSIONS {
                return None;
            }
            let index = word16(table, entry.checked_add(6)?)? & !HIDDEN;
            let name = text(strings, word32(table, entry.checked_add(8)?)? as usize)?;
            all.insert(
                index,
                Version {
                    name: name.to_vec(),
                    base: false,
                    needed: true,
                },
            );
            match word32(table, entry.checked_add(12)?)? {
                0 => break,
                next => entry = entry.checked_add(usize::try_from(next).ok()?)?,
            }
        }
        match word32(table, at.checked_add(12)?)? {
            0 => break,
            next => at = at.checked_add(usize::try_from(next).ok()?)?,
        }
    }
    Some(())
}

/// `Elf64_Verdef` and its first `Elf64_Verdaux`, the version's name; the others are parents.
fn read_defined(
    memory: &Memory,
    tables: &Tables,
    strings: &[u8],
    all: &mut BTreeMap<u16, Version>,
) -> Option<()> {
    let (start, count) = tables.versions_defined?;
    let table = memory.from(start)?;
    let mut at = 0usize;
    for n in 0..count {
        if n as usize > MOST_VERSIONS {
            return None;
        }
        let flags = word16(table, at.checked_add(2)?)?;
        let index = word16(table, at.checked_add(4)?)? & !HIDDEN;
        let aux = at.checked_add(word32(table, at.checked_add(12)?)? as usize)?;
        let name = text(strings, word32(table, aux)? as usize)?;
        all.insert(
            index,
            Version {
                name: name.to_vec(),
                base: flags & 1 != 0,
                needed: false,
            },
        );
        match word32(table, at.checked_add(16)?)? {
            0 => break,
            next => at = at.checked_add(usize::try_from(next).ok()?)?,
        }
    }
    Some(())
}

/// The hash of `DT_GNU_HASH`.
pub(crate) fn gnu_hash(name: &[u8]) -> u32 {
    name.iter()
        .fold(5381, |h: u32, &c| h.wrapping_mul(33).wrapping_add(c.into()))
}
