//! Runs untrusted jobs: one process for each, forked from a warm worker that is confined already, or a native program in
//! a sandbox of its own.
//!
//! A [`Pool`] has workers: programs that are sealed in memory and know one [`Engine`] each, which anybody can write. One is given an
//! [`Artifact`] of one tenant, and any number of [`Job`]s. For each it forks: the new process closes everything but a
//! socket for its results, takes a tighter filter, and runs the job. The host holds a handle to that process, measures
//! it, ends it, and asks the kernel how it ended; [`judge`] makes an [`Outcome`] of that. What a job says about itself
//! is data.
//!
//! A pool for native programs has none: an [`Executable`] is launched for each job, and followed by a tracer, under the
//! same limits and with the same classes. It has a directory, in which files are placed before and taken from after.
//!
//! Artifacts are made by a process of its own per module ([`prepare()`]) and kept in a [`Cache`], authenticated with
//! a key that no worker has.

mod artifact;
mod cache;
mod course;
mod directory;
mod error;
mod exec;
mod filter;
mod frame;
#[cfg(test)]
mod fuzz;
mod handed;
#[cfg(feature = "fuzz")]
pub mod hostile;
mod image;
mod job;
mod kernel;
mod leash;
mod limits;
mod metrics;
mod native;
mod outcome;
mod output;
mod pending;
mod pipes;
mod pool;
mod preparations;
mod prepare;
mod proof;
mod recorded;
mod running;
mod schedule;
mod secret;
mod serve;
mod slot;
mod template;
mod victim;
mod wire;

pub use artifact::{Artifact, Key};
pub use cache::{Cache, Found};
pub use course::Span;
pub use directory::{Given, NotTaken, Taken};
pub use error::Error;
pub use exec::Executable;
pub use frame::{Results, Said};
pub use image::{Image, audit_hash};
pub use job::{Job, Request};
pub use limits::{Limits, Wanted};
pub use metrics::{Histogram, Metrics};
pub use native::{Function, worker_image, worker_main};
pub use outcome::{Evidence, JobError, Limit, Outcome, judge};
pub use output::{Piece, Stream};
pub use pending::{Finished, Pending, Reply, Tried};
pub use pool::{Enforced, OnEnd, Pool, Runs, Settings};
pub use portcullis_sys::allocation::Counting;
pub use preparations::Preparations;
pub use prepare::{ALLOCATIONS, Preparation, prepare};
pub use recorded::{Record, Trace};
pub use running::{CpuOf, Done, PeakOf};
pub use schedule::{Priority, Sizes};
pub use secret::Secret;
pub use serve::{Engine, Preparer, Task, serve_jobs, serve_preparation};
