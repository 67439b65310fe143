//! What is typed about profiles.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// List, show and make profiles: options of `run` under a name
#[derive(Subcommand, Debug)]
pub(crate) enum ProfileVerb {
    /// Tell which profiles come with the command
    List,
    /// Show what a profile sets, or several together
    Show(ShowProfileArgs),
    /// Make a profile for a program, by running it once, unconfined, and looking at what it opens and consumes
    New(NewArgs),
}

/// `profile show`.
#[derive(Args, Debug)]
pub(crate) struct ShowProfileArgs {
    /// Profiles, by name or by a path that has a slash
    #[arg(value_name = "NAME|FILE", required = true)]
    pub(crate) profiles: Vec<OsString>,
}

/// `profile new`.
#[derive(Args, Debug)]
pub(crate) struct NewArgs {
    /// Write the profile to FILE; `-`, and nothing, is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The program, a path or a name in PATH, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}
