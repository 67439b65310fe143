//! Text that a person likes to read.

mod purpose_table;
pub(crate) mod scan;
pub(crate) mod stats;
mod style;
pub(crate) mod verdict;
