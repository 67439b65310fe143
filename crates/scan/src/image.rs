//! The linked program: every object of the closure at its place, relocations applied.
//!
//! Each object is mapped at a base that no real constant collides with (a fixed-address
//! executable keeps its own addresses), so one 64-bit address names one byte of one file.

mod extent;
mod functions;
mod go;
mod roots;
mod words;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_abi::{Arch, Binary, Linkage, ScannedObject, Warning};

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

    /// Whether it is in a file at fixed addresses, where no relocation tells an address from a number.
    pub(crate) fn is_fixed(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| o.file.fixed)
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
