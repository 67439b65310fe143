//! The linked program: every object of the closure at its place, relocations applied.
//!
//! Each object is mapped at a base that no real constant collides with (a fixed-address
//! executable keeps its own addresses), so one 64-bit address names one byte of one file.

mod extent;
mod go;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_abi::{Arch, Binary, Linkage, ScannedObject, Warning};

use crate::demangle::demangle;
use crate::files::Identity;
use crate::isa::Convention;
use crate::kernel::Kernel;
use crate::load::{FIRST_BASE, Object, gnu_hash, region_of, text};

/// Index of an object in [`Image::objects`]; the program is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId(pub u32);

/// An address in the linked image.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Addr(pub u64);

/// What a relocated word holds once the loader is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// An address in the image.
    Address(Addr),
    /// Whatever this IFUNC resolver returns.
    Resolver(Addr),
    /// A constant that is no image address (weak and undefined, an absolute symbol).
    Value(u64),
}

/// A section (or a segment's part where there are no sections) of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// Where it is in the image.
    pub range: Range<u64>,
    /// Its code can run.
    pub executable: bool,
    /// The program can write to it after relocation (RELRO counts as read-only).
    pub writable: bool,
    /// The loader fills it for calls between objects (`.got`, `.got.plt`, `.plt.got`): writable
    /// perhaps, but only the loader writes there.
    pub linkage: bool,
    /// What the linker collects for a walk from its start to its end: its section's name is one of C.
    pub set: bool,
    /// Code and constants lie there together, and nothing tells them apart.
    pub mixed: bool,
}

/// Why an object is part of the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The executable.
    Program,
    /// Its `PT_INTERP`; with musl this is the C library as well.
    Loader,
    /// Needed by another object, or preloaded.
    Library,
    /// Named by the caller: the program may load it while it runs.
    Plugin,
    /// A name service that the machine is configured for: glibc loads it when a name is looked up.
    Service,
}

impl Role {
    /// Whether it is loaded by the running program.
    pub(crate) fn is_late(self) -> bool {
        matches!(self, Role::Plugin | Role::Service)
    }
}

/// Where control enters the image from outside: the kernel, the loader, or whoever loads a
/// plugin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Root {
    /// A function.
    pub at: Addr,
}

/// One object at its place.
#[derive(Debug)]
pub struct ImageObject {
    /// The absolute path under which the loader finds it.
    pub path: PathBuf,
    /// Why it is there.
    pub role: Role,
    /// The name service that brings it, when nothing else does; a service brings itself.
    pub service: Option<ObjectId>,
    /// What is added to the file's virtual addresses.
    pub base: u64,
    /// Which file it was, where that is known.
    pub identity: Option<Identity>,
    pub(crate) file: Arc<Object>,
    /// The file's regions at their place, ascending.
    pub(crate) regions: Vec<Region>,
    pub(crate) words: Words,
    /// Where objects of its constant data begin, as far as anything refers to them: ascending.
    pub(crate) begins: Vec<u64>,
    /// Function values of Go in its constant data, ascending ([`Image::is_function_value`]).
    pub(crate) function_values: Vec<u64>,
    /// Variables of Go of which it is known where they begin, ascending.
    pub(crate) variables: Vec<Variable>,
    /// Variables in which Go's runtime keeps addresses of functions of the vDSO, and their names.
    pub(crate) vdso: Vec<(u64, String)>,
}

/// A variable of Go (see `link/variables.rs`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Variable {
    pub(crate) start: u64,
    /// Where it ends at the latest.
    pub(crate) end: u64,
    /// How long those are at most that come before it, and itself.
    pub(crate) longest: u64,
}

/// What the loader puts into words of one object.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Ascending by address, one of each.
    pub(crate) slots: Vec<Word>,
    /// Bytes that the loader changes in a way that is not modelled: address and size, ascending.
    pub(crate) unknown: Vec<(u64, u64)>,
    /// Copied out of other objects: target, size and source, ascending.
    pub(crate) copies: Vec<(u64, u64, u64)>,
}

/// One word of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word {
    pub(crate) at: u64,
    pub(crate) slot: Slot,
    /// Found by its value, in a file without relocations: it may be a plain number.
    pub(crate) guessed: bool,
}

/// How far before an array the address is that a loop begins to count from: one element.
pub const STEP: u64 = 64;

/// A file that was looked for: what a later run must find unchanged to get the same image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consulted {
    /// Its absolute path.
    pub path: PathBuf,
    /// Hash of its content and which file it was; nothing if there was no such file.
    pub content: Option<([u8; 32], Option<Identity>)>,
}

/// The program and everything that is loaded with it.
#[derive(Debug)]
pub struct Image {
    /// The program first.
    pub objects: Vec<ImageObject>,
    /// What a reader of any result must know.
    pub warnings: Vec<Warning>,
    /// The script that named the program, and the argument it gave.
    pub(crate) script: Option<(String, Option<String>)>,
    /// Every file that was read or looked for in vain.
    pub(crate) consulted: Vec<Consulted>,
    /// Which object has the n-th stretch of 4 GiB above [`FIRST_BASE`].
    pub(crate) places: Vec<u32>,
    /// What registers are for on its architecture.
    pub(crate) convention: &'static Convention,
}

impl ImageObject {
    fn mapped(&self, at: Addr) -> bool {
        let address = at.0.wrapping_sub(self.base);
        self.file.memory.segment(address).is_some()
    }

    fn word(&self, at: u64) -> Option<&Word> {
        let found = self.words.slots.binary_search_by_key(&at, |w| w.at).ok()?;
        Some(&self.words.slots[found])
    }

    /// The words that overlap a range.
    fn words(&self, range: Range<u64>) -> impl Iterator<Item = &Word> {
        let first = range.start.saturating_sub(7);
        let first = self.words.slots.partition_point(|w| w.at < first);
        let rest = &self.words.slots[first..];
        rest.iter().take_while(move |w| w.at < range.end)
    }

    /// The loader changes something in this range in a way that is not modelled.
    fn blurred(&self, range: &Range<u64>) -> bool {
        let after = self.words.unknown.partition_point(|u| u.0 < range.end);
        // Entries are at most 16 bytes long, so none that starts earlier reaches the range, and
        // there is at most one of each size at each address.
        let near = &self.words.unknown[after.saturating_sub(64)..after];
        near.iter().any(|&(at, size)| at + size > range.start)
    }

    /// The source of a copied byte.
    fn copied(&self, at: u64) -> Option<u64> {
        let after = self.words.copies.partition_point(|c| c.0 <= at);
        let (to, size, from) = *self.words.copies.get(after.checked_sub(1)?)?;
        (at - to < size).then(|| from + (at - to))
    }
}

impl Image {
    /// Whose instructions it is made of: the program's architecture, and that of all its objects.
    pub fn arch(&self) -> Arch {
        self.objects[0].file.arch
    }

    /// What is known of the calls of its architecture.
    pub(crate) fn kernel(&self) -> &'static Kernel {
        Kernel::of(self.arch())
    }

    fn object(&self, at: Addr) -> Option<&ImageObject> {
        self.object_of(at).map(|id| &self.objects[id.0 as usize])
    }

    /// The object that has this byte.
    pub fn object_of(&self, at: Addr) -> Option<ObjectId> {
        let id = match at.0.checked_sub(FIRST_BASE) {
            None => 0,
            Some(offset) => *self.places.get(usize::try_from(offset >> 32).ok()?)?,
        };
        let object = self.objects.get(id as usize)?;
        object.mapped(at).then_some(ObjectId(id))
    }

    /// The data that an address outside of all data is meant for: whoever walks an array down from its
    /// end, or up from the element before its first, holds such an address.
    pub fn beside(&self, at: Addr) -> Option<Addr> {
        if self.object_of(at).is_some() {
            return None;
        }
        let near = [at.0.wrapping_sub(1)].into_iter();
        let mut near = near.chain((8..=STEP).step_by(8).map(|by| at.0.wrapping_add(by)));
        let is_data = |at: &u64| {
            let region = self.region(Addr(*at));
            region.is_some_and(|r| r.writable || !r.executable)
        };
        near.find(is_data).map(Addr)
    }

    /// The region that has this byte.
    pub fn region(&self, at: Addr) -> Option<&Region> {
        region_of(&self.object(at)?.regions, at.0)
    }

    /// Whether it can run.
    pub fn is_code(&self, at: Addr) -> bool {
        self.region(at).is_some_and(|r| r.executable)
    }

    /// Whether an instruction can begin there: those of aarch64 have 4 bytes, and a jump to where none is
    /// aligned faults (Arm ARM, "PC alignment checking").
    pub(crate) fn can_begin(&self, at: Addr) -> bool {
        let aligned = self.arch() != Arch::Aarch64 || at.0.is_multiple_of(4);
        self.is_code(at) && aligned && !self.only_ends_go(at)
    }

    /// Whether it may be a constant as well as code.
    pub(crate) fn is_mixed(&self, at: Addr) -> bool {
        self.region(at).is_some_and(|r| r.mixed)
    }

    /// Code from `at` to the end of its region.
    pub fn code(&self, at: Addr) -> Option<&[u8]> {
        let region = self.region(at).filter(|r| r.executable)?;
        let object = self.object(at)?;
        let bytes = object.file.memory.from(at.0.wrapping_sub(object.base))?;
        let size = usize::try_from(region.range.end - at.0).ok()?;
        Some(&bytes[..bytes.len().min(size)])
    }

    /// `size` bytes as the file has them, before relocation.
    pub fn bytes(&self, at: Addr, size: usize) -> Option<&[u8]> {
        let object = self.object(at)?;
        if let Some(from) = object.copied(at.0) {
            return self.bytes(Addr(from), size);
        }
        let address = at.0.wrapping_sub(object.base);
        object.file.memory.bytes(address, size)
    }

    /// The NUL-terminated string at `at`, without its NUL, as the file has it.
    pub fn text(&self, at: Addr) -> Option<&[u8]> {
        let object = self.object(at)?;
        if let Some(from) = object.copied(at.0) {
            return self.text(Addr(from));
        }
        let address = at.0.wrapping_sub(object.base);
        text(object.file.memory.from(address)?, 0)
    }

    /// What the loader puts into the word at `at`, if it does, or what looks like a pointer there
    /// in an object at fixed addresses.
    pub fn slot(&self, at: Addr) -> Option<Slot> {
        Some(self.object(at)?.word(at.0)?.slot)
    }

    /// The same, if the program cannot change that word once the loader is done, unless code that
    /// runs before it is protected does.
    pub fn fixed_slot(&self, at: Addr) -> Option<Slot> {
        let region = self.region(at)?;
        let fixed = !region.writable || region.linkage;
        let slot = fixed.then(|| self.slot(at)).flatten();
        slot.or_else(|| self.unfilled(at))
    }

    /// What the linker put into the word of a linkage table that no relocation is for: it stays so, as
    /// only relocations fill that table. There is such a word, with zero, for a weak symbol that nothing
    /// defines in a file that is bound already.
    fn unfilled(&self, at: Addr) -> Option<Slot> {
        let object = self.object(at)?;
        let region = self.region(at).filter(|r| r.linkage)?;
        let word = at.0..at.0.checked_add(8)?;
        // A table begins with three words of the loader's.
        let own = object.file.dynamic.tables.loaders.into_iter().flatten();
        let mut own = own.map(|start| start.wrapping_add(object.base));
        if word.end > region.range.end
            || object.words(word.clone()).next().is_some()
            || object.blurred(&word)
            || own.any(|start| start < word.end && word.start < start.saturating_add(24))
        {
            return None;
        }
        let held = self.bytes(at, 8)?.try_into().map(u64::from_le_bytes);
        held.ok().map(Slot::Value)
    }

    /// The slots that overlap `range`, ascending.
    pub fn slots(&self, range: Range<u64>) -> impl Iterator<Item = (Addr, Slot)> + '_ {
        let object = self.object(Addr(range.start));
        object
            .into_iter()
            .flat_map(move |o| o.words(range.clone()))
            .map(|w| (Addr(w.at), w.slot))
    }

    /// Words that are read although no code refers to the data that they are in: those of linkage
    /// tables, and of the data that each thread gets a copy of.
    pub fn read_by_place(&self) -> impl Iterator<Item = (Addr, Slot)> + '_ {
        let tables = self.objects.iter().flat_map(|o| {
            let linkage = o.regions.iter().filter(|r| r.linkage);
            let linkage = linkage.map(|r| r.range.clone());
            let template = o.file.thread_template.clone();
            let template =
                template.map(|r| r.start.wrapping_add(o.base)..r.end.wrapping_add(o.base));
            linkage.chain(template)
        });
        tables.flat_map(|range| self.slots(range))
    }

    /// Whether an object at fixed addresses holds an address of `range` where no word begins: a member
    /// of a packed structure.
    pub fn names_at_odd_places(&self, range: Range<u64>) -> bool {
        let Some(object) = self.object(Addr(range.start)).filter(|o| o.file.fixed) else {
            return false;
        };
        let data = object.regions.iter().filter(|r| !r.executable);
        data.into_iter().any(|region| {
            let address = region.range.start.wrapping_sub(object.base);
            let length = (region.range.end - region.range.start) as usize;
            let bytes = object.file.memory.from(address).unwrap_or_default();
            let bytes = &bytes[..bytes.len().min(length)];
            let words = (region.range.start..).zip(bytes.windows(8));
            words.into_iter().any(|(at, word)| {
                let word = word.try_into().map(u64::from_le_bytes).unwrap_or(0);
                at % 8 != 0 && range.contains(&word)
            })
        })
    }

    /// The data that symbols which overlap each other cover, around one at `at`.
    pub fn data_extents(&self, at: Addr) -> Option<Range<u64>> {
        let object = self.object(at)?;
        let mut extent = self.data_extent(at)?;
        loop {
            let (start, end) = (extent.start, extent.end);
            for &(first, last) in &object.file.names.data {
                let first = first.wrapping_add(object.base);
                let last = last.wrapping_add(object.base);
                if first < extent.end && extent.start < last {
                    extent = extent.start.min(first)..extent.end.max(last);
                }
            }
            if (start, end) == (extent.start, extent.end) {
                return Some(extent);
            }
        }
    }

    /// No word of the section of `at`, or near it, holds an address: whatever an index is that is
    /// added to `at`, nothing is found by it. (A base can lie before the table that it is for, by
    /// as much as the index is at least.)
    pub fn leads_nowhere(&self, at: Addr) -> bool {
        /// Farther than compilers fold an index into a base.
        const NEAR: u64 = 1 << 16;
        let (Some(object), Some(region)) = (self.object(at), self.region(at)) else {
            return false;
        };
        let Range { start, end } = region.range;
        let mut near = object.words(start.saturating_sub(NEAR)..end.saturating_add(NEAR));
        near.next().is_none()
    }

    /// The number of `size` bytes at `at`, if nothing ever changes it: not the program, not the
    /// loader by a relocation, and not start code before it protects its own data.
    pub fn constant(&self, at: Addr, size: u8) -> Option<u64> {
        let object = self.object(at)?;
        let region = region_of(&object.regions, at.0)?;
        if region.writable || region.linkage {
            return None;
        }
        let range = at.0..at.0.checked_add(u64::from(size))?;
        if range.end > region.range.end || size > 8 || object.blurred(&range) {
            return None;
        }
        if let Some(from) = object.copied(at.0) {
            return self.constant(Addr(from), size);
        }
        if object.words(range).any(|w| !w.guessed) {
            return None;
        }
        let mut word = [0; 8];
        word[..usize::from(size)].copy_from_slice(self.bytes(at, usize::from(size))?);
        let value = u64::from_le_bytes(word);
        (!self.written_early(object, at)).then_some(value)
    }

    /// The number of `size` bytes at `at` when the program begins, in data that it can change.
    pub fn initial(&self, at: Addr, size: u8) -> Option<u64> {
        let object = self.object(at)?;
        let range = at.0..at.0.checked_add(u64::from(size))?;
        let region = region_of(&object.regions, at.0)?;
        if range.end > region.range.end || object.blurred(&range) || object.copied(at.0).is_some() {
            return None;
        }
        match object.words(range).next().map(|w| (w.at, w.slot)) {
            Some((word, Slot::Address(held))) if word == at.0 && size == 8 => Some(held.0),
            Some((word, Slot::Value(held))) if word == at.0 && size == 8 => Some(held),
            Some(_) => None,
            None => {
                let address = at.0.wrapping_sub(object.base);
                let memory = &object.file.memory;
                let segment = memory.segment(address)?;
                let mut word = [0; 8];
                for (n, byte) in (address..).zip(&mut word[..usize::from(size)]) {
                    if segment.contains(n) && n - segment.address < segment.from_file {
                        *byte = *memory.bytes(n, 1)?.first()?;
                    }
                }
                Some(u64::from_le_bytes(word))
            }
        }
    }

    /// Whether an object offers something in this range to others by a name.
    pub(crate) fn exports_any(&self, range: Range<u64>) -> bool {
        self.object(Addr(range.start)).is_some_and(|object| {
            let all = object.file.symbols.all.iter();
            let mut offered = all.filter(|s| s.defined() && !s.local() && !s.absolute());
            offered.any(|s| range.contains(&s.value.wrapping_add(object.base)))
        })
    }

    /// Whether code of the program can write to this data, or could before it was protected.
    pub(crate) fn can_change(&self, at: Addr) -> bool {
        let early = |object| self.written_early(object, at);
        self.region(at).is_some_and(|r| r.writable) || self.object(at).is_some_and(early)
    }

    /// Whether code of the object itself writes to this protected data before it is protected.
    /// glibc's loader and its static start code keep what they learn of the machine there (page
    /// size, processor features, vDSO functions), among tables that nothing changes.
    fn written_early(&self, object: &ImageObject, at: Addr) -> bool {
        let starts_itself = match object.role {
            Role::Loader => true,
            Role::Program => object.file.interpreter.is_none(),
            Role::Library | Role::Plugin | Role::Service => false,
        };
        let address = at.0.wrapping_sub(object.base);
        starts_itself
            && object
                .file
                .memory
                .segment(address)
                .is_some_and(|s| s.writable)
    }

    /// Whether a function begins here, as far as the file tells (symbols, unwind tables, direct
    /// calls in code without them).
    pub fn function_start(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| {
            let address = at.0.wrapping_sub(o.base);
            o.file.starts.all.binary_search(&address).is_ok()
        })
    }

    /// Whether an unwind entry begins here and something calls it: it is a function of its own,
    /// not a part of another that was split off to a colder place.
    pub fn called_start(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| {
            let address = at.0.wrapping_sub(o.base);
            o.file.starts.called.binary_search(&address).is_ok()
        })
    }

    /// The start of the function that `at` is inside of, when it is not a start itself.
    pub fn function_around(&self, at: Addr) -> Option<Addr> {
        let start = self.fde_range(at)?.start;
        let inside = start != at.0 && !self.function_start(at) && self.function_start(Addr(start));
        inside.then_some(Addr(start))
    }

    /// All function starts of an object, ascending.
    pub fn starts(&self, object: usize) -> Vec<u64> {
        let Some(object) = self.objects.get(object) else {
            return Vec::new();
        };
        let starts = object.file.starts.all.iter();
        let starts = starts.map(|s| s.wrapping_add(object.base));
        starts.filter(|&s| self.is_code(Addr(s))).collect()
    }

    /// The symbol of the function that `at` is in, and where that begins.
    pub fn function_name(&self, at: Addr) -> Option<(&str, Addr)> {
        /// Symbols of one place (aliases, nested parts) that are looked at.
        const NEAR: usize = 4;
        let object = self.object(at)?;
        let address = at.0.wrapping_sub(object.base);
        let functions = &object.file.names.functions;
        let after = functions.partition_point(|f| f.start <= address);
        let covers = |end: u64, start: u64| address < end.max(start.saturating_add(1));
        let near = functions[..after].iter().rev().take(NEAR);
        let found = near.into_iter().find(|f| covers(f.end, f.start))?;
        let name = std::str::from_utf8(object.file.memory.name(found.name)).ok()?;
        Some((name, Addr(found.start.wrapping_add(object.base))))
    }

    /// Where functions of a name begin: exported ones, and in the program's own file those that a
    /// symbol names.
    pub fn functions_named(&self, name: &[u8]) -> Vec<Addr> {
        let exported = self
            .exports(name)
            .into_iter()
            .filter(|(_, resolver)| !resolver);
        let mut found: Vec<Addr> = exported.map(|(at, _)| at).collect();
        if let Some(program) = self.objects.first() {
            let functions = program.file.names.functions.iter();
            let named = functions.filter(|f| program.file.memory.name(f.name) == name);
            found.extend(named.map(|f| Addr(f.start.wrapping_add(program.base))));
        }
        found.retain(|at| self.is_code(*at));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Where the kernel enters the program and its loader.
    pub fn entries(&self) -> Vec<u64> {
        let entered = |o: &&ImageObject| matches!(o.role, Role::Program | Role::Loader);
        let objects = self.objects.iter().filter(entered);
        objects.map(|o| o.file.entry.wrapping_add(o.base)).collect()
    }

    /// The functions that a person means by a symbol, a demangled name, or an address in the program's
    /// file.
    pub fn functions_called(&self, name: &str) -> Vec<Addr> {
        let Some(program) = self.objects.first() else {
            return Vec::new();
        };
        if let Some(address) = name.strip_prefix("0x")
            && let Ok(address) = u64::from_str_radix(address, 16)
        {
            let at = Addr(address.wrapping_add(program.base));
            return self.is_code(at).then_some(at).into_iter().collect();
        }
        let named = self.functions_named(name.as_bytes());
        if !named.is_empty() {
            return named;
        }
        let functions = program.file.names.functions.iter();
        let demangled = functions.filter(|f| {
            let symbol = std::str::from_utf8(program.file.memory.name(f.name));
            symbol.is_ok_and(|symbol| demangle(symbol) == name)
        });
        let mut found: Vec<Addr> = demangled
            .map(|f| Addr(f.start.wrapping_add(program.base)))
            .filter(|at| self.is_code(*at))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// What the objects export under a name, and whether it is an IFUNC resolver: one of each
    /// object and version.
    pub fn exports(&self, name: &[u8]) -> Vec<(Addr, bool)> {
        let all = self.objects.iter().flat_map(|o| o.exports(name));
        all.collect()
    }

    /// Where control goes when the call at `call`, which ends at `after`, throws.
    pub fn landing_pad(&self, call: Addr, after: Addr) -> Option<Addr> {
        let object = self.object(call)?;
        let file_address = |a: Addr| a.0.wrapping_sub(object.base);
        let pad = object
            .file
            .landing_pad(file_address(call), file_address(after))?;
        Some(Addr(pad.wrapping_add(object.base)))
    }

    /// The range of the unwind table's entry that covers `at`, or of Go's function.
    pub fn fde_range(&self, at: Addr) -> Option<Range<u64>> {
        let object = self.object(at)?;
        let address = at.0.wrapping_sub(object.base);
        if let Some(function) = object.file.go.as_ref().and_then(|go| go.covering(address)) {
            let end = function.end.wrapping_add(object.base);
            return Some(function.start.wrapping_add(object.base)..end);
        }
        let frame = object
            .file
            .frames
            .covering(at.0.wrapping_sub(object.base))?;
        Some(frame.start.wrapping_add(object.base)..frame.end.wrapping_add(object.base))
    }

    /// Everything that is called from outside the image, ascending: entry points, init and fini
    /// functions, IFUNC resolvers, what a plugin offers, and code that every thread's storage
    /// starts with pointers to (no instruction refers to that template). What a name service brings
    /// is not called before it is loaded ([`Image::service_roots`]).
    pub fn roots(&self) -> Vec<Root> {
        self.roots_of(self.objects.iter().filter(|o| o.service.is_none()))
    }

    /// The same of what a name service brings, once it is loaded: itself and the libraries of all
    /// services, because two can share one that only the first is known to bring.
    pub fn service_roots(&self, service: ObjectId) -> Vec<Root> {
        let shared = |o: &&ImageObject| o.service.is_some() && o.role != Role::Service;
        let objects = self.objects.iter();
        self.roots_of(objects.filter(|o| o.service == Some(service) || shared(o)))
    }

    fn roots_of<'a>(&self, objects: impl Iterator<Item = &'a ImageObject>) -> Vec<Root> {
        let mut roots = Vec::new();
        for object in objects {
            let file = &object.file;
            let moved = |a: u64| Addr(a.wrapping_add(object.base));
            if matches!(object.role, Role::Program | Role::Loader) {
                roots.push(moved(file.entry));
            }
            roots.extend(file.dynamic.functions.iter().map(|&f| moved(f)));
            let template = file
                .thread_template
                .clone()
                .map(|t| (t.start, t.end - t.start));
            for (start, size) in file.arrays.iter().copied().chain(template) {
                let start = moved(start).0;
                for (_, slot) in self.slots(start..start.saturating_add(size)) {
                    if let Slot::Address(at) = slot {
                        roots.push(at);
                    }
                }
            }
            for word in &object.words.slots {
                if let Slot::Resolver(at) = word.slot {
                    roots.push(at);
                }
            }
            if object.role == Role::Plugin {
                let exported = |s: &&crate::load::Symbol| s.defined() && !s.local();
                let exports = file.symbols.all.iter().filter(exported);
                roots.extend(exports.map(|s| moved(s.value)));
            }
        }
        roots.retain(|&at| self.is_code(at));
        roots.sort_unstable();
        roots.dedup();
        roots.into_iter().map(|at| Root { at }).collect()
    }

    /// Some object asks for stacks whose content can run (ld(1), `-z execstack`).
    pub fn executable_stacks(&self) -> bool {
        self.objects.iter().any(|o| o.file.executable_stack)
    }

    /// The object and the virtual address in its file.
    pub fn file_address(&self, at: Addr) -> (ObjectId, u64) {
        match self.object_of(at) {
            Some(id) => (id, at.0.wrapping_sub(self.objects[id.0 as usize].base)),
            None => (ObjectId(0), at.0),
        }
    }

    /// The program as it was found.
    pub fn binary(&self) -> Binary {
        let program = &self.objects[0];
        Binary {
            path: program.path.display().to_string(),
            script: self.script.clone(),
            arch: self.arch(),
            linkage: match (&program.file.interpreter, program.file.fixed) {
                (Some(_), _) => Linkage::Dynamic,
                (None, true) => Linkage::Static,
                (None, false) => Linkage::StaticPie,
            },
            stripped: program.file.stripped(),
            languages: program.file.languages(),
        }
    }

    /// Every object of the image, in its order.
    pub fn scanned_objects(&self) -> Vec<ScannedObject> {
        let one = |o: &ImageObject| ScannedObject {
            path: o.path.display().to_string(),
            soname: o.soname(),
            sha256: o.file.sha256,
        };
        self.objects.iter().map(one).collect()
    }

    /// Every file that was read or looked for in vain, in that order: as long as none changes and
    /// none appears, the same request gives the same image.
    pub fn files(&self) -> &[Consulted] {
        &self.consulted
    }
}

impl ImageObject {
    /// What it exports under a name, and whether it is an IFUNC resolver: one of each version.
    pub(crate) fn exports(&self, name: &[u8]) -> Vec<(Addr, bool)> {
        let file = &self.file;
        let named = file.symbols.named(&file.memory, name, gnu_hash(name));
        let defined = named.filter(|(_, s)| s.defined() && !s.absolute() && !s.thread_local());
        let moved = |a: u64| Addr(a.wrapping_add(self.base));
        defined
            .map(|(_, s)| (moved(s.value), s.resolver()))
            .collect()
    }

    /// The prefix of what a name service's module exports (`nss/nss_module.c`).
    pub(crate) fn service_prefix(&self) -> Option<Vec<u8>> {
        if self.role != Role::Service {
            return None;
        }
        let name = self.path.file_name()?.to_str()?;
        let (service, _) = name.strip_prefix("libnss_")?.split_once(".so")?;
        Some(format!("_nss_{service}_").into_bytes())
    }

    /// `DT_SONAME`.
    pub fn soname(&self) -> Option<String> {
        let name = self.file.dynamic.soname.as_deref()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

/// The image of a program of this machine.
pub fn load(path: &std::path::Path, plugins: &[PathBuf]) -> Result<Image, String> {
    let request = crate::link::LinkRequest {
        plugins: plugins.to_vec(),
        ..Default::default()
    };
    let files = crate::files::HostFiles::default();
    crate::link::link(&files, path, &request).map_err(|e| e.to_string())
}
