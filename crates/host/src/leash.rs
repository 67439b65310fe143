//! How a job is called off while it runs.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use portcullis_sys::process;

/// Ends one attempt when somebody pulls, or when its time has come; also one that is not there yet.
#[derive(Debug, Default)]
pub(crate) struct Leash {
    until: Option<Instant>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    pulled: bool,
    /// The job's process.
    handle: Option<Arc<OwnedFd>>,
}

impl Held {
    fn kill(&self) {
        if let Some(handle) = &self.handle {
            // Fails only when it has ended.
            let _ = process::signal_process(handle.as_fd(), libc::SIGKILL);
        }
    }
}

impl Leash {
    /// One that is pulled at `until` by who looks at [`Leash::until`].
    pub(crate) fn new(until: Option<Instant>) -> Leash {
        Leash {
            until,
            held: Mutex::default(),
        }
    }

    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Kills the job, or sees to it that it is killed when it begins.
    pub(crate) fn pull(&self) {
        let mut held = self.held();
        held.pulled = true;
        held.kill();
    }

    /// Kills the job for a reason of the host's. One that is not there yet is let be.
    pub(crate) fn end(&self) {
        self.held().kill();
    }

    pub(crate) fn is_pulled(&self) -> bool {
        self.held().pulled
    }

    /// Takes hold of the job's process.
    pub(crate) fn hold(&self, process: Arc<OwnedFd>) {
        let mut held = self.held();
        held.handle = Some(process);
        if held.pulled {
            held.kill();
        }
    }

    /// The job has ended.
    pub(crate) fn let_go(&self) {
        self.held().handle = None;
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
