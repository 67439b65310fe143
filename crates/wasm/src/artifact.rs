//! From an artifact's file to code that can be run.
#![expect(
    unsafe_code,
    reason = "the engine runs an artifact's code without looking at it"
)]

use std::fs::File;

use wasmtime::{Engine, Module};

/// Maps the artifact, read-only and executable. Settings or a version of the engine that differ are an error.
pub(crate) fn load(engine: &Engine, artifact: File) -> wasmtime::Result<Module> {
    // SAFETY: the host gives a worker only what it has authenticated as the output of a preparation of its own, in
    // memory that is sealed, so that nobody can change the file under the mapping.
    unsafe { Module::deserialize_open_file(engine, artifact) }
}
