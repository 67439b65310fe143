//! The linked program: every object of the closure at its place, relocations applied.
//!
//! Each object is mapped at a base that no real constant collides with (a fixed-address
//! executable keeps its own addresses), so one 64-bit address names one byte of one file.

use std::ops::Range;

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
    /// A constant that is no image address (weak and undefined, a TLS offset, a module id).
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
}
