//! One file per verb: from what was typed to what is printed.

pub(crate) mod audit;
pub(crate) mod codes;
pub(crate) mod compile;
pub(crate) mod cost;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod explain;
#[cfg(feature = "host")]
pub(crate) mod job;
pub(crate) mod policy;
pub(crate) mod profile;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod verify;
