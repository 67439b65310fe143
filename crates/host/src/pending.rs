//! A request that a pool has taken on, and how it came to its end.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::course::{Clock, Span};
use crate::outcome::Outcome;
use crate::output::Piece;
use crate::pool::{Enforced, Shared};
use crate::running::Done;
use crate::schedule::Id;

/// A request that was taken on. Dropped, it is called off.
pub struct Pending {
    id: Id,
    shared: Arc<Shared>,
    answer: Receiver<Finished>,
    deadline: Option<Instant>,
    output: Option<Receiver<Piece>>,
    /// Nobody has waited for its end.
    unasked: bool,
}

/// What a request came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// What the job came to, the last time that it was tried.
    Done(Done),
    /// It was called off. Nothing of it runs.
    Cancelled,
    /// Its deadline came first. What it had come to until then is void.
    Late,
}

/// One try of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried {
    /// What it came to.
    pub outcome: Outcome,
    /// From the order to its end, in nanoseconds.
    pub wall_ns: u64,
    /// Its parts, as far as it came.
    pub spans: Vec<Span>,
}

/// A request that has come to its end. Its text ([`Display`](fmt::Display)) is a line for a log: pairs of names and
/// values, in which what a tenant or a job says is quoted and harmless.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its number in its pool.
    pub id: u64,
    /// Whose it was.
    pub tenant: Arc<str>,
    /// What it came to.
    pub reply: Reply,
    /// Each time that it was begun.
    pub tried: Vec<Tried>,
    /// Until it was begun the first time.
    pub waited: Duration,
    /// The same as a part of its course.
    pub queue: Span,
    /// What held for its last try.
    pub enforced: Option<Arc<Enforced>>,
}

impl Pending {
    pub(crate) fn new(
        id: Id,
        shared: Arc<Shared>,
        answer: Receiver<Finished>,
        deadline: Option<Instant>,
        output: Option<Receiver<Piece>>,
    ) -> Pending {
        Pending {
            id,
            shared,
            answer,
            deadline,
            output,
            unasked: true,
        }
    }

    /// Its number in its pool.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What it writes, while it runs, if it was asked for: the end of the pieces is the end of the request.
    pub fn output(&mut self) -> Option<Receiver<Piece>> {
        self.output.take()
    }

    /// Calls it off. One that runs is killed; [`wait`](Pending::wait) returns when it is gone.
    pub fn cancel(&self) {
        self.shared.cancel(self.id);
    }

    /// Waits for its end, and not beyond its deadline.
    pub fn wait(mut self) -> Finished {
        self.unasked = false;
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answer.recv_timeout(left) {
                Ok(finished) => return finished,
                Err(RecvTimeoutError::Timeout) => self.shared.expire(self.id),
                Err(RecvTimeoutError::Disconnected) => {}
            }
        }
        // Each request is answered, by whoever brings about its end.
        self.answer.recv().unwrap_or_else(|_| Finished {
            id: self.id,
            tenant: "".into(),
            reply: Reply::Cancelled,
            tried: Vec::new(),
            waited: Duration::ZERO,
            queue: Clock::now().span("queue", Instant::now(), Instant::now()),
            enforced: None,
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.unasked {
            // Nothing happens when it has come to its end.
            self.shared.cancel(self.id);
        }
    }
}

impl Finished {
    /// The class of its outcome, or `cancelled` or `late`.
    pub fn end(&self) -> &'static str {
        match &self.reply {
            Reply::Done(done) => done.outcome.class(),
            Reply::Cancelled => "cancelled",
            Reply::Late => "late",
        }
    }

    /// What its job came to, if that counts.
    pub fn done(&self) -> Option<&Done> {
        match &self.reply {
            Reply::Done(done) => Some(done),
            Reply::Cancelled | Reply::Late => None,
        }
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited = self.waited.as_micros();
        write!(
            f,
            "job={} tenant={:?} end={}",
            self.id,
            self.tenant,
            self.end()
        )?;
        write!(f, " tries={} waited_us={waited}", self.tried.len())?;
        let Some(done) = self.done() else {
            return Ok(());
        };
        if let Some(kind) = done.outcome.kind() {
            write!(f, " kind={kind}")?;
        }
        write!(
            f,
            " wall_us={} cpu_us={} peak_bytes={} stdout_bytes={} stderr_bytes={}",
            done.wall_ns / 1000,
            done.cpu_ns / 1000,
            done.peak_memory_bytes,
            done.stdout.len(),
            done.stderr.len()
        )?;
        match done.outcome.detail() {
            // As Rust quotes it: whatever could end the line or deceive is an escape.
            Some(detail) => write!(f, " detail={detail:?}"),
            None => Ok(()),
        }
    }
}
