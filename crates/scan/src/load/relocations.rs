//! Relocation tables, as the loader walks them.

use object::elf;
use portcullis_abi::Arch;

use super::dynamic::Tables;
use super::memory::{Memory, word32, word64};

/// One relocation; the addend is explicit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Relocation {
    /// Which word, by virtual address.
    pub(crate) at: u64,
    pub(crate) kind: Kind,
    /// Index into the dynamic symbols; 0 is none.
    pub(crate) symbol: u32,
    pub(crate) addend: i64,
}

/// What a relocation puts where it is, the same for every architecture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Nothing.
    None,
    /// An address of the object itself.
    Relative,
    /// What a resolver of the object itself returns.
    Resolved,
    /// The address of a symbol.
    Address,
    /// The same, for a call through a table of linkage.
    Call,
    /// The content of a symbol of another object.
    Copy,
    /// One word of thread-local storage: a module's number or an offset, which are no addresses.
    ThreadLocal,
    /// A descriptor of thread-local storage: two words.
    ThreadDescriptor,
    /// The type, as the file has it, of what is not modelled.
    Unknown(u32),
}

impl Kind {
    /// What a type means: the psABI of x86_64 (§4.4.1), or of aarch64 (`aaelf64`, dynamic relocations).
    fn of(arch: Arch, kind: u32) -> Kind {
        let known = match arch {
            Arch::Aarch64 => Kind::of_aarch64(elf::RelocationType(kind)),
            _ => Kind::of_x86_64(elf::RelocationType(kind)),
        };
        known.unwrap_or(Kind::Unknown(kind))
    }

    fn of_x86_64(kind: elf::RelocationType) -> Option<Kind> {
        Some(match kind {
            elf::R_X86_64_NONE => Kind::None,
            elf::R_X86_64_RELATIVE | elf::R_X86_64_RELATIVE64 => Kind::Relative,
            elf::R_X86_64_IRELATIVE => Kind::Resolved,
            elf::R_X86_64_64 | elf::R_X86_64_GLOB_DAT => Kind::Address,
            elf::R_X86_64_JUMP_SLOT => Kind::Call,
            elf::R_X86_64_COPY => Kind::Copy,
            elf::R_X86_64_DTPMOD64 | elf::R_X86_64_DTPOFF64 | elf::R_X86_64_TPOFF64 => {
                Kind::ThreadLocal
            }
            elf::R_X86_64_TLSDESC => Kind::ThreadDescriptor,
            _ => return None,
        })
    }

    fn of_aarch64(kind: elf::RelocationType) -> Option<Kind> {
        Some(match kind {
            elf::R_AARCH64_NONE => Kind::None,
            elf::R_AARCH64_RELATIVE => Kind::Relative,
            elf::R_AARCH64_IRELATIVE => Kind::Resolved,
            elf::R_AARCH64_ABS64 | elf::R_AARCH64_GLOB_DAT => Kind::Address,
            elf::R_AARCH64_JUMP_SLOT => Kind::Call,
            elf::R_AARCH64_COPY => Kind::Copy,
            elf::R_AARCH64_TLS_DTPMOD | elf::R_AARCH64_TLS_DTPREL | elf::R_AARCH64_TLS_TPREL => {
                Kind::ThreadLocal
            }
            elf::R_AARCH64_TLSDESC => Kind::ThreadDescriptor,
            _ => return None,
        })
    }
}

/// Every relocation of the object: `DT_RELR` as relative ones, `DT_RELA`, `DT_JMPREL`.
pub(crate) fn read(memory: &Memory, arch: Arch, tables: &Tables) -> Vec<Relocation> {
    let mut all = Vec::new();
    for table in [tables.rela, tables.plt] {
        if tables.plt_without_addends && table == tables.plt {
            continue;
        }
        all.extend(table.map(|t| explicit(memory, arch, t)).unwrap_or_default());
    }
    let implicit_tables = [
        tables.rel,
        tables.plt.filter(|_| tables.plt_without_addends),
    ];
    for table in implicit_tables {
        all.extend(table.map(|t| implicit(memory, arch, t)).unwrap_or_default());
    }
    all.extend(tables.relr.map(|t| packed(memory, t)).unwrap_or_default());
    all
}

fn slice(memory: &Memory, (at, size): (u64, u64)) -> &[u8] {
    let all = memory.from(at).unwrap_or(&[]);
    &all[..all.len().min(usize::try_from(size).unwrap_or(usize::MAX))]
}

fn explicit(memory: &Memory, arch: Arch, table: (u64, u64)) -> Vec<Relocation> {
    let bytes = slice(memory, table);
    let entries = bytes.chunks_exact(24).map_while(|e| entry(arch, e));
    entries.collect()
}

/// One `Elf64_Rela`.
fn entry(arch: Arch, bytes: &[u8]) -> Option<Relocation> {
    Some(Relocation {
        at: word64(bytes, 0)?,
        kind: Kind::of(arch, word32(bytes, 8)?),
        symbol: word32(bytes, 12)?,
        addend: word64(bytes, 16)?.cast_signed(),
    })
}

/// `Elf64_Rel`: no linker of these architectures writes it, glibc's loader does not read it, musl's
/// does.
fn implicit(memory: &Memory, arch: Arch, table: (u64, u64)) -> Vec<Relocation> {
    let entries = slice(memory, table).chunks_exact(16).map_while(|e| {
        let at = word64(e, 0)?;
        Some(Relocation {
            at,
            kind: Kind::of(arch, word32(e, 8)?),
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
                kind: Kind::Relative,
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

/// Entries of [`Kind::Resolved`] in a file without a dynamic section: its start code walks them
/// between two addresses that only that code knows, so they are found by their shape: a word of
/// the file's data, the kind, and code.
pub(crate) fn scattered(
    memory: &Memory,
    arch: Arch,
    is_code: impl Fn(u64) -> bool,
) -> Vec<Relocation> {
    let mut all = Vec::new();
    for segment in &memory.segments {
        let bytes = memory.from(segment.address).unwrap_or(&[]);
        let skip = (segment.address.next_multiple_of(8) - segment.address) as usize;
        let Some(bytes) = bytes.get(skip..) else {
            continue;
        };
        for window in 0..(bytes.len() / 8).saturating_sub(2) {
            let at = window * 8;
            let entry = bytes.get(at..at + 24).and_then(|e| entry(arch, e));
            let Some(found) = entry.filter(|r| r.kind == Kind::Resolved && r.symbol == 0) else {
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
