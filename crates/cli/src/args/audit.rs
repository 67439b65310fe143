//! `audit`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::filter::InputArgs;
use super::{ClosureArgs, ImagesArgs, RootArgs};

/// Compare filters with what a program can do: missing, redundant and too broad rules
#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// The program, a path
    #[arg(value_name = "BIN")]
    pub(crate) program: PathBuf,
    /// The policy, in any form
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// The filter NAME of the file is for the thread that runs FUNCTION, or `main` (repeatable)
    #[arg(long, value_name = "NAME=FUNCTION", value_parser = pair)]
    pub(crate) thread: Vec<(String, String)>,
    /// Threads are under their filters once FUNCTION is entered; `install`: once they installed them
    /// themselves; `start`: from the start
    #[arg(long, value_name = "FUNCTION|install|start", default_value = "install")]
    pub(crate) after: String,
    /// Findings that are accepted, with reasons
    #[arg(long, value_name = "FILE")]
    pub(crate) accept: Option<PathBuf>,
    /// Compare what the program does with the lines of FILE, and say what changed; write FILE if it is
    /// not there
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
    /// Audit also each program in DIR, builds in the order of their names, and say in which a rule
    /// became redundant or a call appeared; BIN is the last
    #[arg(long, value_name = "DIR")]
    pub(crate) history: Option<PathBuf>,
    /// Exit with 1 also when something cannot be told
    #[arg(long)]
    pub(crate) strict: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = AuditFormat::Text)]
    pub(crate) format: AuditFormat,
    /// Write the result to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) images: ImagesArgs,
    #[command(flatten)]
    pub(crate) root: RootArgs,
    #[command(flatten)]
    pub(crate) closure: ClosureArgs,
}

/// Forms of an audit.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AuditFormat {
    /// For people
    Text,
    /// The document `portcullis.audit`
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// Annotations of GitHub's workflows
    Github,
    /// The suggestions as a patch of POLICY, for `git apply` or `patch -p1`
    Patch,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, function)) if !name.is_empty() && !function.is_empty() => {
            Ok((name.to_owned(), function.to_owned()))
        }
        _ => Err("write NAME=FUNCTION".into()),
    }
}
