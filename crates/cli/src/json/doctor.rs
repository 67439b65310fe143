//! `doctor --format json`: the document `portcullis.doctor`, version 1.

use serde::Serialize;

/// The whole document.
#[derive(Serialize, Debug)]
pub(crate) struct Document {
    pub(crate) schema: &'static str,
    pub(crate) version: u32,
    /// What uname(2) says of the kernel.
    pub(crate) kernel: String,
    /// Whether root asks.
    pub(crate) root: bool,
    /// Whether `run` can give all layers of its default.
    pub(crate) default: bool,
    /// What was asked for: `filter`, `default` or `full`.
    pub(crate) level: &'static str,
    /// Whether all that belongs to that works.
    pub(crate) reachable: bool,
    pub(crate) checks: Vec<Check>,
}

/// One thing that was tried.
#[derive(Serialize, Debug)]
pub(crate) struct Check {
    pub(crate) layer: &'static str,
    /// The least level to which it belongs; empty when to none.
    pub(crate) level: &'static str,
    /// What was tried.
    pub(crate) tried: &'static str,
    pub(crate) works: bool,
    /// It belongs to the default of `run`.
    pub(crate) needed: bool,
    /// Why it does not work; how it works.
    pub(crate) detail: String,
    /// What would have to change, each by itself enough for one cause; empty when nothing is known.
    pub(crate) changes: Vec<String>,
}
