//! The dynamic section: what the loader is asked to do.

use object::elf;

use super::memory::{Memory, text, word64};

/// No real object has a hundred; the table may be as long as its segment.
const MOST_ENTRIES: usize = 100_000;
/// More names than any file needs.
const MOST_NEEDED: usize = 4096;

/// `PT_DYNAMIC`, read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dynamic {
    /// `DT_NEEDED`, in order.
    pub(crate) needed: Vec<Vec<u8>>,
    pub(crate) soname: Option<Vec<u8>>,
    pub(crate) rpath: Option<Vec<u8>>,
    pub(crate) runpath: Option<Vec<u8>>,
    /// `DT_SYMBOLIC` or `DF_SYMBOLIC`: looks into itself first.
    pub(crate) symbolic: bool,
    /// `DF_1_NODEFLIB`.
    pub(crate) no_default_libraries: bool,
    /// `DF_1_PIE`: an executable, which no loader accepts as a library.
    pub(crate) executable: bool,
    /// `DT_INIT`, `DT_FINI`: addresses of functions.
    pub(crate) functions: Vec<u64>,
    /// Init, fini and preinit arrays: address and size.
    pub(crate) arrays: Vec<(u64, u64)>,
    /// Raw values of the tables that other parts read.
    pub(crate) tables: Tables,
}

/// Addresses and sizes as the file gives them: unchecked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) strings: Option<(u64, u64)>,
    pub(crate) symbols: Option<u64>,
    pub(crate) hash: Option<u64>,
    pub(crate) gnu_hash: Option<u64>,
    pub(crate) versions: Option<u64>,
    pub(crate) versions_needed: Option<(u64, u64)>,
    pub(crate) versions_defined: Option<(u64, u64)>,
    pub(crate) rela: Option<(u64, u64)>,
    pub(crate) rel: Option<(u64, u64)>,
    pub(crate) relr: Option<(u64, u64)>,
    pub(crate) plt: Option<(u64, u64)>,
    /// `DT_PLTREL` is `DT_REL`, which no linker of these architectures writes.
    pub(crate) plt_without_addends: bool,
    /// Words of linkage tables that the loader has for itself, whatever the relocations say: the first
    /// three at `DT_PLTGOT`, and the one of `DT_TLSDESC_GOT`.
    pub(crate) loaders: [Option<u64>; 2],
}

impl Dynamic {
    /// Reads the table at `at` up to `DT_NULL`; loaders do not ask how long its segment is.
    pub(crate) fn read(memory: &Memory, at: u64) -> Dynamic {
        let table = memory.from(at).unwrap_or(&[]);
        let mut needed = Vec::new();
        let mut last = std::collections::BTreeMap::new();
        for n in 0..(table.len() / 16).min(MOST_ENTRIES) {
            let (Some(tag), Some(value)) = (word64(table, n * 16), word64(table, n * 16 + 8))
            else {
                break;
            };
            if tag == 0 {
                break;
            }
            if tag == elf::DT_NEEDED.0 as u64 {
                needed.push(value);
            } else {
                last.insert(tag, value);
            }
        }
        needed.truncate(MOST_NEEDED);
        let get = |tag: elf::DynamicTag| last.get(&(tag.0 as u64)).copied();
        let table = |start: elf::DynamicTag, size: elf::DynamicTag| Some((get(start)?, get(size)?));
        let tables = Tables {
            strings: table(elf::DT_STRTAB, elf::DT_STRSZ),
            symbols: get(elf::DT_SYMTAB),
            hash: get(elf::DT_HASH),
            gnu_hash: get(elf::DT_GNU_HASH),
            versions: get(elf::DT_VERSYM),
            versions_needed: table(elf::DT_VERNEED, elf::DT_VERNEEDNUM),
            versions_defined: table(elf::DT_VERDEF, elf::DT_VERDEFNUM),
            rela: table(elf::DT_RELA, elf::DT_RELASZ),
            rel: table(elf::DT_REL, elf::DT_RELSZ),
            relr: table(elf::DT_RELR, elf::DT_RELRSZ),
            plt: table(elf::DT_JMPREL, elf::DT_PLTRELSZ),
            plt_without_addends: get(elf::DT_PLTREL) == Some(elf::DT_REL.0 as u64),
            loaders: [get(elf::DT_PLTGOT), get(elf::DT_TLSDESC_GOT)],
        };
        let strings = tables.strings(memory);
        let string = |offset: u64| {
            let found = text(strings, usize::try_from(offset).ok()?)?;
            // A path longer than `PATH_MAX` times the colons of a search path.
            (found.len() <= 64 * 4096).then(|| found.to_vec())
        };
        let flags = get(elf::DT_FLAGS).unwrap_or(0);
        let flags_1 = get(elf::DT_FLAGS_1).unwrap_or(0);
        let functions = [elf::DT_INIT, elf::DT_FINI].into_iter().filter_map(get);
        let arrays = [
            (elf::DT_PREINIT_ARRAY, elf::DT_PREINIT_ARRAYSZ),
            (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
            (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
        ];
        Dynamic {
            needed: needed.into_iter().filter_map(string).collect(),
            soname: get(elf::DT_SONAME).and_then(string),
            rpath: get(elf::DT_RPATH).and_then(string),
            runpath: get(elf::DT_RUNPATH).and_then(string),
            symbolic: get(elf::DT_SYMBOLIC).is_some() || flags & elf::DF_SYMBOLIC.0 != 0,
            no_default_libraries: flags_1 & elf::DF_1_NODEFLIB.0 != 0,
            executable: flags_1 & elf::DF_1_PIE.0 != 0,
            functions: functions.filter(|&a| a != 0).collect(),
            arrays: arrays
                .into_iter()
                .filter_map(|(start, size)| table(start, size))
                .filter(|&(_, size)| size > 0)
                .collect(),
            tables,
        }
    }
}

impl Tables {
    /// `DT_STRTAB`.
    pub(crate) fn strings<'a>(&self, memory: &'a Memory) -> &'a [u8] {
        let Some((at, size)) = self.strings else {
            return &[];
        };
        let all = memory.from(at).unwrap_or(&[]);
        &all[..all.len().min(usize::try_from(size).unwrap_or(usize::MAX))]
    }
}
