//! The engine through the library of the host.

mod everywhere;
mod examples;
mod generated;
mod generator;
mod module;
