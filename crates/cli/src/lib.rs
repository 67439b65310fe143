//! The `portcullis` command: arguments, rendering, exit codes.
//!
//! Library types are never serialised directly: each JSON document has its own structures in
//! `json`, and each cached entry its own in `cache`. Results go to standard output, everything
//! else to standard error. Text that comes from a binary is neutralised before it is shown.

mod analysis;
mod args;
mod cache;
mod exit;
mod filter_file;
mod header;
#[cfg(feature = "fuzz")]
pub mod hostile;
mod images;
mod json;
mod machine;
mod neutral;
mod output;
mod profile;
mod program;
#[cfg(test)]
mod sample;
mod text;
mod trace;
mod verb;

use std::process::ExitCode;

use args::Verb;
use clap::{CommandFactory as _, Parser as _};

pub use exit::Exit;

/// The command's definition, for man pages and completions.
pub fn command() -> clap::Command {
    args::Typed::command()
}

/// Runs the command with the arguments of this process.
pub fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == analysis::VERB)
    {
        return finished(analysis::child());
    }
    let typed = match args::Typed::try_parse() {
        Ok(typed) => typed,
        Err(usage) => {
            // clap prints help to stdout and mistakes to stderr; a closed stream is no failure.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let done = match typed.verb {
        Verb::Scan(typed) => verb::scan::scan(typed),
        Verb::Policy(typed) => verb::policy::policy(typed),
        Verb::Audit(typed) => verb::audit::audit(typed),
        Verb::Compile(typed) => verb::compile::compile(typed),
        Verb::Verify(typed) => verb::verify::verify(typed),
        Verb::Diff(typed) => verb::diff::diff(typed),
        Verb::Explain(typed) => verb::explain::explain(typed),
        Verb::Cost(typed) => verb::cost::cost(typed),
        Verb::Doctor(typed) => verb::doctor::doctor(typed),
        Verb::Codes(typed) => verb::codes::codes(typed),
        Verb::Profile { verb } => verb::profile::profile(verb),
        Verb::Record(typed) => return verb::record::record(typed).into(),
        #[cfg(feature = "host")]
        Verb::Job(typed) => return verb::job::job(typed).into(),
        Verb::Run(typed) => return verb::run::run(typed).into(),
    };
    finished(done)
}

/// What a verb ends with; a failure is said.
fn finished(done: anyhow::Result<Exit>) -> ExitCode {
    match done {
        Ok(exit) => exit.into(),
        Err(error) if output::is_broken_pipe(&error) => Exit::Success.into(),
        Err(error) => {
            output::say(&format!("{error:#}"));
            Exit::Failure.into()
        }
    }
}
