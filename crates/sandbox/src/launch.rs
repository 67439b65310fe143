//! Creates the child, becomes its tracer, sees the exec happen, and hands over to the observer.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use portcullis_sys::ptrace;
use portcullis_sys::signal::Forwarding;
use portcullis_sys::wait::{self, Change, End, Stop, event};
use portcullis_sys::{process, seccomp};

use crate::Error;
use crate::cgroup::{Counted, Group, Shortage};
use crate::child::{COMPLAINT, EXECUTES, LONGEST, STEPS};
use crate::handed::EXECUTING;
use crate::identity::Identity;
use crate::mapped;
use crate::plan::Plan;
use crate::relay::Relay;
use crate::started::{For, Last, Started, complaint, prepare, seize};
use crate::verdict::{Outcome, Reached, Usage, Verdict};
use crate::watchdog::{self, Fired, Watched};

/// A program that stands at its exec stop: its image is loaded, none of its code has run.
pub struct Root<'a> {
    /// Its process, a tracee of the calling thread with [`LAUNCHER`](ptrace::Options::LAUNCHER).
    pub pid: i32,
    /// Where its own code begins, after the loader; `None` for a program of another ABI.
    pub entry: Option<u64>,
    /// The first process of its namespaces, a child of the calling thread that nobody traces and that sends no signal
    /// at its end. It ends after the program; who kills it and reaps it ends all.
    pub init: Option<i32>,
    /// What its limits of processor time, memory and processes are kept by, when there are any.
    pub group: Option<&'a Group>,
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
    /// A filter that the program installed ended it: such a stop at registers that the policy lets be.
    pub own_filter: bool,
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

/// A function that follows.
impl<F, R> Observer for F
where
    F: FnMut(Root<'_>) -> Result<Followed<R>, portcullis_sys::Error>,
{
    type Report = R;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<R>, portcullis_sys::Error> {
        self(root)
    }
}

/// Starts the program of `plan` behind the filter of `last`, which is asked while the program's namespaces and mounts
/// are made, and gives the verdict when it ended. The calling thread is its tracer; when that thread ends, the kernel
/// kills the program.
///
/// An error means that nothing of the program has run, or that following it failed and it was
/// killed. One launch at a time in a process, because the process's signal handlers are changed:
/// a process with other things to do starts programs by [`Command`](crate::Command).
pub fn launch<O: Observer, L: Into<Last>>(
    plan: &Plan,
    last: impl FnOnce() -> Result<L, Error>,
    observer: &mut O,
) -> Result<Verdict<O::Report>, Error> {
    let forwarding = Forwarding::install()?;
    let verdict = from_start_to_end(plan, last, For::Command(&forwarding), observer)?;
    drop(forwarding);
    Ok(verdict)
}

/// Like [`launch`], in a process that has other things to do, other launches in other threads among them: no handler of
/// a signal is changed, and none of its signals is the program's. What [`Command`](crate::Command) says of the process
/// holds here too; that is this with a plan, a filter and a thread of its own.
pub fn launch_embedded<O: Observer, L: Into<Last>>(
    plan: &Plan,
    last: impl FnOnce() -> Result<L, Error>,
    observer: &mut O,
) -> Result<Verdict<O::Report>, Error> {
    from_start_to_end(plan, last, For::Embedder, observer)
}

fn from_start_to_end<O: Observer, L: Into<Last>>(
    plan: &Plan,
    last: impl FnOnce() -> Result<L, Error>,
    on_behalf: For<'_>,
    observer: &mut O,
) -> Result<Verdict<O::Report>, Error> {
    let mut started = prepare(plan, last, on_behalf, None)?;
    let began = Instant::now();
    let_go(plan, &mut started)?;
    until_exec(plan, &started)?;
    judge(plan, &mut started, began, observer)
}

/// From the exec stop of a program to its end. Nothing of it is left then; its namespaces may be.
pub(crate) fn judge<O: Observer>(
    plan: &Plan,
    started: &mut Started,
    began: Instant,
    observer: &mut O,
) -> Result<Verdict<O::Report>, Error> {
    compare_program(plan, started.pid)?;
    let root = Root {
        pid: started.pid,
        // In an empty root is no loader.
        entry: match plan.confinement.empty {
            true => None,
            false => entry(started.pid)?,
        },
        init: started.init,
        group: started.group.as_ref(),
        check: &|pid| mapped::compare(pid, &plan.program, &plan.mapped, plan.unlisted),
    };
    let fired = Arc::new(Fired::default());
    let relay = started.relay.take();
    let followed = watched(plan, (started, relay), began, &fired, || {
        observer.follow(root)
    })?;
    let below = started.hear_alone()?;
    let wall = began.elapsed();

    let group = started.group.as_ref();
    // It forgets the peak.
    let peak = group.and_then(Group::peak_memory);
    let shortage = group.and_then(|group| group.shortage(&mut Counted::default()));
    let limit = match followed.end {
        End::Signaled(libc::SIGKILL) => {
            let memory = shortage.is_some_and(|shortage| shortage.of_limit() > 0);
            fired.name().or(memory.then_some("memory"))
        }
        _ => fired.cut(),
    };
    let outcome = match (followed.refused, followed.denied, followed.end, limit) {
        (Some(reason), ..) => Outcome::Failed(reason),
        (None, true, ..) => Outcome::Denied,
        _ if fired.unbounded() => Outcome::Unbounded,
        (None, ..) if followed.own_filter => Outcome::OwnFilter,
        (None, false, _, Some(limit)) => Outcome::Limit(limit),
        (None, false, End::Exited(code), None) => Outcome::Exited(code),
        (None, false, End::Signaled(signal), None) => Outcome::Signaled(signal),
    };
    let reached = group.map_or(Vec::new(), |group| reached(group, shortage, &outcome));
    Ok(Verdict {
        mode: plan.mode,
        outcome,
        reached,
        shortage,
        enforced: plan.enforced(),
        not_enforced: plan.not_enforced(),
        usage: Usage {
            cpu_ns: group
                .and_then(Group::cpu_ns)
                .or(below)
                .unwrap_or(followed.usage.cpu_ns),
            wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
            peak_memory_bytes: peak.unwrap_or(followed.usage.peak_memory_bytes),
        },
        report: followed.report,
    })
}

/// The limits of `group` that something of the run came up against, but for the one that ended it.
fn reached(group: &Group, shortage: Option<Shortage>, outcome: &Outcome) -> Vec<Reached> {
    let counts = [
        ("processes", group.refused_tasks()),
        ("memory", shortage.map_or(0, Shortage::of_limit)),
    ];
    let all = counts
        .into_iter()
        .map(|(limit, count)| Reached { limit, count });
    all.filter(|r| r.count > 0 && *outcome != Outcome::Limit(r.limit))
        .collect()
}

/// Does `follow` while the limits of time are watched and output is passed on, if there are any.
fn watched<T>(
    plan: &Plan,
    (started, relay): (&Started, Option<Relay>),
    began: Instant,
    fired: &Arc<Fired>,
    follow: impl FnOnce() -> Result<T, portcullis_sys::Error>,
) -> Result<T, Error> {
    let group = started.group.as_ref();
    let timed = plan.bounds.wall.is_some() || plan.bounds.cpu.is_some() || group.is_some();
    if !timed && relay.is_none() {
        return Ok(follow()?);
    }
    let (stop, stopped) = process::pipe()?;
    let of_run = started.init.into_iter().chain([started.pid]);
    let processes: Vec<Watched> = of_run.map(Watched::new).collect::<Result<_, _>>()?;
    std::thread::scope(|scope| {
        if timed {
            scope.spawn(|| watchdog::watch(&plan.bounds, group, began, &processes, &stop, fired));
        }
        let passing = match (relay, plan.bounds.output) {
            (Some(relay), Some(most)) => {
                let (first, stop) = (copy(processes[0].handle())?, copy(&stop)?);
                Some(relay.begin(most, first, stop, Arc::clone(fired))?)
            }
            _ => None,
        };
        let followed = follow();
        drop(stopped);
        if let Some(passing) = passing {
            passing.finish();
        }
        Ok(followed?)
    })
}

fn copy(descriptor: &OwnedFd) -> Result<OwnedFd, Error> {
    descriptor.try_clone().map_err(|reason| Error::Read {
        path: "a descriptor".into(),
        reason,
    })
}

/// Becomes the tracer of the child, which waits, and lets it go on: to its exec stop, or to its job. What it sees is
/// proved meanwhile.
pub(crate) fn let_go(plan: &Plan, started: &mut Started) -> Result<(), Error> {
    // From here on an exec stops it, and it ends with this thread; it need not stop before (ptrace(2)).
    seize(plan, started.pid)?;
    process::write_message(started.down.as_fd(), b"G")?;
    started.prove(plan)
}

/// From the child's first word to its exec stop. It runs freely: its filter may let it say nothing in the end, so
/// how far it came is in memory that both have.
pub(crate) fn until_exec(plan: &Plan, started: &Started) -> Result<(), Error> {
    let pid = started.pid;
    loop {
        let Some((_, change)) = wait::next_of(pid)? else {
            return Err(Error::EndedEarly("it is gone".to_owned()));
        };
        let stop = match change {
            Change::Stopped(stop) => stop,
            Change::Ended(end, _) => return Err(ended_early(plan, end, &started.up)),
        };
        let signal = match stop {
            Stop::Event(event::EXEC, _) => return Ok(()),
            Stop::Event(event::EXIT, _) => {
                let status = match ptrace::event_message(pid) {
                    Err(e) if e.is_gone() => continue,
                    other => other?,
                };
                match started.handed.exec() {
                    0 => 0,
                    EXECUTING if status & 0x7f == libc::SIGSYS as u64 => {
                        return Err(Error::FilterRefusedLaunch);
                    }
                    // The kernel ended it in the middle of the exec.
                    EXECUTING => 0,
                    number => return Err(exec_failed(number)),
                }
            }
            Stop::Signal(signal) => signal,
            Stop::Event(..) | Stop::Syscall => 0,
        };
        match ptrace::resume(pid, signal) {
            // Killed where it stood.
            Err(e) if e.is_gone() => {}
            other => other?,
        }
    }
}

fn exec_failed(number: u64) -> Error {
    let errno = i32::try_from(number).unwrap_or(0);
    Error::Child {
        step: STEPS[usize::from(EXECUTES)],
        reason: std::io::Error::from_raw_os_error(errno),
    }
}

/// The child's own word, when it left one, or how it ended.
fn ended_early(plan: &Plan, end: End, up: &OwnedFd) -> Error {
    let mut message = [0; LONGEST];
    match process::read_message(up.as_fd(), &mut message) {
        Ok(COMPLAINT) => complaint(plan, &message),
        _ => Error::EndedEarly(match end {
            End::Exited(code) => format!("code {code}"),
            End::Signaled(signal) => format!("signal {signal}"),
        }),
    }
}

/// The exec took the file that was opened, and that file is as it was.
fn compare_program(plan: &Plan, pid: i32) -> Result<(), Error> {
    let path = PathBuf::from(format!("/proc/{pid}/exe"));
    match Identity::of_path(&path) {
        Ok(seen) => plan.program.still(&seen),
        // It was killed where it stands, and executes nothing any more: its end is what is told of it.
        Err(reason) if reason.kind() == ErrorKind::NotFound => Ok(()),
        Err(reason) => Err(Error::Read { path, reason }),
    }
}

/// Where the program's own code begins after its loader: `AT_ENTRY` of the auxiliary vector that the kernel made at
/// the exec. Without a loader (`AT_BASE` is 0) all that will be mapped at first is mapped already, and there is
/// nothing to wait for. A program of another ABI has a vector of words of another size, in which nothing is found.
fn entry(pid: i32) -> Result<Option<u64>, Error> {
    const AT_NULL: u64 = 0;
    const AT_BASE: u64 = 7;
    const AT_ENTRY: u64 = 9;
    let path = PathBuf::from(format!("/proc/{pid}/auxv"));
    // The kernel's vector has about 20 pairs.
    let mut bytes = Vec::with_capacity(1024);
    File::open(&path)
        .and_then(|f| f.take(4096).read_to_end(&mut bytes))
        .map_err(|reason| Error::Read { path, reason })?;
    let pairs = bytes
        .chunks_exact(16)
        .map(|pair| {
            let word =
                |at: usize| u64::from_ne_bytes(pair[at..at + 8].try_into().unwrap_or([0; 8]));
            (word(0), word(8))
        })
        .take_while(|(kind, _)| *kind != AT_NULL);
    let of = |wanted: u64| {
        let mut pairs = pairs.clone();
        pairs
            .find(|(kind, _)| *kind == wanted)
            .map(|(_, value)| value)
    };
    Ok(of(AT_ENTRY).filter(|_| of(AT_BASE) != Some(0)))
}

const _: () = assert!(seccomp::MAX_INSTRUCTIONS <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use portcullis_sys::seccomp::SockFilter;

    use super::*;
    use crate::{ArmedFilter, Confinement, Cookie, Features, Program, Spec};

    /// Of this executable, which says which tests it has, without what is to be hidden.
    fn plan(hidden: &[&str], output: Option<OwnedFd>) -> Plan {
        let mut confinement = Confinement::new(PathBuf::from("/"));
        confinement.hide = hidden.iter().map(PathBuf::from).collect();
        let program = Program::open(&std::env::current_exe().unwrap()).unwrap();
        let mut spec = Spec::new(program, confinement);
        spec.arguments.push("--list".into());
        spec.standard[1] = output;
        Plan::new(spec, &Features::probe()).unwrap()
    }

    #[test]
    fn a_program_that_sees_what_its_plan_does_not_say_is_ended_before_it_runs() {
        let allow = SockFilter {
            code: 6,
            k: seccomp::RET_ALLOW,
            ..SockFilter::default()
        };
        let ended = |hidden: &[&str]| {
            let (output, written) = process::pipe().unwrap();
            let made = plan(&[], Some(written));
            let filter = || ArmedFilter::new(vec![allow], Cookie::random()?);
            let mut started = prepare(&made, filter, For::Embedder, None).unwrap();
            let init = started.init.unwrap();
            let gone = let_go(&plan(hidden, None), &mut started)
                .and_then(|()| until_exec(&made, &started))
                .map_err(|error| error.to_string());
            drop((started, made));
            assert!(process::handle(init).is_err());
            let mut said = String::new();
            File::from(output).read_to_string(&mut said).unwrap();
            assert_eq!(said, "");
            gone
        };
        assert_eq!(ended(&[]), Ok(()));
        let other = ended(&["/lib"]).unwrap_err();
        assert!(other.contains("is not mounted"), "{other}");
    }
}
