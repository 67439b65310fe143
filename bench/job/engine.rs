//! The engine of the workers by its own C interface, in the same version and with the same parts of it, for
//! `floor.c` beside this file.

#[cfg(feature = "engine")]
pub use wasmtime_c_api::*;
