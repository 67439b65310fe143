//! The JSON contracts of the command.
//!
//! Each document has its own structures here: a change of a library's types cannot change what
//! scripts read. Fields may be added; those that are there stay.

pub(crate) mod scan;
pub(crate) mod symbol_table;
pub(crate) mod verdict;
