//! Exit codes: one table for every verb.

use std::process::ExitCode;

/// What the command ends with.
///
/// Analysis verbs use 0, 1 and 2; `run` passes the program's own code through and uses the codes
/// of coreutils' `timeout` and of shells for what happens around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done; residuals, if any, are in the output.
    Success,
    /// Findings, or residuals with `--strict`.
    Findings,
    /// Wrong usage, or the analysis failed.
    Failure,
    /// `run`: Portcullis itself failed, the program was not started or was ended.
    RunFailed,
    /// `run`: the program was found but is not executable.
    NotExecutable,
    /// `run`: the program was not found.
    NotFound,
    /// `run`: the program's own exit code.
    Program(u8),
    /// `run`: a signal ended the program; 128 + its number (159 is SIGSYS).
    Signal(u8),
}

impl Exit {
    /// The number that the parent process sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Findings => 1,
            Exit::Failure => 2,
            Exit::RunFailed => 125,
            Exit::NotExecutable => 126,
            Exit::NotFound => 127,
            Exit::Program(code) => code,
            // Linux has 64 signals, so this never wraps.
            Exit::Signal(signal) => 128u8.saturating_add(signal),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
