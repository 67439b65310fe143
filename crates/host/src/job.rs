//! What is asked for.

use crate::limits::Limits;

/// One job: the same artifact may be run with many.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Job {
    /// What it reads as standard input.
    pub input: Vec<u8>,
    /// Its arguments, its name for itself first.
    pub arguments: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// What it may use.
    pub limits: Limits,
}
