//! The `portcullis` command: arguments, rendering, exit codes.
//!
//! Library types are never serialised directly: each JSON document has its own structures in
//! `json`, and each cached entry its own in `cache`. Results go to standard output, everything
//! else to standard error. Text that comes from a binary is neutralised before it is shown.

mod args;
mod cache;
mod exit;
mod json;
mod neutral;
mod output;
mod program;
#[cfg(test)]
mod sample;
mod text;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

pub use exit::Exit;

/// The command's definition, for man pages and completions.
pub fn command() -> clap::Command {
    args::Typed::command()
}

/// Runs the command with the arguments of this process.
pub fn main() -> ExitCode {
    let _typed = args::Typed::parse();
    ExitCode::from(2)
}
