//! Creates the child, becomes its tracer, sees the exec happen, and hands over to the observer.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use portcullis_sys::exec::CStringArray;
use portcullis_sys::ptrace::{self, Options, SyscallStop};
use portcullis_sys::signal::{self, Forwarding};
use portcullis_sys::wait::{self, Change, End, Stop, event};
use portcullis_sys::{process, seccomp};

use crate::Error;
use crate::child::{self, COMPLAINT, Prepared, READY, STEPS};
use crate::identity::Identity;
use crate::mapped;
use crate::plan::Plan;
use crate::secret::ArmedFilter;
use crate::verdict::{Outcome, Usage, Verdict};

/// A program that stands at its exec stop: its image is loaded, none of its code has run.
pub struct Root<'a> {
    /// Its process, a tracee of the calling thread with [`Options::LAUNCHER`].
    pub pid: i32,
    /// Where its own code begins, after the loader; `None` for a program of another ABI.
    pub entry: Option<u64>,
    /// To be asked when `pid` stands at `entry`, or at once when there is none; an error is a reason to end
    /// the program.
    pub check: &'a dyn Fn(i32) -> Result<(), String>,
}

/// What an observer returns.
#[derive(Clone, Debug)]
pub struct Followed<R> {
    /// How the root ended.
    pub end: End,
    /// Its own filter ended it: an exit stop, no signal stop before it, at registers that the
    /// filter kills.
    pub denied: bool,
    /// Why the observer ended it, when it did.
    pub refused: Option<String>,
    /// What the kernel accounted to the root.
    pub usage: wait::Usage,
    /// What was seen.
    pub report: R,
}

/// Follows a program and all that it starts. It runs in the thread that traces.
pub trait Observer {
    /// What it saw.
    type Report;
    /// Lets the program run to its end and reaps it, and every other tracee. An error leaves the
    /// program to be killed.
    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Self::Report>, portcullis_sys::Error>;
}

/// Starts the program of `plan` behind `filter` and gives the verdict when it ended. The calling
/// thread is its tracer; when that thread ends, the kernel kills the program.
///
/// An error means that nothing of the program has run, or that following it failed and it was
/// killed. One launch at a time in a process, because the process's signal handlers are changed.
pub fn launch<O: Observer>(
    plan: &Plan,
    filter: ArmedFilter,
    observer: &mut O,
) -> Result<Verdict<O::Report>, Error> {
    process::set_dumpable(false)?;
    let arguments = CStringArray::new(plan.arguments.clone());
    let environment = CStringArray::new(plan.environment.clone());
    let forwarding = Forwarding::install()?;
    let (up_read, up) = process::pipe()?;
    let (down, down_write) = process::pipe()?;
    let mask = signal::block_all()?;
    // The program and the pipes are close-on-exec.
    let own = [
        plan.program.file().as_raw_fd(),
        up.as_raw_fd(),
        down.as_raw_fd(),
    ];
    let mut open = [plan.keep.as_slice(), &own].concat();
    open.sort_unstable();
    let prepared = Prepared {
        program: plan.program.file().as_fd(),
        arguments: &arguments,
        environment: &environment,
        filter: &filter,
        keep: &plan.keep,
        open: &open,
        mask: &mask,
        signals: &forwarding.before(),
        up,
        down,
    };
    let created = child::create(&prepared);
    // The child has its copies: the secret is wiped here, and its ends of the pipes are closed.
    let Prepared { up, down, .. } = prepared;
    drop((up, down, filter));
    signal::set_mask(&mask)?;
    let (pid, pidfd) = created?;
    forwarding.target(pidfd.as_fd());

    let started = Instant::now();
    let mut guard = KillOnDrop { pid, armed: true };
    start(pid, up_read, down_write)?;
    compare_program(plan, pid)?;
    let root = Root {
        pid,
        entry: entry(pid)?,
        check: &|pid| mapped::compare(pid, &plan.program, &plan.mapped, plan.unlisted),
    };
    let followed = observer.follow(root)?;
    guard.armed = false;
    let wall = started.elapsed();
    drop(forwarding);

    let outcome = match (followed.refused, followed.denied, followed.end) {
        (Some(reason), _, _) => Outcome::Failed(reason),
        (None, true, _) => Outcome::Denied,
        (None, false, End::Exited(code)) => Outcome::Exited(code),
        (None, false, End::Signaled(signal)) => Outcome::Signaled(signal),
    };
    Ok(Verdict {
        mode: plan.mode,
        outcome,
        enforced: plan.enforced(),
        not_enforced: plan.not_enforced(),
        usage: Usage {
            cpu_ns: followed.usage.cpu_ns,
            wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
            peak_memory_bytes: followed.usage.peak_memory_bytes,
        },
        report: followed.report,
    })
}

/// Kills and reaps a child that this thread traces, unless it was disarmed.
struct KillOnDrop {
    pid: i32,
    armed: bool,
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if !self.armed || process::kill_unreaped(self.pid).is_err() {
            return;
        }
        // A kill does not wake a task that stands at its exit stop already. Fails when it runs.
        let _ = ptrace::resume(self.pid, 0);
        while let Ok(Some((pid, change))) = wait::next_of(self.pid) {
            match change {
                Change::Stopped(_) => {
                    // Fails only when the kill overtook the stop.
                    let _ = ptrace::resume(pid, 0);
                }
                Change::Ended(..) => break,
            }
        }
    }
}

/// From the child's first word to its exec stop.
fn start(pid: i32, up: OwnedFd, down: OwnedFd) -> Result<(), Error> {
    let mut first = [0; COMPLAINT];
    match process::read_message(up.as_fd(), &mut first)? {
        1 if first[0] == READY => {}
        COMPLAINT => return Err(complaint(&first)),
        _ => return Err(Error::EndedEarly("it said nothing".to_owned())),
    }
    ptrace::seize(pid, Options::LAUNCHER)?;
    ptrace::interrupt(pid)?;
    let mut told = false;
    let mut executing = false;
    loop {
        let Some((_, change)) = wait::next_of(pid)? else {
            return Err(Error::EndedEarly("it is gone".to_owned()));
        };
        let stop = match change {
            Change::Stopped(stop) => stop,
            Change::Ended(end, _) => return Err(ended_early(end, &up)),
        };
        if !told {
            // Stopped and traced: what it does from here on is seen.
            process::write_message(down.as_fd(), b"G")?;
            told = true;
        }
        let signal = match stop {
            Stop::Event(event::EXEC, _) => return Ok(()),
            Stop::Syscall => {
                match ptrace::syscall_info(pid)?.at {
                    SyscallStop::Entry { number, .. } => {
                        executing = number == libc::SYS_execveat as u64;
                    }
                    // A killed call "returns" its number, before the signal ends the task.
                    SyscallStop::Exit { value } if executing && value < 0 => {
                        return Err(exec_failed(value));
                    }
                    _ => {}
                }
                0
            }
            Stop::Event(event::EXIT, _) => {
                let status = ptrace::event_message(pid)?;
                if executing && status & 0x7f == libc::SIGSYS as u64 {
                    return Err(Error::FilterRefusedLaunch);
                }
                0
            }
            Stop::Signal(signal) => signal,
            Stop::Event(..) => 0,
        };
        ptrace::resume_to_syscall(pid, signal)?;
    }
}

fn exec_failed(value: i64) -> Error {
    let errno = i32::try_from(-value).unwrap_or(0);
    Error::Child {
        step: STEPS[6],
        reason: std::io::Error::from_raw_os_error(errno),
    }
}

fn complaint(message: &[u8; COMPLAINT]) -> Error {
    let errno = i32::from_le_bytes([message[1], message[2], message[3], message[4]]);
    Error::Child {
        step: STEPS
            .get(usize::from(message[0]))
            .copied()
            .unwrap_or("start"),
        reason: std::io::Error::from_raw_os_error(errno),
    }
}

/// The child's own word, when it left one, or how it ended.
fn ended_early(end: End, up: &OwnedFd) -> Error {
    let mut message = [0; COMPLAINT];
    match process::read_message(up.as_fd(), &mut message) {
        Ok(COMPLAINT) => complaint(&message),
        _ => Error::EndedEarly(match end {
            End::Exited(code) => format!("code {code}"),
            End::Signaled(signal) => format!("signal {signal}"),
        }),
    }
}

/// The exec took the file that was opened, and that file is as it was.
fn compare_program(plan: &Plan, pid: i32) -> Result<(), Error> {
    let path = PathBuf::from(format!("/proc/{pid}/exe"));
    let seen = Identity::of_path(&path).map_err(|reason| Error::Read { path, reason })?;
    plan.program.still(&seen)
}

/// `AT_ENTRY` of the auxiliary vector that the kernel made at the exec. A program of another ABI has a
/// vector of words of another size, in which nothing is found.
fn entry(pid: i32) -> Result<Option<u64>, Error> {
    const AT_NULL: u64 = 0;
    const AT_ENTRY: u64 = 9;
    let path = PathBuf::from(format!("/proc/{pid}/auxv"));
    let mut bytes = Vec::new();
    // The kernel's vector has about 20 pairs.
    File::open(&path)
        .and_then(|f| f.take(4096).read_to_end(&mut bytes))
        .map_err(|reason| Error::Read { path, reason })?;
    let mut pairs = bytes
        .chunks_exact(16)
        .map(|pair| {
            let word =
                |at: usize| u64::from_ne_bytes(pair[at..at + 8].try_into().unwrap_or([0; 8]));
            (word(0), word(8))
        })
        .take_while(|(kind, _)| *kind != AT_NULL);
    let entry = pairs.find(|(kind, _)| *kind == AT_ENTRY);
    Ok(entry.map(|(_, value)| value))
}

const _: () = assert!(seccomp::MAX_INSTRUCTIONS <= u16::MAX as usize);
