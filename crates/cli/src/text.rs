//! Text that a person likes to read.

pub(crate) mod audit;
pub(crate) mod filter;
pub(crate) mod lint;
pub(crate) mod metrics;
mod purpose_table;
pub(crate) mod record;
pub(crate) mod scan;
pub(crate) mod stats;
mod style;
pub(crate) mod verdict;
