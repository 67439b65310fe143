//! Relocation tables, as the loader walks them.

use object::elf;

use super::dynamic::Tables;
use super::memory::{Memory, word32, word64};

/// One relocation; the addend is explicit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Relocation {
    /// Which word, by virtual address.
    pub(crate) at: u64,
    /// `R_X86_64_*`.
    pub(crate) kind: u32,
    /// Index into the dynamic symbols; 0 is none.
    pub(crate) symbol: u32,
    pub(crate) addend: i64,
}

/// Every relocation of the object: `DT_RELR` as `R_X86_64_RELATIVE`, `DT_RELA`, `DT_JMPREL`.
pub(crate) fn read(memory: &Memory, tables: &Tables) -> Vec<Relocation> {
    let mut all = Vec::new();
    for table in [tables.rela, tables.plt] {
        if tables.plt_without_addends && table == tables.plt {
            continue;
        }
        all.extend(table.map(|t| explicit(memory, t)).unwrap_or_default());
    }
    let implicit_tables = [
        tables.rel,
        tables.plt.filter(|_| tables.plt_without_addends),
    ];
    for table in implicit_tables {
        all.extend(table.map(|t| implicit(memory, t)).unwrap_or_default());
    }
    all.extend(tables.relr.map(|t| packed(memory, t)).unwrap_or_default());
    all
}

fn slice(memory: &Memory, (at, size): (u64, u64)) -> &[u8] {
    let all = memory.from(at).unwrap_or(&[]);
    &all[..all.len().min(usize::try_from(size).unwrap_or(usize::MAX))]
}

fn explicit(memory: &Memory, table: (u64, u64)) -> Vec<Relocation> {
    let bytes = slice(memory, table);
    let entries = bytes.chunks_exact(24).map_while(entry);
    entries.collect()
}

/// One `Elf64_Rela`.
pub(crate) fn entry(bytes: &[u8]) -> Option<Relocation> {
    Some(Relocation {
        at: word64(bytes, 0)?,
        kind: word32(bytes, 8)?,
        symbol: word32(bytes, 12)?,
        addend: word64(bytes, 16)?.cast_signed(),
    })
}

/// `Elf64_Rel`: no x86_64 linker writes it, glibc's loader does not read it, musl's does.
fn implicit(memory: &Memory, table: (u64, u64)) -> Vec<Relocation> {
    let entries = slice(memory, table).chunks_exact(16).map_while(|e| {
        let at = word64(e, 0)?;
        Some(Relocation {
            at,
            kind: word32(e, 8)?,
            symbol: word32(e, 12)?,
            addend: memory.u64(at).unwrap_or(0).cast_signed(),
        })
    });
    entries.collect()
}

/// `DT_RELR`: an even word is an address, an odd one a bitmap of the 63 words that follow.
fn packed(memory: &Memory, table: (u64, u64)) -> Vec<Relocation> {
    let mut all = Vec::new();
    let mut next = 0u64;
    let mut add = |at: u64| {
        // A bitmap cannot name more words than there are; addresses outside are dropped.
        if let Some(addend) = memory.u64(at) {
            all.push(Relocation {
                at,
                kind: elf::R_X86_64_RELATIVE.0,
                symbol: 0,
                addend: addend.cast_signed(),
            });
        }
    };
    for word in slice(memory, table).chunks_exact(8) {
        let Some(word) = word64(word, 0) else { break };
        if word & 1 == 0 {
            add(word);
            next = word.wrapping_add(8);
            continue;
        }
        for bit in 0..63 {
            if word >> (bit + 1) & 1 == 1 {
                add(next.wrapping_add(bit * 8));
            }
        }
        next = next.wrapping_add(63 * 8);
    }
    all
}

/// `R_X86_64_IRELATIVE` entries of a file without a dynamic section: its start code walks them
/// between two addresses that only that code knows, so they are found by their shape: a word of
/// the file's data, the kind, and code.
pub(crate) fn scattered(memory: &Memory, is_code: impl Fn(u64) -> bool) -> Vec<Relocation> {
    let mut all = Vec::new();
    for segment in &memory.segments {
        let bytes = memory.from(segment.address).unwrap_or(&[]);
        let skip = (segment.address.next_multiple_of(8) - segment.address) as usize;
        let Some(bytes) = bytes.get(skip..) else {
            continue;
        };
        for window in 0..(bytes.len() / 8).saturating_sub(2) {
            let at = window * 8;
            if word64(bytes, at + 8) != Some(u64::from(elf::R_X86_64_IRELATIVE.0)) {
                continue;
            }
            let Some(found) = bytes.get(at..at + 24).and_then(entry) else {
                continue;
            };
            let target = memory.segment(found.at).is_some_and(|s| s.writable);
            if target && is_code(found.addend.cast_unsigned()) {
                all.push(found);
            }
        }
    }
    all
}
