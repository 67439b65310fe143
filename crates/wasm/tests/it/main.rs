//! The engine through the library of the host.

mod everywhere;
mod examples;
mod generated;
mod generator;
#[cfg(target_arch = "x86_64")]
mod large;
mod module;
