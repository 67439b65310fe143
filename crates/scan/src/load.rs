//! One ELF file, read and checked: what its bytes alone say.
//!
//! Nothing here knows of other files or of the address that the object will have, so one
//! [`Object`] serves every program that uses the file. Every table comes from a hostile file:
//! counts are bounded by the bytes that are there, arithmetic is checked, and what cannot be
//! read is left out where the loader could do without it, and an error where it could not.

mod dynamic;
mod frames;
mod go;
mod header;
mod landing;
mod languages;
mod memory;
mod names;
pub(crate) mod references;
mod regions;
mod relocations;
mod script;
mod starts;
mod symbols;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use object::elf;
use portcullis_abi::{Arch, Language};
use sha2::{Digest, Sha256};

use crate::image::Region;
use dynamic::Dynamic;
use frames::Frames;
pub(crate) use go::Go;
#[cfg(test)]
pub(crate) use go::program;
use header::Section;
use landing::CallSite;
use names::Names;
use starts::Starts;

pub(crate) use header::{FIRST_BASE, PAGE};
pub(crate) use memory::{Memory, text, word32, word64};
pub(crate) use relocations::{Kind, Relocation};
pub use script::{Interpreter, interpreter};
pub(crate) use symbols::{DynamicSymbols, Symbol, Version, gnu_hash};

/// Why a file is no object that this version can analyse.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// No ELF magic.
    #[error("it is not an ELF file")]
    NotElf,
    /// A class, byte order or machine other than those of an architecture that is analysed.
    #[error("it is not for x86_64 or aarch64 (ELF class {class}, machine {machine})")]
    Foreign {
        /// `EI_CLASS`: 1 is 32-bit.
        class: u8,
        /// `e_machine`.
        machine: u16,
    },
    /// An object of another architecture than the program's, which no loader accepts.
    #[error("it is for {0}, and the program is not")]
    Other(Arch),
    /// `e_type` is neither an executable's nor a shared object's.
    #[error("it is neither a program nor a shared object (ELF type {0})")]
    Kind(u16),
    /// An executable in a library's place, which no loader accepts.
    #[error("it is an executable and no library")]
    Executable,
    /// The file ends before something that its headers promise.
    #[error("it is truncated: it ends before its {0}")]
    Truncated(&'static str),
    /// A field with a value that the kernel or the loader refuses too.
    #[error("its {0} makes no sense")]
    Field(&'static str),
    /// Nothing to map.
    #[error("it has no segments to load")]
    NoSegments,
    /// Segments out of order or on top of each other.
    #[error("its segments overlap or are out of order")]
    Overlap,
    /// Segments outside the user half of the address space, or too far apart.
    #[error("its segments span too wide a range of addresses")]
    Span,
}

/// Objects have three: before, init and fini.
const MOST_ARRAYS: usize = 16;

/// One ELF file.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) memory: Memory,
    pub(crate) arch: Arch,
    pub(crate) sha256: [u8; 32],
    /// `ET_EXEC`: cannot be moved.
    pub(crate) fixed: bool,
    /// It asks for stacks whose content can run.
    pub(crate) executable_stack: bool,
    pub(crate) entry: u64,
    pub(crate) interpreter: Option<Vec<u8>>,
    pub(crate) dynamic: Dynamic,
    pub(crate) symbols: DynamicSymbols,
    pub(crate) relocations: Vec<Relocation>,
    /// Regions at the file's addresses.
    pub(crate) regions: Vec<Region>,
    /// Bytes that every new thread's storage starts with.
    pub(crate) thread_template: Option<Range<u64>>,
    /// Init, fini and preinit arrays: address and size.
    pub(crate) arrays: Vec<(u64, u64)>,
    pub(crate) names: Names,
    pub(crate) frames: Frames,
    pub(crate) starts: Starts,
    /// What a Go program says of its own code.
    pub(crate) go: Option<Go>,
    /// Data that code takes the address of, ascending; empty for a file at fixed addresses.
    pub(crate) referenced: Vec<u64>,
    sections: Vec<Section>,
    /// Call sites of the frame that was asked for last, by its start: questions come function by
    /// function.
    pads: Mutex<(u64, Vec<CallSite>)>,
}

/// As much of a file as tells which other files it needs.
#[derive(Debug)]
pub(crate) struct Outline {
    memory: Memory,
    header: header::Header,
    /// What the loader is asked to do; nothing where there is no dynamic section.
    pub(crate) dynamic: Option<Dynamic>,
}

impl Outline {
    /// Checks the headers of a whole file and reads its dynamic section.
    pub(crate) fn read(file: Vec<u8>) -> Result<Outline, Malformed> {
        let mut header = header::read(&file)?;
        let memory = Memory {
            file,
            segments: std::mem::take(&mut header.segments),
        };
        Ok(Outline {
            dynamic: header.dynamic.map(|at| Dynamic::read(&memory, at)),
            memory,
            header,
        })
    }

    /// `PT_INTERP`.
    pub(crate) fn interpreter(&self) -> Option<&[u8]> {
        self.header.interpreter.as_deref()
    }

    /// Whose instructions it holds.
    pub(crate) fn arch(&self) -> Arch {
        self.header.arch
    }

    /// `ET_EXEC`: cannot be moved.
    pub(crate) fn fixed(&self) -> bool {
        self.header.fixed
    }

    /// The mapped bytes.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl Object {
    /// Reads everything else.
    pub(crate) fn read(outline: Outline) -> Object {
        let Outline {
            memory,
            header,
            dynamic,
        } = outline;
        let sha256 = Sha256::digest(&memory.file).into();
        let mut regions = regions::cut(&memory, &header);
        let arch = header.arch;
        let has_dynamic = dynamic.is_some();
        let dynamic = dynamic.unwrap_or_default();
        let relocations = if has_dynamic {
            relocations::read(&memory, arch, &dynamic.tables)
        } else {
            relocations::scattered(&memory, arch, |at| is_code(&regions, at))
        };
        if header.sections.is_empty() {
            regions::mark_linkage(&mut regions, &relocations);
        }
        let referred = relocations.iter().map(|r| r.symbol as usize + 1).max();
        let symbols = DynamicSymbols::read(&memory, &dynamic.tables, referred.unwrap_or(0));
        let go = Go::read(&memory, &regions, &relocations);
        let mut names = Names::read(&memory, &header.sections, &symbols);
        if let Some(go) = &go {
            names.add_go(&memory, go);
        }
        let frames = frames_of(&memory, &header);
        let mut starts = names.starts.clone();
        starts.extend(dynamic.functions.iter().chain([&header.entry]));
        starts.retain(|&at| is_code(&regions, at));
        let starts = Starts::find(&memory, arch, &regions, &frames, go.as_ref(), starts);
        // At fixed addresses numbers and addresses look alike.
        let referenced = match header.fixed {
            true => Vec::new(),
            false => references::to_data(&memory, arch, &regions),
        };
        let mut arrays = dynamic.arrays.clone();
        if arrays.is_empty() {
            arrays.extend(
                header
                    .sections
                    .iter()
                    .filter(is_array)
                    .map(|s| (s.address, s.size)),
            );
        }
        arrays.truncate(MOST_ARRAYS);
        Object {
            pads: Mutex::default(),
            sha256,
            arch,
            fixed: header.fixed,
            executable_stack: header.executable_stack,
            entry: header.entry,
            interpreter: header.interpreter,
            dynamic,
            symbols,
            relocations,
            regions,
            thread_template: header.thread_template,
            arrays,
            names,
            frames,
            starts,
            go,
            referenced,
            sections: header.sections,
            memory,
        }
    }

    /// No `.symtab`.
    pub(crate) fn stripped(&self) -> bool {
        !self.names.static_table
    }

    /// The source languages that left traces.
    pub(crate) fn languages(&self) -> Vec<Language> {
        languages::find(self)
    }

    /// Where the call that ends at `after` lands when it throws.
    pub(crate) fn landing_pad(&self, call: u64, after: u64) -> Option<u64> {
        if let Some(function) = self.go.as_ref().and_then(|go| go.covering(call)) {
            return function.resume;
        }
        // The unwinder looks the return address minus one up.
        let inside = after.wrapping_sub(1).max(call);
        let frame = self.frames.covering(inside)?;
        frame.exceptions?;
        let mut held = self.pads.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0 != frame.start || held.1.is_empty() {
            *held = (frame.start, landing::sites(&self.memory, frame));
        }
        landing::pad(&held.1, inside)
    }

    /// The lowest page that is mapped.
    pub(crate) fn first_page(&self) -> u64 {
        self.memory
            .segments
            .first()
            .map_or(0, |s| s.address & !(PAGE - 1))
    }

    /// One past the highest mapped byte.
    pub(crate) fn end(&self) -> u64 {
        self.memory.segments.last().map_or(0, |s| s.end())
    }
}

/// The region that holds `address`.
pub(crate) fn region_of(regions: &[Region], address: u64) -> Option<&Region> {
    let after = regions.partition_point(|r| r.range.start <= address);
    let region = &regions[after.checked_sub(1)?];
    region.range.contains(&address).then_some(region)
}

fn is_code(regions: &[Region], address: u64) -> bool {
    region_of(regions, address).is_some_and(|r| r.executable)
}

fn is_array(section: &&Section) -> bool {
    let kinds = [
        elf::SHT_INIT_ARRAY,
        elf::SHT_FINI_ARRAY,
        elf::SHT_PREINIT_ARRAY,
    ];
    kinds.iter().any(|k| k.0 == section.kind)
}

fn frames_of(memory: &Memory, header: &header::Header) -> Frames {
    let section = header.sections.iter().find(|s| s.name == b".eh_frame");
    let text = header.sections.iter().find(|s| s.name == b".text");
    let text = text.map_or(0, |s| s.address);
    let section = section.filter(|s| header::agrees(memory, s));
    match section {
        Some(section) => Frames::read(
            header.arch,
            section.bytes(&memory.file),
            section.address,
            text,
        ),
        None => {
            let found = header.unwind_header.and_then(|at| Frames::find(memory, at));
            let bytes = found.and_then(|at| Some((at, memory.from(at)?)));
            bytes.map_or_else(Frames::default, |(at, bytes)| {
                Frames::read(header.arch, bytes, at, text)
            })
        }
    }
}
