//! Text that a person likes to read.

mod purpose_table;
pub(crate) mod scan;
mod style;
pub(crate) mod verdict;
