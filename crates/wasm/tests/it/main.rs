//! The engine through the library of the host.

mod examples;
mod generated;
mod module;
