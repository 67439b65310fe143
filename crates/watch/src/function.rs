//! The functions of a file by its symbols.

use object::read::elf::{ElfFile64, ElfSymbol64};
use object::{Endianness, Object as _, ObjectSymbol as _, ReadRef, SymbolKind};

/// Symbols of one file that are read; the largest programs have a few hundred thousand.
const SYMBOLS: usize = 1 << 20;

/// Bytes of their names that are kept: those of the largest programs are some 50 MB.
const NAMES: usize = 256 << 20;

/// Functions, ascending.
#[derive(Default)]
pub(crate) struct Functions(Vec<Symbol>);

struct Symbol {
    address: u64,
    size: u64,
    name: String,
}

impl Functions {
    /// Of a file.
    pub(crate) fn of<'d, R: ReadRef<'d>>(elf: &ElfFile64<'d, Endianness, R>) -> Functions {
        let own = elf.symbols().chain(elf.dynamic_symbols());
        let functions =
            own.filter(|s| s.kind() == SymbolKind::Text && s.size() > 0 && s.address() != 0);
        let mut left = NAMES;
        let symbol = |s: ElfSymbol64<'d, '_, Endianness, R>| {
            let name = s.name().ok()?;
            left = left.checked_sub(name.len())?;
            Some(Symbol {
                address: s.address(),
                size: s.size(),
                name: name.to_owned(),
            })
        };
        let mut all: Vec<Symbol> = functions.take(SYMBOLS).filter_map(symbol).collect();
        // Of several names of one place the last is told: without version or underscores where there is one.
        all.sort_by(|a, b| {
            let key = |s: &Symbol| (s.address, std::cmp::Reverse(s.name.len()));
            key(a).cmp(&key(b))
        });
        Functions(all)
    }

    /// The one that holds `address`, of the file.
    pub(crate) fn name(&self, address: u64) -> Option<&str> {
        let after = self.0.partition_point(|s| s.address <= address);
        let symbol = self.0[..after].last()?;
        (address - symbol.address < symbol.size).then_some(&symbol.name)
    }

    /// Without any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
