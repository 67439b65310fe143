//! Runs untrusted jobs: one process for each, forked from a warm worker that is confined already.
//!
//! A [`Pool`] has workers: programs that are sealed in memory and know one [`Engine`] each. One is given an
//! [`Artifact`] of one tenant, and any number of [`Job`]s. For each it forks: the new process closes everything but a
//! socket for its results, takes a tighter filter, and runs the job. The host holds a handle to that process, measures
//! it, ends it, and asks the kernel how it ended; [`judge`] makes an [`Outcome`] of that. What a job says about itself
//! is data.
//!
//! Artifacts are made by a process of its own per module ([`prepare()`]) and kept in a [`Cache`], authenticated with
//! a key that no worker has.

mod artifact;
mod cache;
mod error;
mod filter;
mod frame;
#[cfg(test)]
mod fuzz;
mod image;
mod job;
mod kernel;
mod leash;
mod limits;
mod metrics;
mod outcome;
mod output;
mod pending;
mod pool;
mod preparations;
mod prepare;
mod running;
mod schedule;
mod serve;
mod slot;
mod template;
mod wire;

pub use artifact::{Artifact, Key};
pub use cache::{Cache, Found};
pub use error::Error;
pub use frame::{Results, Said};
pub use image::Image;
pub use job::{Job, Request};
pub use limits::{Limits, Wanted};
pub use metrics::{Histogram, Metrics};
pub use outcome::{Evidence, JobError, Limit, Outcome, judge};
pub use output::{Piece, Stream};
pub use pending::{Finished, Pending, Reply, Tried};
pub use pool::{Enforced, OnEnd, Pool, Settings};
pub use preparations::Preparations;
pub use prepare::{Preparation, prepare};
pub use running::Done;
pub use schedule::{Priority, Sizes};
pub use serve::{Engine, Preparer, Task, serve_jobs, serve_preparation};
