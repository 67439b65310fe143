//! Runs untrusted jobs: one process for each, forked from a warm worker that is confined already.
//!
//! A [`Worker`] is a program that is sealed in memory and knows one [`Engine`]; it is given one [`Artifact`] and
//! any number of [`Job`]s. For each it forks: the new process closes everything but a socket for its results,
//! takes a tighter filter, and runs the job. The host holds a handle to that process, measures it, ends it, and
//! asks the kernel how it ended; [`judge`] makes an [`Outcome`] of that. What a job says about itself is data.
//!
//! Artifacts are made by a process of its own per module ([`prepare()`]) and kept in a [`Cache`], authenticated with
//! a key that no worker has.

mod artifact;
mod cache;
mod error;
mod filter;
mod frame;
mod image;
mod job;
mod limits;
mod outcome;
mod prepare;
mod running;
mod serve;
mod wire;
mod worker;

pub use artifact::{Artifact, Key};
pub use cache::{Cache, Found};
pub use error::Error;
pub use frame::{Results, Said};
pub use image::Image;
pub use job::Job;
pub use limits::{Limits, Wanted};
pub use outcome::{Evidence, JobError, Limit, Outcome, judge};
pub use prepare::{Preparation, prepare};
pub use running::Done;
pub use serve::{Engine, Preparer, Task, serve_jobs, serve_preparation};
pub use worker::{Enforced, Worker};
