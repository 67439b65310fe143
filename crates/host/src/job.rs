//! What is asked for.

use std::sync::Arc;
use std::time::Instant;

use crate::artifact::Artifact;
use crate::directory::Given;
use crate::limits::Limits;
use crate::schedule::Priority;
use crate::secret::Secret;

/// One job: the same artifact may be run with many.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Job {
    /// What it reads as standard input.
    pub input: Vec<u8>,
    /// Its arguments, its name for itself first.
    pub arguments: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// What it is told and nobody else. A module finds it in its environment, a native program as the file
    /// `secrets/NAME` of its directory, a function in its [`Task`](crate::Task).
    pub secrets: Vec<Secret>,
    /// What is in its directory when it begins. A module has one when it is given a file or one is wanted of it; a
    /// function finds them in its [`Task`](crate::Task).
    pub files: Vec<Given>,
    /// The files of its directory that are taken when it has ended, by their names. All of them together are bounded as
    /// each of its outputs is.
    pub wanted: Vec<String>,
    /// What it may use.
    pub limits: Limits,
}

/// A job for a [`Pool`](crate::Pool), and on whose behalf.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks. A worker sees artifacts and jobs of one tenant only.
    pub tenant: String,
    /// What is run.
    pub artifact: Arc<Artifact>,
    /// With what.
    pub job: Job,
    /// Before whom it goes.
    pub priority: Priority,
    /// When its result is of no use any more: it is not begun then, or ended.
    pub deadline: Option<Instant>,
    /// What it writes is passed on while it runs ([`Pending::output`](crate::Pending::output)), instead of being kept
    /// until its end.
    pub streams: bool,
}

impl Request {
    /// Of `tenant`, as it comes, for as long as its own limits let it.
    pub fn new(tenant: impl Into<String>, artifact: Arc<Artifact>, job: Job) -> Request {
        Request {
            tenant: tenant.into(),
            artifact,
            job,
            priority: Priority::default(),
            deadline: None,
            streams: false,
        }
    }
}
