//! Tests of the analysis from the outside.

mod fixtures;
mod lookups;
mod services;
mod stacks;
