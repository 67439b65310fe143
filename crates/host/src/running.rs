//! One job, from the order to the evidence: what the host sees of it from outside.

use std::borrow::Cow;
use std::cell::Cell;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_sandbox::{Forks, Meter, Shortage};
use portcullis_sys::pidfd::{self, Known};
use portcullis_sys::process;
use portcullis_sys::wait::End;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use crate::course::Course;
use crate::directory::Taken;
use crate::error::Error;
use crate::frame;
use crate::job::Job;
use crate::leash::Leash;
use crate::limits::Limits;
use crate::outcome::{Evidence, JobError, Limit, Outcome, judge};
use crate::output::{Listener, Seen};
use crate::secret;
use crate::victim::Victim;
use crate::wire::{self, Answer, Message, Order, Placed};

/// A job that was run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// The class.
    pub outcome: Outcome,
    /// What it wrote to standard output, up to its limit; nothing when it was passed on.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, in the same way.
    pub stderr: Vec<u8>,
    /// The files that were asked for, in that order; none of a job that was not begun.
    pub files: Vec<Taken>,
    /// How its process ended, from the kernel.
    pub end: Option<End>,
    /// The kernel told that to its tracer, and not over a handle.
    pub traced: bool,
    /// Processor time, in nanoseconds, from the kernel.
    pub cpu_ns: u64,
    /// Of whom that is; nobody where nothing ran.
    pub cpu_of: Option<CpuOf>,
    /// From the order to its end, in nanoseconds.
    pub wall_ns: u64,
    /// The most memory that it had.
    pub peak_memory_bytes: u64,
    /// Who counted that, and of whom; nobody where nothing ran.
    pub peak_memory_of: Option<PeakOf>,
    /// Of a native program, calls outside its policy that its tracer saw, whatever became of them, and how often.
    pub denials: Vec<(String, u64)>,
    /// Limits that something of it came up against without being ended for it, by the counters of its cgroup, and how
    /// often: tasks that were not made, processes that were ended for memory.
    pub reached: Vec<(&'static str, u64)>,
}

/// Whose processor time was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuOf {
    /// All that was in the job's own control group.
    Job,
    /// The job's process.
    Process,
    /// A native program: all that was in its control group, or, where it had none, that was reaped.
    Program,
}

impl CpuOf {
    /// In documents.
    pub fn name(self) -> &'static str {
        match self {
            CpuOf::Job => "job",
            CpuOf::Process => "process",
            CpuOf::Program => "program",
        }
    }
}

/// Whose the memory is that a peak is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeakOf {
    /// The job, which was alone in a control group of its own: what it has not from its worker.
    Job,
    /// The job's process, with what it has from its worker: the worker passes it on.
    Process,
    /// The worker and the job, who were alone in a control group: it was reset before the job.
    WorkerAndJob,
    /// A native program: all that was in its control group, or, where it had none, its first process.
    Program,
}

impl PeakOf {
    /// In documents.
    pub fn name(self) -> &'static str {
        match self {
            PeakOf::Job => "job",
            PeakOf::Process => "process",
            PeakOf::WorkerAndJob => "worker+job",
            PeakOf::Program => "program",
        }
    }
}

impl Done {
    /// One that did not come to an end of its own, because of the host.
    pub(crate) fn failed(reason: String) -> Done {
        Done::without_process(Outcome::Infra(reason))
    }

    /// One that nobody wanted any more before it was begun.
    pub(crate) fn called_off() -> Done {
        Done::without_process(Outcome::Ambiguous("it was called off".to_owned()))
    }

    /// One whose artifact the engine does not take.
    pub(crate) fn refused(reason: String) -> Done {
        Done::without_process(Outcome::JobError(JobError::Refused(reason)))
    }

    pub(crate) fn without_process(outcome: Outcome) -> Done {
        Done {
            outcome,
            stdout: Vec::new(),
            stderr: Vec::new(),
            files: Vec::new(),
            end: None,
            traced: false,
            cpu_ns: 0,
            cpu_of: None,
            wall_ns: 0,
            peak_memory_bytes: 0,
            peak_memory_of: None,
            denials: Vec::new(),
            reached: Vec::new(),
        }
    }
}

/// How long a worker may take for what takes microseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How many messages are taken between two looks at the clock.
const PORTION: usize = 64;

/// What is needed of a worker to run jobs.
pub(crate) struct Bench<'a> {
    /// The worker's end of the talk.
    pub(crate) control: &'a UnixStream,
    /// Its number; jobs are its children.
    pub(crate) worker: i32,
    /// A handle to the first process of its namespaces, with which everything there ends.
    pub(crate) first: BorrowedFd<'a>,
    /// The group of its jobs, where there is one.
    pub(crate) forks: Option<&'a Forks>,
    /// Its jobs are in that, as far as it said.
    pub(crate) apart: Cell<bool>,
    /// Of its own group, where memory is counted.
    pub(crate) meter: Option<&'a Meter>,
    /// Whom the kernel ends first for want of memory.
    pub(crate) victim: Option<&'a Victim>,
    /// Who is there without a job, by their numbers.
    pub(crate) always: &'a [i32],
    /// What the kernel has ended of its group for want of memory since this was asked last.
    pub(crate) shortage: &'a dyn Fn() -> Shortage,
    /// Whether it was not ended for want of its group. Asked when it is gone.
    pub(crate) is_bounded: &'a dyn Fn() -> bool,
}

/// What the pool has to do with one attempt.
pub(crate) struct Hold<'a> {
    pub(crate) leash: &'a Leash,
    /// Who hears what it writes while it runs.
    pub(crate) listener: Option<&'a Listener>,
    pub(crate) course: &'a mut Course,
}

/// Runs `job` until its end, or until its leash is pulled; `true`: the worker can have another one. An error means that it
/// cannot, and that the job may have begun.
pub(crate) fn run(bench: &Bench<'_>, job: &Job, hold: Hold<'_>) -> Result<(Done, bool), Error> {
    let Hold {
        leash,
        listener,
        course,
    } = hold;
    let began = Instant::now();
    // What cannot be counted is not refused: the result says whose word it is.
    let own = bench.forks.filter(|_| bench.apart.get());
    let of_own = own.and_then(Forks::meter);
    let meter = of_own.or(bench.meter);
    let meter = meter.filter(|meter| meter.forget().is_ok());
    let Started {
        handle,
        results,
        apart,
    } = start(bench, job, listener.is_some())?;
    let handle = match handle {
        Ok(handle) => Arc::new(handle),
        Err(reason) => {
            // Its tasks are bounded: those of others may be too many.
            alone(bench, None)?;
            return Ok((Done::failed(reason), true));
        }
    };
    let pid = match pidfd::known(handle.as_fd())? {
        Known::There { pid, parent } if parent == bench.worker => pid,
        other => {
            return Err(Error::Worker(format!(
                "gave a handle to what is not its child: {other:?}"
            )));
        }
    };
    // The job is there, or was and is not reaped.
    let is_alone = alone(bench, Some(pid))?;
    bench.apart.set(apart);
    let own = own.filter(|_| apart);
    let scope = match of_own {
        // Where it is not in that group nothing was measured of it.
        Some(_) => own
            .and_then(Forks::has_one)
            .filter(|one| *one)
            .map(|_| PeakOf::Job),
        None => Some(PeakOf::WorkerAndJob),
    };
    // Without the others nobody can tell that it is the job.
    let scope = scope.filter(|_| is_alone);
    course.ends("set-up");
    let mut seen = Seen::new(&job.limits, leash, listener).wanting(job.wanted.len());
    leash.hold(Arc::clone(&handle));
    let clock = Clock {
        pid,
        began,
        limits: &job.limits,
    };
    let followed = follow(bench, &handle, &results, &clock, leash, &mut seen);
    leash.let_go();
    let gone_first = followed?;
    course.ends("run");
    let wall_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let cpu_ns = pidfd::cpu_ns(pid).unwrap_or(0);
    // A worker that is killed can be outlived by its job for a moment, and that by its worker's init.
    let reaped = match gone_first {
        true => None,
        false => reap(bench).ok(),
    };
    let end = match pidfd::known(handle.as_fd()) {
        Ok(Known::Gone(end)) => Some(end),
        _ => None,
    };
    let of_group = own.map_or(0, |own| own.cpu_ns().unwrap_or(0));
    let (cpu_ns, cpu_of) = match of_group {
        0 => (cpu_ns, CpuOf::Process),
        // In microseconds.
        all => (all.max(cpu_ns), CpuOf::Job),
    };
    if let Some(own) = own.filter(|_| reaped.is_some()) {
        left(own)?;
    }
    // Before what is short is asked, which forgets it in version 1.
    let counted = meter
        .zip(scope)
        .and_then(|(meter, of)| Some((meter.peak().ok()?, of)));
    let peak = counted.or(reaped.map(|bytes| (bytes, PeakOf::Process)));
    // A job is one process: where it was not killed nothing was ended.
    let shortage = match end {
        Some(End::Signaled(libc::SIGKILL)) => (bench.shortage)(),
        _ => Shortage::default(),
    };
    // One that was faster than the look at its clock.
    let over_cpu = Duration::from_nanos(cpu_ns) > job.limits.cpu;
    let evidence = Evidence {
        end,
        over: seen.over.or(over_cpu.then_some(Limit::Cpu)),
        shortage,
        worker_gone: reaped.is_none(),
        unbounded: reaped.is_none() && !(bench.is_bounded)(),
        called_off: leash.is_pulled(),
        malformed: seen.malformed,
        said: seen.said,
    };
    let whole = evidence.said.is_some() && !evidence.malformed;
    let files = job.wanted.iter().cloned().zip(seen.files.end(whole));
    let files = files.map(|(name, content)| Taken { name, content });
    let files = files.collect();
    let [stdout, stderr] = seen.kept;
    let done = Done {
        outcome: judge(&evidence),
        stdout,
        stderr,
        files,
        end,
        traced: false,
        cpu_ns,
        cpu_of: Some(cpu_of),
        wall_ns,
        peak_memory_bytes: peak.map_or(0, |(bytes, _)| bytes),
        peak_memory_of: peak.map(|(_, of)| of),
        denials: Vec::new(),
        reached: Vec::new(),
    };
    Ok((done, reaped.is_some()))
}

/// A job that was asked for.
struct Started {
    /// To its process, or why there is none.
    handle: Result<OwnedFd, String>,
    /// Where its results come.
    results: OwnedFd,
    /// It is in the group of jobs, says the worker.
    apart: bool,
}

fn start(bench: &Bench<'_>, job: &Job, at_once: bool) -> Result<Started, Error> {
    let (results, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(std::io::Error::from)?;
    let placed = job.files.iter().map(|file| Placed {
        name: file.name.clone(),
        length: file.bytes.len() as u64,
        executable: file.executable,
    });
    let order = Order::Run {
        arguments: job.arguments.clone(),
        environment: job.environment.clone(),
        files: placed.collect(),
        wanted: job.wanted.clone(),
        memory: job.limits.memory,
        output: job.limits.output,
        fuel: job.limits.fuel,
        at_once,
        secrets: u8::try_from(job.secrets.len()).unwrap_or(u8::MAX),
    };
    secret::tell(&results, &job.secrets)?;
    bench.victim.inspect(|victim| victim.mark_forks());
    wire::send(bench.control, &order, &body(job), Some(theirs.as_fd()))?;
    drop(theirs);
    let answer = answer(bench)?;
    bench.victim.inspect(|victim| victim.spare_worker());
    let (handle, apart) = match answer {
        Message {
            head: Answer::Started { apart },
            descriptor: Some(handle),
            ..
        } => (Ok(handle), apart),
        Message {
            head: Answer::NotStarted(errno),
            ..
        } => {
            let reason = std::io::Error::from_raw_os_error(errno);
            (Err(format!("the worker cannot fork: {reason}")), false)
        }
        _ => return Err(Error::Worker("answered something else".to_owned())),
    };
    Ok(Started {
        handle,
        results,
        apart,
    })
}

/// Whether it is known that nobody is in the worker's group but who always is and `job`; an error when others are.
fn alone(bench: &Bench<'_>, job: Option<i32>) -> Result<bool, Error> {
    let mut known = bench.always.to_vec();
    known.extend(job);
    match bench.meter.map(|meter| meter.is_shared(&known)) {
        Some(Ok(true)) => Err(Error::Worker(
            "is not alone in its control group: others are there than its init, itself and the job"
                .to_owned(),
        )),
        Some(Ok(false)) => Ok(true),
        // Where the group was taken away, it is ended for that.
        Some(Err(_)) | None => Ok(false),
    }
}

/// The group of jobs is used again for the next one: nothing of this one may be there, which has ended and was reaped.
fn left(group: &Forks) -> Result<(), Error> {
    match group.is_empty() {
        Ok(true) => Ok(()),
        Ok(false) => {
            group.kill();
            Err(Error::Worker(
                "has processes in the group of its jobs when the job has ended".to_owned(),
            ))
        }
        Err(error) => Err(Error::Worker(format!(
            "cannot be seen to be alone: the group of its jobs: {error}"
        ))),
    }
}

/// Its input, and then its files.
fn body(job: &Job) -> Cow<'_, [u8]> {
    match &job.files[..] {
        [] => Cow::Borrowed(&job.input),
        files => {
            let files = files.iter().map(|file| file.bytes.as_slice());
            let parts: Vec<&[u8]> = [job.input.as_slice()].into_iter().chain(files).collect();
            Cow::Owned(parts.concat())
        }
    }
}

fn answer(bench: &Bench<'_>) -> Result<Message<Answer>, Error> {
    match wire::receive(bench.control, 0)? {
        Some(message) => Ok(message),
        None => Err(Error::Worker("ended".to_owned())),
    }
}

fn reap(bench: &Bench<'_>) -> Result<u64, Error> {
    wire::send(bench.control, &Order::Reap, &[], None)?;
    match answer(bench)?.head {
        Answer::Reaped { peak_memory } => Ok(peak_memory),
        _ => Err(Error::Worker("answered something else".to_owned())),
    }
}

/// What a job's limits of time are held against.
struct Clock<'a> {
    pid: i32,
    began: Instant,
    limits: &'a Limits,
}

/// Until the job's process has ended, by itself or because it was over a limit or called off. Whether the worker went
/// first.
fn follow(
    bench: &Bench<'_>,
    handle: &OwnedFd,
    results: &OwnedFd,
    clock: &Clock<'_>,
    leash: &Leash,
    seen: &mut Seen<'_>,
) -> Result<bool, Error> {
    let mut message = vec![0; frame::MOST + 1];
    let mut hears = true;
    let mut killed = false;
    loop {
        let mut next = match clock.left() {
            Ok(left) => left,
            Err(limit) => {
                seen.over.get_or_insert(limit);
                Duration::MAX
            }
        };
        if let Some(until) = leash.until() {
            next = next.min(until.saturating_duration_since(Instant::now()));
            if next.is_zero() {
                leash.pull();
            }
        }
        if !killed && (leash.is_pulled() || seen.over.is_some() || seen.malformed) {
            // Fails only when it has ended by itself.
            let _ = process::signal_process(handle.as_fd(), libc::SIGKILL);
            killed = true;
        }
        let next = if killed { PATIENCE } else { next };
        let timeout = Timespec {
            tv_sec: i64::try_from(next.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: next.subsec_nanos().into(),
        };
        let wanted = if hears {
            PollFlags::IN
        } else {
            PollFlags::empty()
        };
        let mut all = [
            PollFd::new(handle, PollFlags::IN),
            PollFd::from_borrowed_fd(bench.first, PollFlags::IN),
            PollFd::new(results, wanted),
        ];
        match poll(&mut all[..if hears { 3 } else { 2 }], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) if killed => {
                return Err(Error::Worker("has a job that cannot be killed".to_owned()));
            }
            other => other.map_err(std::io::Error::from)?,
        };
        let ended = !all[0].revents().is_empty();
        let worker_gone = !all[1].revents().is_empty();
        // What it said before its end is read up before the end counts. While it runs, what it says is taken in
        // portions, so that its clock is looked at however much it says.
        let mut portion = 0;
        while hears && (ended || portion < PORTION) {
            portion += 1;
            match rustix::net::recv(results, message.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((0, _)) => hears = false,
                Ok((_, length)) => hears = seen.take(&message[..length.min(message.len())]),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => hears = false,
            }
        }
        if ended || worker_gone {
            return Ok(!ended);
        }
    }
}

impl Clock<'_> {
    /// Until when the job need not be looked at, or which limit it is over. It has one thread, so its processor time
    /// goes no faster than the clock.
    fn left(&self) -> Result<Duration, Limit> {
        let wall = self.limits.wall.checked_sub(self.began.elapsed());
        let wall = wall.filter(|left| !left.is_zero()).ok_or(Limit::Wall)?;
        // It may just have gone: its handle tells.
        let used = Duration::from_nanos(pidfd::cpu_ns(self.pid).unwrap_or(0));
        let cpu = self.limits.cpu.checked_sub(used);
        let cpu = cpu.filter(|left| !left.is_zero()).ok_or(Limit::Cpu)?;
        Ok(wall.min(cpu))
    }
}
