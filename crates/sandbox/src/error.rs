//! What can keep a program from being started.

use std::io;
use std::path::PathBuf;

use crate::layer::LayerName;

/// A program could not be started. Nothing of it has run. A message holds its cause; paths stand in it
/// quoted and escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not there.
    #[error("{path:?}: no such program")]
    NotFound {
        /// As it was given.
        path: PathBuf,
    },
    /// The file is there and cannot be executed or read.
    #[error("{path:?}: cannot be executed: {reason}")]
    NotExecutable {
        /// As it was given.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file changed between its analysis and its start, or is another one.
    #[error("{path:?}: changed since it was analysed ({what}); run again")]
    Changed {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// An argument or variable holds a NUL byte, or the filter has an impossible length.
    #[error("{0}")]
    Invalid(String),
    /// The policy cannot be a filter.
    #[error("no filter can be made of the policy: {0}")]
    NoFilter(#[from] portcullis_bpf::NoFilter),
    /// The filter that would be loaded is not the policy's, or that cannot be told.
    #[error("the filter is not proved: {0}")]
    NotProved(#[from] portcullis_bpf::NotEqual),
    /// A layer was wanted and cannot be had.
    #[error(
        "the layer {layer} cannot be had: {reason}{help} (--allow-insecure {layer} starts the program without it)"
    )]
    Layer {
        /// Which.
        layer: LayerName,
        /// Why not.
        reason: String,
        /// What would help, as a clause that begins with a semicolon; empty when nothing is known.
        help: String,
    },
    /// The kernel lets nobody trace the program.
    #[error("the program cannot be traced, as it must be: {reason}{help}")]
    Untraceable {
        /// The kernel's answer.
        reason: portcullis_sys::Error,
        /// What would help, as in [`Error::Layer`].
        help: String,
    },
    /// The child could not prepare itself.
    #[error("the child could not {step}: {reason}")]
    Child {
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The filter stopped the start itself: it lacks the launch exec, or the cookie is another's.
    #[error("the filter stopped the launch exec; this is a defect of Portcullis, report it")]
    FilterRefusedLaunch,
    /// Someone ended the child before the program began.
    #[error("the child ended before the program began ({0})")]
    EndedEarly(String),
    /// The kernel refused something of the launcher.
    #[error("cannot start the program: {0}")]
    Kernel(portcullis_sys::Error),
    /// A file of the process could not be read.
    #[error("cannot read {path:?}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
}

impl Error {
    /// What would help, each thing by itself.
    pub fn help(&self) -> impl Iterator<Item = &str> {
        let clauses = match self {
            Error::Layer { help, .. } | Error::Untraceable { help, .. } => help.as_str(),
            _ => "",
        };
        clauses.split("; ").filter(|clause| !clause.is_empty())
    }

    /// Why, without that and without the advice to go without.
    pub fn reason(&self) -> String {
        match self {
            Error::Layer { reason, .. } => reason.clone(),
            Error::Untraceable { reason, .. } => reason.to_string(),
            other => other.to_string(),
        }
    }
}

impl From<portcullis_sys::Error> for Error {
    fn from(error: portcullis_sys::Error) -> Error {
        Error::Kernel(error)
    }
}
