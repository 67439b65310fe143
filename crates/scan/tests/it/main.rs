//! Tests of the analysis from the outside.

mod fixtures;
mod services;
mod stacks;
