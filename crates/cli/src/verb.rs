//! One file per verb: from what was typed to what is printed.

pub(crate) mod compile;
pub(crate) mod policy;
pub(crate) mod run;
pub(crate) mod scan;
