//! What can go wrong on the host's side. Nothing of it is a job's fault, and no job can bring it about alone.

use std::io;
use std::path::PathBuf;

/// A failure of the host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy of a worker or of its jobs cannot be made a filter.
    #[error("making the filter of {what}: {reason}")]
    Filter {
        /// Whose.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// The program of a worker, or its policy, is not what was audited.
    #[error(
        "starting {0}: its program or its policy is not what was audited: audit what there is now, or take what was"
    )]
    Image(&'static str),
    /// Nobody says that the program of a worker was audited.
    #[error(
        "starting {0}: it was not audited; give its image the hash that `portcullis audit --after start PROGRAM POLICY` \
         tells, or go without (worker-audit), which results then say"
    )]
    Unaudited(&'static str),
    /// A way out of a worker's sandbox is open, or is closed otherwise than it should be.
    #[error(
        "starting {name}: {} of {attempts} attempts to get out of its sandbox did not fail as they must: {}; report it          with what `portcullis doctor` says of this machine, or go without this test (worker-proof), which results then say",
        surprises.len(), surprises.join("; ")
    )]
    Open {
        /// The worker.
        name: &'static str,
        /// What came otherwise, one sentence each.
        surprises: Vec<String>,
        /// How many there were.
        attempts: usize,
    },
    /// A pool has as much to do as it takes on.
    #[error("{0} has as many requests waiting as it may; ask again later")]
    Full(&'static str),
    /// A pool takes nothing more.
    #[error("the pool is closed")]
    Closed,
    /// The kernel cannot tell what an outcome needs.
    #[error(
        "this kernel cannot tell how a process of another parent ended: Linux 6.15 or later is needed"
    )]
    Kernel,
    /// A worker or a program could not be confined or started.
    #[error(transparent)]
    Start(#[from] portcullis_sandbox::Error),
    /// The worker did not do its part.
    #[error("the worker {0}")]
    Worker(String),
    /// A file of the cache, or memory.
    #[error("{path:?}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The module cannot be prepared, now or later.
    #[error("preparing the module: {0}")]
    Refused(String),
    /// Preparing needed more than it may use.
    #[error("preparing the module: it is over its limit of {0}")]
    TooLarge(&'static str),
    /// Something larger than what is taken.
    #[error("{what} is larger than {most} bytes")]
    Long {
        /// What.
        what: &'static str,
        /// How much is taken.
        most: usize,
    },
    /// What the engine of a pool cannot do, or nobody.
    #[error("{0}")]
    Unfit(String),
    /// What was to be recorded is not begun without a trace.
    #[error("beginning a trace: {0}")]
    Trace(io::Error),
    /// A call of the kernel.
    #[error(transparent)]
    Call(#[from] portcullis_sys::Error),
    /// Talking to a worker.
    #[error("talking to the worker: {0}")]
    Talk(#[from] io::Error),
}
