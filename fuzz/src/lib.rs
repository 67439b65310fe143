//! What must hold of every reader of hostile bytes.
//!
//! A module is one subject: `ask` takes any bytes and panics where something does not hold of them, which is more than
//! that nobody panics: what was read is written and read again, two engines agree, a bound is kept. libFuzzer looks for
//! such bytes (`targets`, `cargo xtask fuzz`); those that it once found, and what it begins with, are asked by an
//! ordinary test (`tests/replay.rs`).

pub mod audit;
mod calls;
pub mod debug;
pub mod document;
pub mod elf;
pub mod filter;
pub mod instruction;
pub mod job;
pub mod loader;
#[cfg(feature = "wasm")]
pub mod module;
pub mod policy;
pub mod profile;
pub mod seeds;
pub mod text;
pub mod trace;
#[cfg(feature = "wasm")]
pub mod wasi;
pub mod wire;

/// A subject.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Its name: that of its module, and of its target.
    pub name: &'static str,
    /// The longest input that is looked at, in bytes.
    pub longest: usize,
    /// Asks of an input.
    pub ask: fn(&[u8]),
    /// Inputs to begin with.
    pub begin: fn() -> Vec<Vec<u8>>,
}

/// The subjects that are modules of these names.
macro_rules! subjects {
    ($($(#[$only:meta])? $name:ident)*) => {
        &[$(
            $(#[$only])?
            Subject {
                name: stringify!($name),
                longest: $name::LONGEST,
                ask: $name::ask,
                begin: $name::begin,
            }
        ),*]
    };
}

/// Every subject.
pub const SUBJECTS: &[Subject] = subjects! {
    wire
    job
    #[cfg(feature = "wasm")]
    wasi
    #[cfg(feature = "wasm")]
    module
    trace
    filter
    policy
    text
    elf
    loader
    debug
    instruction
    audit
    document
    profile
};
