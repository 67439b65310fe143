//! What Go's linker tells the Go runtime about a program's code: where each function begins, and
//! where control comes back to in one that recovers from a panic.
//!
//! The runtime cannot work without these tables, so they are there in stripped programs too. The
//! forms are those of Go 1.18 and newer: `pcHeader`, `functab`, `_func` and `moduledata`
//! (`runtime/symtab.go`, `runtime/runtime2.go`, `debug/gosym/pclntab.go`), methods of types
//! (`internal/abi/type.go`).

mod described;
mod pointers;
#[cfg(test)]
pub(crate) mod program;

use std::collections::BTreeSet;
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::memory::{Memory, word32, word64};
use super::relocations::Relocation;
use crate::image::Region;
pub(crate) use pointers::Pointers;

/// `pcHeader.magic`: Go 1.18, and 1.20 and newer.
const MAGICS: [u32; 2] = [0xffff_fff0, 0xffff_fff1];
/// Words of `moduledata`: the first function and the end of the last, code, and four kinds of data.
const MINPC: u64 = 20;
const TEXT: u64 = 22;
const DATA: u64 = 24;
/// Where `moduledata` says which words of [`Data::Pointers`] are pointers: before Go 1.20, and since then.
const POINTERS: [u64; 2] = [33, 35];
/// Words from there to where it says between which addresses types are described.
const TYPES: u64 = 2;
/// Where `_func` has its flags: before Go 1.20, and since then; and which one says assembly.
const FLAGS: [usize; 2] = [37, 41];
const ASSEMBLY: u8 = 4;
/// What the names of these functions begin with (`runtime/asm_amd64.s`, `runtime/asm_arm64.s`).
const WRITE_BARRIER: &[u8] = b"runtime.gcWriteBarrier";
/// `fipsMagic` (`crypto/internal/fips140/check/check.go`), before what it says of a program's parts.
const FIPS: &[u8] = b"\xff Go fipsinfo \xff\x00";
/// Behind that: where it lies itself, and then beginnings and ends of four parts.
const FIPS_SELF: u64 = 48;
const FIPS_PARTS: u64 = 8;
/// What the linker itself puts between functions.
const MARK: &[u8] = b"go:";
/// The largest real programs have some hundred thousand.
const MOST_FUNCTIONS: u64 = 1 << 22;
/// No linker puts more tables in a file; a hostile one could hold many beginnings of one.
const MOST_TABLES: usize = 16;

/// The code of a Go program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Go {
    /// Where all of it is, with `foreign`: other code of other languages lies outside.
    pub(crate) text: Range<u64>,
    /// Where its variables are, of all kinds: in each of these they come in order of their sizes.
    pub(crate) data: Vec<Range<u64>>,
    /// Which words of some of them are pointers.
    pub(crate) pointers: Pointers,
    /// Where types are described, and what these refer to by the distance from its start.
    types: Range<u64>,
    /// Ascending.
    pub(crate) functions: Vec<Function>,
    /// Functions of other languages that Go's linker put among them, ascending.
    pub(crate) foreign: Vec<Function>,
    /// Functions that write a pointer for their caller while garbage is collected, ascending.
    write_barriers: Vec<u64>,
    /// Where the tables are: no data that the program itself works with.
    tables: u64,
    /// What distances between instructions are counted in.
    quantum: u64,
    /// The most of its caller's stack that a function shares.
    pub(crate) most_shared: u32,
}

/// One function of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Function {
    pub(crate) start: u64,
    /// Where the next one begins.
    pub(crate) end: u64,
    /// Where its name is in the file.
    pub(crate) name: usize,
    /// Where control comes back to when a deferred call recovers from a panic.
    pub(crate) resume: Option<u64>,
    /// Where its stack heights are in the file: one without any is none of Go's (`writeFuncs`,
    /// cmd/link/internal/ld/pcln.go).
    heights: usize,
    /// It was written in assembly (`funcFlag_ASM`): the compiler's convention need not hold within it.
    pub(crate) assembly: bool,
    /// Bytes of its caller's stack that are its own: arguments, results, room for registers.
    pub(crate) shared: u32,
}

impl Go {
    /// The tables of the program, if there are any.
    pub(crate) fn read(
        memory: &Memory,
        regions: &[Region],
        relocations: &[Relocation],
    ) -> Option<Go> {
        let words = Words::new(memory, relocations);
        let headers = headers(memory);
        let mut found = headers.filter_map(|at| Tables::read(&words, at));
        found.find_map(|tables| tables.functions(&words, regions))
    }

    /// The function that an address is in.
    pub(crate) fn covering(&self, address: u64) -> Option<&Function> {
        covering(&self.functions, address)
    }

    /// Whether the Go compiler or its assembler made the code at an address.
    pub(crate) fn contains(&self, address: u64) -> bool {
        self.text.contains(&address) && covering(&self.foreign, address).is_none()
    }

    /// Whether the call does not return, as far as stack heights tell: see
    /// [`crate::image::Image::go_ends`].
    pub(crate) fn ends(&self, memory: &Memory, call: u64, after: u64) -> bool {
        /// Of x86_64, and of aarch64: as long as what distances are counted in.
        const NOPS: [&[u8]; 2] = [&[0x90], &[0x1f, 0x20, 0x03, 0xd5]];
        let Some(function) = self.covering(call) else {
            return false;
        };
        let here = self.height(memory, function, call);
        let padded = NOPS.into_iter().any(|nop| {
            nop.len() as u64 == self.quantum && memory.bytes(after, nop.len()) == Some(nop)
        });
        let mut places = [Some(after), padded.then_some(after + self.quantum)]
            .into_iter()
            .flatten();
        here.is_some()
            && places.any(|at| {
                at < function.end
                    && self
                        .height(memory, function, at)
                        .is_some_and(|h| Some(h) != here)
            })
    }

    /// By how much the stack pointer is below what it is at the function's start (`pcsp`): pairs of
    /// numbers, the change of the height and how far it holds.
    fn height(&self, memory: &Memory, function: &Function, at: u64) -> Option<i64> {
        let mut bytes = memory.file.get(function.heights..)?.iter();
        let mut place = function.start;
        let mut height = -1i64;
        loop {
            let change = varint(&mut bytes)?;
            if change == 0 && place != function.start {
                return None;
            }
            let half = (change >> 1).cast_signed();
            height = height.wrapping_add(if change & 1 == 0 { half } else { !half });
            place = place.checked_add(varint(&mut bytes)?.checked_mul(self.quantum)?)?;
            if at < place {
                return Some(height);
            }
        }
    }

    /// Whether a function begins here.
    pub(crate) fn begins(&self, address: u64) -> bool {
        let found = self.functions.binary_search_by_key(&address, |f| f.start);
        found.is_ok()
    }

    /// Whether the function that begins here writes a pointer for its caller.
    pub(crate) fn is_write_barrier(&self, address: u64) -> bool {
        self.write_barriers.binary_search(&address).is_ok()
    }

    /// Whether a variable of Go's is here.
    pub(crate) fn is_variable(&self, address: u64) -> bool {
        self.data.iter().any(|range| range.contains(&address))
    }

    /// Whether a region is that of the tables, which hold distances.
    pub(crate) fn is_table(&self, region: &Region) -> bool {
        region.range.start == self.tables
    }

    /// Functions that tables of methods in a region name, by the address of the word.
    ///
    /// A method is four 32-bit words: its name and its type by their distance from the first type, and
    /// its code, as interfaces and as others call it, by the distance from the first function. What the
    /// linker left out is -1; no type is at the distance zero (`dodata`, cmd/link/internal/ld/data.go).
    pub(crate) fn methods(&self, memory: &Memory, region: &Region) -> Vec<(u64, u64)> {
        const NONE: u32 = u32::MAX;
        let start = region.range.start;
        if self.is_table(region) || region.executable {
            return Vec::new();
        }
        let code = |word: u32| self.text.start + u64::from(word);
        let inside = |word: u32| (word as usize) < memory.file.len();
        let method = |word: u32| word == NONE || self.begins(code(word));
        let size = usize::try_from(region.range.end - start).unwrap_or(usize::MAX);
        let bytes = memory.from(start).unwrap_or(&[]);
        let bytes = &bytes[..bytes.len().min(size)];
        let skip = (start.next_multiple_of(4) - start) as usize;
        let mut found = Vec::new();
        for at in (skip..bytes.len().saturating_sub(15)).step_by(4) {
            let [name, kind, by_interface, by_others] =
                [0, 4, 8, 12].map(|n| word32(bytes, at + n).unwrap_or(0));
            let typed = kind != 0 && (kind == NONE || inside(kind));
            let described = name != 0 && inside(name) && typed;
            if !described || !method(by_interface) || !method(by_others) {
                continue;
            }
            // Else it may be the end of one and the beginning of the next.
            if !self.types.is_empty() && !self.is_name(memory, self.name_at(name.into())) {
                continue;
            }
            for (word, n) in [(by_interface, 8), (by_others, 12)] {
                if word != NONE {
                    found.push((start + (at + n) as u64, code(word)));
                }
            }
        }
        found
    }
}

/// The function of a list that an address is in.
fn covering(list: &[Function], address: u64) -> Option<&Function> {
    let after = list.partition_point(|f| f.start <= address);
    let last = &list[after.checked_sub(1)?];
    (address < last.end).then_some(last)
}

/// The file's words, with what the loader makes of them.
struct Words<'a> {
    memory: &'a Memory,
    relocated: FxHashMap<u64, u64>,
}

impl<'a> Words<'a> {
    fn new(memory: &'a Memory, relocations: &[Relocation]) -> Words<'a> {
        let own = relocations.iter().filter(|r| r.symbol == 0);
        Words {
            memory,
            relocated: own.map(|r| (r.at, r.addend.cast_unsigned())).collect(),
        }
    }

    fn word(&self, at: u64) -> Option<u64> {
        let relocated = self.relocated.get(&at).copied();
        relocated.or_else(|| self.memory.u64(at))
    }
}

/// Where tables may begin.
fn headers(memory: &Memory) -> impl Iterator<Item = u64> + '_ {
    let segments = memory.segments.iter();
    let all = segments.flat_map(move |segment| {
        let bytes = memory.from(segment.address).unwrap_or(&[]);
        let begins = move |at: &usize| {
            let magic = word32(bytes, *at).is_some_and(|word| MAGICS.contains(&word));
            // Two zeros, the size of the smallest instruction, that of a pointer.
            let rest = bytes.get(at + 4..at + 8).unwrap_or(&[]);
            magic && matches!(rest, [0, 0, 1 | 4, 8])
        };
        let places = (0..bytes.len()).step_by(8).filter(begins);
        places.map(|at| segment.address + at as u64)
    });
    all.take(MOST_TABLES)
}

/// Where the parts of the tables are.
struct Tables {
    at: u64,
    count: u64,
    quantum: u64,
    names: u64,
    /// `pctab`.
    heights: u64,
    /// `functab`, and what its entries are relative to.
    functions: u64,
}

impl Tables {
    fn read(words: &Words<'_>, at: u64) -> Option<Tables> {
        let field = |n: u64| words.word(at + 8 * n);
        let part = |n: u64| field(n).and_then(|offset| at.checked_add(offset));
        Some(Tables {
            at,
            count: field(1).filter(|&n| n > 0 && n <= MOST_FUNCTIONS)?,
            quantum: words.memory.bytes(at, 8)?[6].into(),
            names: part(4)?,
            heights: part(7)?,
            functions: part(8)?,
        })
    }

    fn functions(&self, words: &Words<'_>, regions: &[Region]) -> Option<Go> {
        let memory = words.memory;
        let table = memory.from(self.functions)?;
        let names = offset_of(&memory.file, memory.from(self.names)?)?;
        let heights = offset_of(&memory.file, memory.from(self.heights)?)?;
        let size = usize::try_from(self.count * 8 + 4).ok()?;
        let entries = table.get(..size)?;
        let module = self.module(words, entries, regions)?;
        let mut functions = Vec::new();
        let mut foreign = Vec::new();
        let mut write_barriers = Vec::new();
        let magic = memory.u32(self.at)?;
        let flags = FLAGS[usize::from(magic != MAGICS[0])];
        let mut places = entries.chunks(8).skip(1);
        for entry in entries.chunks_exact(8) {
            let place = |entry: &[u8]| module.text.start.checked_add(word32(entry, 0)?.into());
            let start = place(entry)?;
            let end = place(places.next()?).filter(|&end| end >= start)?;
            let about = table.get(word32(entry, 4)? as usize..)?;
            let resume = u64::from(word32(about, 12)?);
            let name = names.checked_add(word32(about, 4)? as usize)?;
            if memory.start_of_name(name).starts_with(MARK) {
                continue;
            }
            if memory.start_of_name(name).starts_with(WRITE_BARRIER) {
                write_barriers.push(start);
            }
            let own = word32(about, 16)? as usize;
            let list = match own {
                0 => &mut foreign,
                _ => &mut functions,
            };
            list.push(Function {
                start,
                end,
                name,
                heights: heights.checked_add(own)?,
                resume: (resume != 0).then_some(start.checked_add(resume)?),
                assembly: about.get(flags)? & ASSEMBLY != 0,
                // The sign says that assembly code did not tell: it passes nothing on the stack.
                shared: word32(about, 8).filter(|size| size >> 31 == 0).unwrap_or(0),
            });
        }
        let ascending = |all: &[Function]| all.is_sorted_by(|a, b| a.start < b.start);
        let ascending = ascending(&functions) && ascending(&foreign);
        let last = functions.last()?.start;
        (ascending && module.text.contains(&last)).then_some(Go {
            pointers: module.pointers(words, magic).unwrap_or_default(),
            types: module.types(words, magic).unwrap_or_default(),
            data: module.sorted(words, regions),
            text: module.text,
            most_shared: functions.iter().map(|f| f.shared).max().unwrap_or(0),
            functions,
            foreign,
            write_barriers,
            tables: self.at,
            quantum: self.quantum,
        })
    }

    /// What the tables belong to.
    fn module(&self, words: &Words<'_>, entries: &[u8], regions: &[Region]) -> Option<Module> {
        let first = u64::from(word32(entries, 0)?);
        let end = u64::from(word32(entries, entries.len() - 4)?);
        let describes = |at: u64| Module::read(words, regions, at, first..end);
        let moved = words.relocated.iter().filter(|(_, held)| **held == self.at);
        let moved = moved.map(|(&at, _)| at).collect::<BTreeSet<u64>>();
        moved.into_iter().find_map(describes).or_else(|| {
            let data = regions.iter().filter(|r| !r.executable);
            let mut places = data.flat_map(|r| {
                let bytes = words.memory.from(r.range.start).unwrap_or(&[]);
                let size = usize::try_from(r.range.end - r.range.start).unwrap_or(usize::MAX);
                let places = (0..bytes.len().min(size)).step_by(8);
                let tables = places.filter(|&n| word64(bytes, n) == Some(self.at));
                tables.map(|n| r.range.start + n as u64)
            });
            places.find_map(describes)
        })
    }
}

/// `moduledata`, as far as it is used: it begins with the address of the tables.
struct Module {
    at: u64,
    text: Range<u64>,
    data: [Range<u64>; 4],
}

impl Module {
    /// That at `at`, if it is one: it says where the first of the `functions` begins and where the last
    /// one ends.
    fn read(
        words: &Words<'_>,
        regions: &[Region],
        at: u64,
        functions: Range<u64>,
    ) -> Option<Module> {
        let word = |n: u64| words.word(at.checked_add(8 * n)?);
        let range = |n: u64| Some(word(n)?..word(n + 1)?);
        let text = range(TEXT)?;
        let code = |at: u64| super::region_of(regions, at).is_some_and(|r| r.executable);
        let fits = word(MINPC)? == text.start.checked_add(functions.start)?
            && word(MINPC + 1)? == text.start.checked_add(functions.end)?
            && word(MINPC + 1)? <= text.end
            && text.start < text.end
            && code(text.start)
            && code(text.end - 1);
        let [a, b, c, d] = [0, 2, 4, 6].map(|n| range(DATA + n));
        fits.then_some(Module {
            at,
            text,
            data: [a?, b?, c?, d?],
        })
    }

    /// Which words of the variables with pointers are pointers, in tables of this form.
    fn pointers(&self, words: &Words<'_>, magic: u32) -> Option<Pointers> {
        const SECOND: usize = 1;
        let program = self.late(words, magic, 0)?;
        Pointers::read(words.memory, &self.data[SECOND], program)
    }

    /// Where types are described.
    fn types(&self, words: &Words<'_>, magic: u32) -> Option<Range<u64>> {
        Some(self.late(words, magic, TYPES)?..self.late(words, magic, TYPES + 1)?)
    }

    /// The word that lies `n` words behind [`POINTERS`], in tables of this form.
    fn late(&self, words: &Words<'_>, magic: u32, n: u64) -> Option<u64> {
        let field = POINTERS[usize::from(magic == MAGICS[1])];
        words.word(self.at.checked_add(8 * (field + n))?)
    }

    /// Its variables in parts of which each is sorted by size (`dodataSect`,
    /// cmd/link/internal/ld/data.go): those of the cryptography that is checked at the start come after
    /// the others of their kind (cmd/link/internal/ld/fips140.go).
    fn sorted(&self, words: &Words<'_>, regions: &[Region]) -> Vec<Range<u64>> {
        let mut cuts: Vec<u64> = regions
            .iter()
            .filter(|r| !r.executable)
            .flat_map(|region| {
                let bytes = words.memory.code(region);
                let places = (0..bytes.len()).step_by(8);
                let found = places.filter(|&at| bytes[at..].starts_with(FIPS));
                found.map(|at| region.range.start + at as u64)
            })
            .filter(|&at| words.word(at.saturating_add(FIPS_SELF)) == Some(at))
            .flat_map(|at| (1..=FIPS_PARTS).map(move |n| at + FIPS_SELF + 8 * n))
            .filter_map(|at| words.word(at))
            .collect();
        cuts.sort_unstable();
        let mut found = Vec::new();
        for range in &self.data {
            let mut start = range.start;
            for &cut in &cuts {
                if start < cut && cut < range.end {
                    found.push(start..cut);
                    start = cut;
                }
            }
            found.push(start..range.end);
        }
        found
    }
}

/// A number of up to 32 bits, seven in a byte, lowest first.
fn varint<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn offset_of(file: &[u8], part: &[u8]) -> Option<usize> {
    let offset = (part.as_ptr() as usize).checked_sub(file.as_ptr() as usize)?;
    (offset <= file.len()).then_some(offset)
}
