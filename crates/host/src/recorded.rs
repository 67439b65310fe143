//! What the programs of a pool call, told while they run.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use portcullis_policy::Policy;
use portcullis_sandbox::{Group, Root};
use portcullis_sys::wait::{self, Change};
use portcullis_sys::{process, ptrace};
use portcullis_watch::record::{self, Ending, Sink, Started};

/// One recording: of a worker and its jobs, or of a native program.
pub trait Trace: Sink + Send {
    /// Everything that was recorded has ended.
    fn end(self: Box<Self>, ending: &Ending);
}

/// Begins the recording of the program with a name. A pool has as many at one time as it has workers, or runs jobs.
pub type Record = Box<dyn Fn(&str) -> io::Result<Box<dyn Trace>> + Send + Sync>;

/// A worker that is to be recorded.
pub(crate) struct Recording<'a> {
    pub(crate) trace: Box<dyn Trace>,
    /// The worker's name; its jobs have `job` behind it.
    pub(crate) name: &'a str,
    /// Its own policy.
    pub(crate) policy: &'a Policy,
}

/// Records the worker that stands at its exec stop, while `serve` gives it jobs in a thread of its own: tracing is for
/// the thread that started it. With `serve` the worker ends.
pub(crate) fn record<T: Send>(
    recording: Recording<'_>,
    root: &Root<'_>,
    serve: impl FnOnce(Option<&Group>, &OwnedFd) -> T + Send,
) -> Result<T, portcullis_sys::Error> {
    let Recording {
        mut trace,
        name,
        policy,
    } = recording;
    let first = process::handle(root.init.unwrap_or(root.pid))?;
    let program = Started {
        pid: root.pid,
        name,
        forks: &format!("{name} job"),
        policy,
    };
    let group = root.group;
    let (followed, served) = std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let _ends = Ends(&first);
            serve(group, &first)
        });
        let followed = record::follow(&program, &mut *trace);
        if followed.is_err() {
            // Nobody answers its stops any more.
            end(&first);
        }
        (followed, serving.join())
    });
    let ending = match followed {
        Ok(ending) => ending,
        Err(record::Error::Sys(error)) => return Err(error),
        Err(_) => {
            return Err(portcullis_sys::Error {
                call: "recording a worker",
                reason: io::ErrorKind::Other.into(),
            });
        }
    };
    trace.end(&ending);
    Ok(served.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Ends a namespace when it is dropped, however that comes.
struct Ends<'a>(&'a OwnedFd);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        // Fails only when it has ended.
        let _ = process::signal_process(self.0.as_fd(), libc::SIGKILL);
    }
}

/// Ends everything that the calling thread traces there.
fn end(first: &OwnedFd) {
    drop(Ends(first));
    while let Ok(Some((tid, change))) = wait::next_that_signals() {
        if let Change::Stopped(_) = change {
            // Fails only when the kill overtook the stop.
            let _ = ptrace::resume(tid, 0);
        }
    }
}
