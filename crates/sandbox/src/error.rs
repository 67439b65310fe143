//! What can keep a program from being started.

use std::io;
use std::path::PathBuf;

/// A program could not be started. Nothing of it has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not there.
    #[error("{}: no such program", .path.display())]
    NotFound {
        /// As it was given.
        path: PathBuf,
    },
    /// The file is there and cannot be executed or read.
    #[error("{}: cannot be executed: {reason}", .path.display())]
    NotExecutable {
        /// As it was given.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file changed between its analysis and its start, or is another one.
    #[error("{}: changed since it was analysed ({what}); run again", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// An argument or variable holds a NUL byte, or the filter has an impossible length.
    #[error("{0}")]
    Invalid(String),
    /// The child could not prepare itself.
    #[error("the child could not {step}: {source}")]
    Child {
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The filter stopped the start itself: it lacks the launch exec, or the cookie is another's.
    #[error("the filter stopped the launch exec; this is a defect of Portcullis, report it")]
    FilterRefusedLaunch,
    /// Someone ended the child before the program began.
    #[error("the child ended before the program began ({0})")]
    EndedEarly(String),
    /// The kernel refused something of the launcher.
    #[error("cannot start the program: {0}")]
    Kernel(#[from] portcullis_sys::Error),
    /// A file of the process could not be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}
