//! The verbs: each turns what was typed into what is needed, and that into a result.

pub(crate) mod scan;
