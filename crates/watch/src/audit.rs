//! The kernel's audit records of a run, where they can be read.
//!
//! They tell what no stop of a tracer does: what Landlock denied. Reading changes nothing about what is audited,
//! and auditing is never switched on here. A thread reads, so that a busy machine's records are not lost while
//! the program runs; it keeps what is about the run, within bounds. In the end it reads to a record of its own
//! ("portcullis: a run ended"), behind which there is nothing of the run any more.

mod kept;
mod record;

use std::collections::HashSet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use portcullis_sys::audit::{self, LONGEST, Message};
use portcullis_sys::{Error, process, signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use kept::Kept;
pub use kept::{Access, Filtered, Maker};
use record::Record;

/// Bytes of records that the kernel holds for the thread: some ten thousand.
const ROOM: i32 = 8 << 20;
/// How long the last record may be on its way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there are no records to be read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The kernel keeps none.
    #[error("auditing is off on this machine")]
    Off,
    /// This process may not ask or read.
    #[error("{0}")]
    Refused(#[from] Error),
}

/// A socket on which records arrive, open before the run begins.
#[derive(Debug)]
pub struct Audit {
    socket: OwnedFd,
    lost: u32,
    /// Processes of the run. A number is not taken out again: what a process did is told later.
    processes: Mutex<HashSet<i32>>,
    mark: String,
}

/// What the records say.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    /// What Landlock denied, in the order of its first appearance.
    pub accesses: Vec<Access>,
    /// Calls on which a filter acted.
    pub filtered: Vec<Filtered>,
    /// Records of the run that are beyond what is kept.
    pub omitted: u64,
    /// Records of the machine that the kernel lost meanwhile; some may have been the run's.
    pub lost: u32,
    /// Others were lost, nobody knows how many, or the reading was ended before the last one.
    pub incomplete: bool,
}

/// Tells marks of one process apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The kernel was asked whether it keeps records.
#[derive(Debug)]
pub struct Asked(Result<audit::Question, Error>);

impl Asked {
    /// Begins to collect what the kernel tells; it is read by a thread of its own. It takes the capabilities to ask
    /// and to read (`CAP_AUDIT_CONTROL`, `CAP_AUDIT_READ`), in the machine's first namespaces: numbers of
    /// processes are those that are seen there.
    pub fn open(self) -> Result<Audit, Unread> {
        if !self.0?.answer()?.enabled {
            return Err(Unread::Off);
        }
        let socket = audit::records(ROOM)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Ok(Audit {
            socket,
            lost: audit::status()?.lost,
            processes: Mutex::default(),
            mark: format!("portcullis: a run ended, {}/{number}", std::process::id()),
        })
    }
}

impl Audit {
    /// Asks the kernel whether it keeps records. Its answer takes a while, for which nobody waits before
    /// [`Asked::open`].
    pub fn ask() -> Asked {
        Asked(audit::ask())
    }

    /// `pid` belongs to the run. To be said before it makes a call.
    pub(crate) fn follow(&self, pid: i32) {
        let processes = self.processes.lock();
        let mut processes = processes.unwrap_or_else(PoisonError::into_inner);
        processes.insert(pid);
    }

    /// Reads, in a thread of its own, until [`Listening::end`] or until what it returns is dropped.
    pub(crate) fn listen<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<Listening<'scope>, Error> {
        let (stop, stopped) = process::pipe()?;
        // What is sent to the launcher is the tracer's affair.
        let mask = signal::block_all()?;
        let thread = scope.spawn(move || self.read(&stop));
        signal::set_mask(&mask)?;
        Ok(Listening {
            audit: self,
            thread,
            stopped,
        })
    }

    fn read(&self, stop: &OwnedFd) -> Audited {
        let mut kept = Kept::default();
        let mut room = [0; LONGEST];
        // Set when the other end says that it is over.
        let mut deadline: Option<Instant> = None;
        let mut incomplete = false;
        loop {
            match audit::next(self.socket.as_fd(), &mut room) {
                Ok(Message::Record(kind, text)) => {
                    if record::is_mark(kind, text, &self.mark) {
                        break;
                    }
                    if let Some(record) = Record::read(kind, text) {
                        kept.take(record, &|pid| self.has(pid));
                    }
                }
                Ok(Message::Overrun) => incomplete = true,
                Ok(Message::None) => {
                    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                    if left == Some(Duration::ZERO) {
                        incomplete = true;
                        break;
                    }
                    match self.wait(deadline.is_none().then_some(stop), left) {
                        Waited::Record => {}
                        Waited::Over(true) => deadline = Some(Instant::now() + PATIENCE),
                        // Nobody asks for the result, or there will be no mark.
                        Waited::Over(false) => {
                            incomplete = true;
                            break;
                        }
                    }
                }
                Err(_) => {
                    incomplete = true;
                    break;
                }
            }
        }
        kept.end(incomplete)
    }

    /// Waits for a record, or for a word on `stop`.
    fn wait(&self, stop: Option<&OwnedFd>, left: Option<Duration>) -> Waited {
        let mut watched = vec![PollFd::new(&self.socket, PollFlags::IN)];
        watched.extend(stop.map(|stop| PollFd::new(stop, PollFlags::IN)));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        // Interrupted it is asked again.
        let _ = poll(&mut watched, left.as_ref());
        let said = watched.get(1).map(PollFd::revents);
        let Some(stop) = stop.filter(|_| said.is_some_and(|events| !events.is_empty())) else {
            return Waited::Record;
        };
        let mut word = [0];
        Waited::Over(matches!(
            process::read_message(stop.as_fd(), &mut word),
            Ok(1)
        ))
    }

    fn has(&self, pid: i32) -> bool {
        let processes = self.processes.lock();
        let processes = processes.unwrap_or_else(PoisonError::into_inner);
        processes.contains(&pid)
    }
}

/// What is kept of records, each with its type; `has` says which processes are the run's.
#[cfg(feature = "fuzz")]
pub(crate) fn of_records<'a>(
    records: impl IntoIterator<Item = (u16, &'a [u8])>,
    has: &dyn Fn(i32) -> bool,
) -> Audited {
    let mut kept = Kept::default();
    for (kind, text) in records {
        if let Some(record) = Record::read(kind, text) {
            kept.take(record, has);
        }
    }
    kept.end(false)
}

enum Waited {
    /// There may be a record.
    Record,
    /// The run is over, and a mark was written behind its records, or not.
    Over(bool),
}

/// Records that are being read.
pub(crate) struct Listening<'scope> {
    audit: &'scope Audit,
    thread: ScopedJoinHandle<'scope, Audited>,
    stopped: OwnedFd,
}

impl Listening<'_> {
    /// After the run: all that was told of it.
    pub(crate) fn end(self) -> Audited {
        // The kernel sends records in the order in which they were made.
        if audit::write(&self.audit.mark).is_ok() {
            // It fails only when the thread has ended.
            let _ = process::write_message(self.stopped.as_fd(), b"M");
        }
        drop(self.stopped);
        let mut audited = self.thread.join().unwrap_or(Audited {
            incomplete: true,
            ..Audited::default()
        });
        match audit::status() {
            Ok(now) => audited.lost = now.lost.wrapping_sub(self.audit.lost),
            Err(_) => audited.incomplete = true,
        }
        audited
    }
}
