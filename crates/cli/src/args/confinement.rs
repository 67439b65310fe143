//! What a program that is run may use of the machine.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use portcullis_sandbox::{LayerName, Limits};

/// Options of `run`.
#[derive(Args, Debug)]
pub(crate) struct ConfinementArgs {
    /// Let the program read TREE, although it would be hidden or its place private (repeatable)
    #[arg(long, value_name = "TREE")]
    pub(crate) read: Vec<PathBuf>,
    /// Let the program write TREE (repeatable)
    #[arg(long, value_name = "TREE")]
    pub(crate) write: Vec<PathBuf>,
    /// Hide PATH from the program (repeatable)
    #[arg(long, value_name = "PATH")]
    pub(crate) hide: Vec<PathBuf>,
    /// Give the program the machine's network, or a loopback device of its own; without this it has none
    #[arg(long, value_name = "WHICH", value_enum, num_args = 0..=1, default_missing_value = "host")]
    pub(crate) net: Option<NetworkArg>,
    /// Bound what the program consumes: cpu=2s, wall=10s, memory=256M, processes=32, files=64,
    /// file-size=1M, output=1M, separated by commas (repeatable)
    #[arg(long, value_name = "LIMITS")]
    pub(crate) limit: Vec<Limits>,
    /// Start the program without LAYER: namespaces, ids, filesystem, network, landlock, limits (repeatable)
    #[arg(long, value_name = "LAYER")]
    pub(crate) allow_insecure: Vec<LayerName>,
}

/// Networks.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum NetworkArg {
    /// A loopback device of the program's own
    Loopback,
    /// The machine's
    Host,
}
