//! What symbols say about a file: names and extents of functions and data.

use object::elf;

use super::go::Go;
use super::header::Section;
use super::memory::{Memory, text};
use super::symbols::{DynamicSymbols, Symbol};

/// Longer than all but a few names of real programs.
const MOST_COMPARED: usize = 2048;

/// A named stretch of code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Function {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Where its name is in the file.
    pub(crate) name: usize,
}

/// Symbols of `.symtab` and of the dynamic table together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// Ascending.
    pub(crate) functions: Vec<Function>,
    /// Start and end of sized data, ascending.
    pub(crate) data: Vec<(u64, u64)>,
    /// Entries of functions; parts split off to colder places are none.
    pub(crate) starts: Vec<u64>,
    /// There is a `.symtab`.
    pub(crate) static_table: bool,
}

impl Names {
    /// Collects the symbols of both tables.
    pub(crate) fn read(memory: &Memory, sections: &[Section], dynamic: &DynamicSymbols) -> Names {
        let mut names = Names::default();
        let table = sections.iter().find(|s| s.kind == elf::SHT_SYMTAB.0);
        if let Some(table) = table {
            let strings = sections.get(table.link as usize);
            let strings = strings.filter(|s| s.kind == elf::SHT_STRTAB.0);
            let (from, size) = strings.map_or((0, 0), |s| (s.offset, s.bytes(&memory.file).len()));
            for entry in table.bytes(&memory.file).chunks_exact(24) {
                let Some(symbol) = Symbol::read(entry, 0) else {
                    break;
                };
                names.static_table = true;
                let name = symbol.name as usize;
                let place = if name < size {
                    from + name
                } else {
                    memory.file.len()
                };
                names.add(memory, &symbol, place);
            }
        }
        for symbol in &dynamic.all {
            let name = dynamic.name(memory, symbol);
            names.add(memory, symbol, place_of(&memory.file, name));
        }
        names.sort(memory);
        names.data.sort_unstable();
        names.data.dedup();
        names
    }

    /// Adds the functions of a Go program that has no symbols of its own.
    pub(crate) fn add_go(&mut self, memory: &Memory, go: &Go) {
        if self.static_table {
            return;
        }
        let functions = go.functions.iter().chain(&go.foreign);
        self.functions.extend(functions.map(|f| Function {
            start: f.start,
            end: f.end,
            name: f.name,
        }));
        self.sort(memory);
    }

    fn sort(&mut self, memory: &Memory) {
        self.functions.sort_unstable_by(|a, b| {
            let by_name = || {
                memory
                    .start_of_name(a.name)
                    .cmp(memory.start_of_name(b.name))
            };
            (a.start, a.end).cmp(&(b.start, b.end)).then_with(by_name)
        });
        self.functions.dedup();
    }

    fn add(&mut self, memory: &Memory, symbol: &Symbol, name: usize) {
        let end = symbol.value.checked_add(symbol.size);
        let (true, Some(end)) = (symbol.defined() && !symbol.absolute(), end) else {
            return;
        };
        if symbol.function() {
            // Suffixes of a name that is longer than this are not seen, which costs precision only.
            let cold = memory.start_of_name(name).windows(5).any(|w| w == b".cold");
            if !cold {
                self.starts.push(symbol.value);
            }
            self.functions.push(Function {
                start: symbol.value,
                end,
                name,
            });
        } else if symbol.kind == elf::STT_OBJECT.0 && symbol.size > 0 {
            self.data.push((symbol.value, end));
        }
    }
}

impl Memory {
    /// The string at an offset of the file; empty when there is none.
    pub(crate) fn name(&self, at: usize) -> &[u8] {
        text(&self.file, at).unwrap_or(b"")
    }

    /// As much of the string as is looked at where all names are.
    pub(crate) fn start_of_name(&self, at: usize) -> &[u8] {
        let rest = self.file.get(at..).unwrap_or(b"");
        let rest = &rest[..rest.len().min(MOST_COMPARED)];
        let end = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
        &rest[..end]
    }
}

/// The offset of a slice of `file`.
fn place_of(file: &[u8], part: &[u8]) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(file.as_ptr() as usize);
    if offset <= file.len() {
        offset
    } else {
        file.len()
    }
}
