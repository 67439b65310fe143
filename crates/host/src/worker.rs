//! A worker, as the host has it: a confined program, and the thread that started it and talks to it.
//!
//! The thread is the parent of the worker's namespaces, and everything there ends with it.

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread::JoinHandle;

use portcullis_sandbox::{
    Confinement, Features, Followed, Group, Layer, LayerName, Limits, Missing, Mode, Observer,
    Plan, Root, Spec, Unlisted, launch,
};
use portcullis_sys::wait::{self, Change, End, Usage};
use portcullis_sys::{pidfd, process, ptrace};

use crate::artifact::Artifact;
use crate::error::Error;
use crate::filter;
use crate::image::Image;
use crate::job::Job;
use crate::running::{self, Bench, Done, PATIENCE};
use crate::wire::{self, Answer, Message, Order};

/// What of the machine holds, layer by layer, for a worker and all its jobs.
#[derive(Clone, Debug)]
pub struct Enforced {
    /// What holds.
    pub layers: Vec<Layer>,
    /// What does not, and why.
    pub missing: Vec<Missing>,
}

/// A warm worker with one artifact. Dropped, it ends, and whatever it was doing.
pub struct Worker {
    orders: Option<SyncSender<Asked>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
    enforced: Enforced,
}

/// A job, and where its end is told.
struct Asked {
    job: Job,
    done: SyncSender<Done>,
}

impl Worker {
    /// Starts a worker of `image` and gives it `artifact`. `memory` bounds the worker and its job together; `without`
    /// names layers that are left out.
    ///
    /// An error is a layer that cannot be had, or an artifact that the engine does not take.
    pub fn start(
        image: &Image,
        artifact: Artifact,
        memory: Option<u64>,
        without: &[LayerName],
    ) -> Result<Worker, Error> {
        tells_ends()?;
        let jobs = filter::of_jobs(image.jobs)?;
        let bounds = Limits {
            memory,
            ..Limits::default()
        };
        let (started, plan) = Started::plan(image, bounds, without)?;
        let enforced = Enforced {
            layers: plan.enforced(),
            missing: plan.not_enforced(),
        };
        let (armed, _) = filter::of_worker(image.policy)?;
        let (orders, asked) = sync_channel(0);
        let (ready, is_ready) = sync_channel(1);
        let body = move || {
            let _alone = alone()?;
            let Started { control, theirs } = started;
            let mut keeper = Keeper {
                control: &control,
                theirs: Some(theirs),
                artifact,
                jobs,
                ready,
                asked,
            };
            launch(&plan, || Ok(armed), &mut keeper)?.report
        };
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(body)?;
        let mut worker = Worker {
            orders: Some(orders),
            thread: Some(thread),
            enforced,
        };
        match is_ready.recv() {
            Ok(()) => Ok(worker),
            Err(_) => Err(worker.end().err().unwrap_or_else(|| gone("never began"))),
        }
    }

    /// What holds for its jobs.
    pub fn enforced(&self) -> &Enforced {
        &self.enforced
    }

    /// Runs one job to its end. An error means that the worker is gone; so may be the job.
    pub fn run(&mut self, job: Job) -> Result<Done, Error> {
        let (done, is_done) = sync_channel(1);
        let sent = match &self.orders {
            Some(orders) => orders.send(Asked { job, done }).is_ok(),
            None => false,
        };
        match sent.then(|| is_done.recv()) {
            Some(Ok(done)) => Ok(done),
            _ => Err(self.end().err().unwrap_or_else(|| gone("is gone"))),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        self.orders = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(gone("has a thread that panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.end();
    }
}

/// Whoever holds it is the only one in this process that starts a confined program.
static ONLY: Mutex<()> = Mutex::new(());

/// Until what is returned is dropped nobody else may start one.
pub(crate) fn alone() -> Result<MutexGuard<'static, ()>, Error> {
    match ONLY.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Busy),
        // A thread that panicked has started nothing that is left: its programs ended with it.
        Err(TryLockError::Poisoned(held)) => Ok(held.into_inner()),
        Ok(held) => Ok(held),
    }
}

fn gone(how: &str) -> Error {
    Error::Worker(how.to_owned())
}

/// Whether this kernel tells how a process of another parent ended.
fn tells_ends() -> Result<(), Error> {
    let own = process::handle(std::process::id().cast_signed())?;
    match pidfd::known(own.as_fd()) {
        Ok(_) if is_at_least((6, 15)) => Ok(()),
        _ => Err(Error::Kernel),
    }
}

/// The release of the running kernel against `wanted`. There is no other way to ask whether ends are told: the
/// answer comes only with an end.
fn is_at_least(wanted: (u32, u32)) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map(|n| n.parse::<u32>().ok());
    let have = (numbers.next().flatten(), numbers.next().flatten());
    matches!(have, (Some(major), Some(minor)) if (major, minor) >= wanted)
}

/// What a worker's program is started with.
pub(crate) struct Started {
    /// The host's end of the talk.
    pub(crate) control: UnixStream,
    /// What the program inherits.
    pub(crate) theirs: Inherited,
}

/// The program's end of the talk, and what stands for its standard streams.
pub(crate) type Inherited = (UnixStream, OwnedFd);

impl Started {
    /// The plan of a worker of `image`: an empty root, no network, and only the host to talk to.
    pub(crate) fn plan(
        image: &Image,
        bounds: Limits,
        without: &[LayerName],
    ) -> Result<(Started, Plan), Error> {
        let (control, theirs) = UnixStream::pair()?;
        control.set_read_timeout(Some(PATIENCE))?;
        control.set_write_timeout(Some(PATIENCE))?;
        let null = OwnedFd::from(
            File::options()
                .read(true)
                .write(true)
                .open("/dev/null")
                .map_err(|reason| Error::File {
                    path: "/dev/null".into(),
                    reason,
                })?,
        );
        let keep = vec![theirs.as_raw_fd(), null.as_raw_fd()];
        let mut arguments = vec![image.name.into()];
        arguments.extend(keep.iter().map(|fd| fd.to_string().into()));
        let mut confinement = Confinement::new("/".into());
        confinement.empty = true;
        confinement.without.extend(without.iter().copied());
        confinement.limits = bounds;
        let spec = Spec {
            program: image.seal()?,
            arguments,
            environment: Vec::new(),
            mode: Mode::Enforce,
            traced: false,
            allowed: filter::of_worker(image.policy)?.1,
            mapped: Vec::new(),
            unlisted: Unlisted::Refuse,
            standard: [const { None }; 3],
            keep: sorted(keep),
            confinement,
        };
        let plan = Plan::new(spec, &Features::probe())?;
        let theirs = (theirs, null);
        Ok((Started { control, theirs }, plan))
    }
}

fn sorted(mut numbers: Vec<i32>) -> Vec<i32> {
    numbers.sort_unstable();
    numbers
}

/// Follows the worker instead of a tracer: lets it go, and gives it jobs until there are none.
struct Keeper<'a> {
    control: &'a UnixStream,
    /// The program's ends: open here until it has them, so that its end is seen.
    theirs: Option<Inherited>,
    artifact: Artifact,
    jobs: Vec<wire::Instruction>,
    ready: SyncSender<()>,
    asked: Receiver<Asked>,
}

impl Observer for Keeper<'_> {
    type Report = Result<(), Error>;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Self::Report>, portcullis_sys::Error> {
        let first = released(&root)?;
        drop(self.theirs.take());
        let report = self.serve(&root, &first);
        ended(&root, report)
    }
}

/// Lets the program go that stands at its exec stop; a handle to the first process of its namespaces. That its
/// executable is the sealed one was compared at the stop, and it is static: nothing else can be mapped.
pub(crate) fn released(root: &Root<'_>) -> Result<OwnedFd, portcullis_sys::Error> {
    ptrace::detach(root.pid, 0)?;
    process::handle(root.init.unwrap_or(root.pid))
}

/// Ends what is left of a worker, and reaps it.
pub(crate) fn ended<R>(root: &Root<'_>, report: R) -> Result<Followed<R>, portcullis_sys::Error> {
    let first = root.init.unwrap_or(root.pid);
    process::kill_unreaped(first)?;
    let (end, usage) = loop {
        match wait::next_of(first)? {
            Some((_, Change::Ended(end, usage))) => break (end, usage),
            Some((_, Change::Stopped(_))) => {}
            None => break (End::Signaled(libc::SIGKILL), Usage::default()),
        }
    };
    Ok(Followed {
        end,
        denied: false,
        own_filter: false,
        refused: None,
        usage,
        report,
    })
}

impl Keeper<'_> {
    fn serve(&mut self, root: &Root<'_>, first: &OwnedFd) -> Result<(), Error> {
        self.load()?;
        // Nobody who would not wait for it.
        let _ = self.ready.send(());
        let memory = || root.group.map_or(0, Group::ended_for_memory);
        let bench = Bench {
            control: self.control,
            worker: root.pid,
            first: first.as_fd(),
            ended_for_memory: &memory,
        };
        while let Ok(Asked { job, done }) = self.asked.recv() {
            let it = running::run(&bench, &job)?;
            let gone = it.end.is_none();
            // Who asked may have stopped waiting.
            let _ = done.send(it);
            if gone {
                return Err(gone_with_job());
            }
        }
        Ok(())
    }

    fn load(&self) -> Result<(), Error> {
        let order = Order::Load {
            filter: self.jobs.clone(),
        };
        let artifact = self.artifact.file().as_fd();
        wire::send(self.control, &order, &[], Some(artifact))?;
        let answer = wire::receive(self.control, 0)?;
        match answer.map(|Message { head, .. }| head) {
            Some(Answer::Loaded) => Ok(()),
            Some(Answer::Refused(why)) => Err(Error::Refused(why)),
            Some(_) => Err(gone("answered something else")),
            None => Err(gone("ended before it was given its artifact")),
        }
    }
}

fn gone_with_job() -> Error {
    gone("ended while it had a job")
}
