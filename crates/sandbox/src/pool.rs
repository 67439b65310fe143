//! Sandboxes that are ready before they are needed: set up, proved, behind their filter, and waiting for a job.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use portcullis_sys::limit::Resource;
use portcullis_sys::{channel, process};

use crate::command::following;
use crate::descriptors::{open_pipe, refuse_socket};
use crate::error::Error;
use crate::job::{Job, Running};
use crate::launch::{Observer, judge, let_go, until_exec};
use crate::plan::Plan;
use crate::relay::Relay;
use crate::secret::ArmedFilter;
use crate::standard::{self, all, streams};
use crate::started::{For, Started, inside, prepare};
use crate::verdict::Verdict;

/// Sandboxes of one kind for many jobs, each of which gets one that was made for it alone: one more is made when one
/// is taken, and none is used twice.
///
/// A sandbox that waits has all of its layers: its mounts were compared with the plan, it is restricted by Landlock
/// and its filter is loaded. (One that has just been made may still be about to load it; it takes no job before.) What
/// is left is to be told its streams, arguments and environment, and the exec, which
/// its filter allows to who knows its secret. One that ends while it waits is noticed and replaced.
///
/// Each has a thread of the pool, which is its tracer and its init's parent, and which makes the next one after its
/// end. A sandbox is a copy of this process until its program begins: of a large process it costs what a fork does.
/// What [`Command`](crate::Command) says of the process holds here too.
pub struct Pool<R> {
    shared: Arc<Shared<R>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

struct State<R> {
    parked: VecDeque<Parked<R>>,
    /// Told to the next who asks for a sandbox, and then tried again.
    failure: Option<Error>,
    /// Those that ended while they waited.
    died: u64,
    /// Tells sandboxes apart.
    made: u64,
    closed: bool,
}

/// A sandbox that waits.
struct Parked<R> {
    number: u64,
    /// Where it hears its job.
    hears: OwnedFd,
    /// The program's file as it is in the sandbox.
    program: OwnedFd,
    /// The first of its processes.
    first: OwnedFd,
    /// There are rules about ports.
    ports: bool,
    /// What its job writes is counted.
    counts: bool,
    /// What it was told.
    told: Arc<Mutex<Told>>,
    verdict: mpsc::Receiver<Result<Verdict<R>, Error>>,
}

/// What a sandbox was told.
#[derive(Debug, Default)]
struct Told {
    /// When its job was sent.
    at: Option<Instant>,
    /// What is between its streams and those of its job.
    relay: Option<Relay>,
}

impl<R: Send + 'static> Pool<R> {
    /// A pool of at most `most` sandboxes, waiting or running. `make` plans each and arms its filter, one of
    /// [`Filter::parked`](crate::Filter::parked): the plan's arguments, environment and streams are placeholders.
    /// `observer` follows one.
    pub fn new<O: Observer<Report = R>>(
        most: usize,
        make: impl Fn() -> Result<(Plan, ArmedFilter), Error> + Send + Sync + 'static,
        observer: impl Fn() -> O + Send + Sync + 'static,
    ) -> Result<Pool<R>, Error> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                parked: VecDeque::new(),
                failure: None,
                died: 0,
                made: 0,
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let (make, observer) = (Arc::new(make), Arc::new(observer));
        let mut pool = Pool {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        for number in 0..most.max(1) {
            let (shared, make, observer) = (shared.clone(), make.clone(), observer.clone());
            let thread = following(format!("portcullis-{number}"), move || {
                while shared.serve(&*make, &*observer) {}
            })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// How many sandboxes wait now.
    pub fn waiting(&self) -> usize {
        self.shared.lock().parked.len()
    }

    /// How many have ended while they waited.
    pub fn died(&self) -> u64 {
        self.shared.lock().died
    }

    /// Returns when `count` sandboxes wait, or none can be made; why not is the error.
    pub fn wait_for(&self, count: usize) -> Result<(), Error> {
        let mut state = self.shared.lock();
        while state.parked.len() < count {
            if let Some(failure) = self.shared.failure(&mut state) {
                return Err(failure);
            }
            state = self.shared.wait(state);
        }
        Ok(())
    }

    /// Starts `job` in a sandbox that waits, or in the next one that will.
    pub fn start(&self, job: Job) -> Result<Running<R>, Error> {
        let message = job.message()?;
        let (given, ends) = streams(job.standard)?;
        let given = all(given)?;
        standard::refuse_places(&given)?;
        given.iter().for_each(|given| open_pipe(given.as_fd()));
        let refuse_sockets = || {
            let mut all = (0..).zip(&given);
            all.try_for_each(|(number, given)| refuse_socket(number, given.as_raw_fd()))
        };
        let mut state = self.shared.lock();
        loop {
            if state.parked.front().is_some_and(|parked| parked.ports) {
                refuse_sockets()?;
            }
            let Some(parked) = state.parked.pop_front() else {
                if let Some(failure) = self.shared.failure(&mut state) {
                    return Err(failure);
                }
                state = self.shared.wait(state);
                continue;
            };
            drop(state);
            let [input, mut output, mut error] = given.each_ref().map(AsFd::as_fd);
            let (relay, relayed) = match parked.counts {
                true => Some(Relay::between(output, error, false)?).unzip(),
                false => (None, None),
            };
            if let Some([written, complained]) = &relayed {
                (output, error) = (written.as_fd(), complained.as_fd());
            }
            *lock(&parked.told) = Told {
                at: Some(Instant::now()),
                relay,
            };
            let carried = [parked.program.as_fd(), input, output, error];
            match channel::send(parked.hears.as_fd(), &message, carried) {
                Ok(()) => return Ok(Running::new(parked.first, parked.verdict, ends)),
                // It is gone, and its thread makes another one.
                Err(e) if [libc::EPIPE, libc::ECONNRESET].contains(&e.errno()) => {}
                Err(e) => return Err(e.into()),
            }
            state = self.shared.lock();
            state.died += 1;
        }
    }

    /// Starts `job` and waits for its end.
    pub fn run(&self, job: Job) -> Result<Verdict<R>, Error> {
        self.start(job)?.wait()
    }

    /// Ends the sandboxes that wait, waits for those that run, and returns when nothing of the pool is left.
    pub fn close(mut self) {
        self.shared.close();
        for thread in self.threads.drain(..) {
            // What failed there was told to who asked.
            let _ = thread.join();
        }
    }
}

impl<R> Drop for Pool<R> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<R> fmt::Debug for Pool<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        write!(f, "a pool in which {} sandboxes wait", state.parked.len())
    }
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        lock(&self.state)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<R>>) -> MutexGuard<'a, State<R>> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Why no sandbox could be made; the thread that could not tries again.
    fn failure(&self, state: &mut State<R>) -> Option<Error> {
        let failure = state.failure.take()?;
        self.changed.notify_all();
        Some(failure)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for parked in state.parked.drain(..) {
            // Fails only when it has ended. Its thread sees that, and makes no other.
            let _ = process::signal_process(parked.first.as_fd(), libc::SIGKILL);
        }
        self.changed.notify_all();
    }

    /// One sandbox, from its making to its end; `false` when there is to be none any more.
    fn serve<O: Observer<Report = R>>(
        &self,
        make: &dyn Fn() -> Result<(Plan, ArmedFilter), Error>,
        observer: &dyn Fn() -> O,
    ) -> bool {
        let made = make().and_then(|(mut plan, filter)| {
            standard::fill(&mut plan.standard)?;
            let parked = park(&plan, filter)?;
            Ok((plan.without_streams(), parked))
        });
        let (plan, (mut started, mut parked, tell)) = match made {
            Ok(made) => made,
            Err(failure) => {
                let mut state = self.lock();
                state.failure = Some(failure);
                self.changed.notify_all();
                while state.failure.is_some() && !state.closed {
                    state = self.wait(state);
                }
                return !state.closed;
            }
        };
        let told = Arc::clone(&parked.told);
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.made += 1;
        let number = state.made;
        parked.number = number;
        state.parked.push_back(parked);
        self.changed.notify_all();
        drop(state);
        let verdict = match until_exec(&plan, &started) {
            Ok(()) => {
                let told = std::mem::take(&mut *lock(&told));
                started.relay = told.relay;
                let began = told.at.unwrap_or_else(Instant::now);
                judge(&plan, &mut started, began, &mut observer())
            }
            Err(error) => Err(error),
        };
        // Nobody may wait for it. What is left then, the end of its namespaces, is this thread's alone.
        let _ = tell.send(verdict);
        let mut state = self.lock();
        let before = state.parked.len();
        state.parked.retain(|parked| parked.number != number);
        if state.parked.len() < before {
            state.died += 1;
            self.changed.notify_all();
        }
        !state.closed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole whatever panicked elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Descriptors that a sandbox has open when it is told its job: standard streams, four of its own, and four that
/// come with it.
const FEWEST: u64 = 11;

type Made<R> = (
    Started,
    Parked<R>,
    mpsc::SyncSender<Result<Verdict<R>, Error>>,
);

/// Makes a sandbox that waits, a tracee of this thread.
fn park<R>(plan: &Plan, filter: ArmedFilter) -> Result<Made<R>, Error> {
    let few = |(resource, most): &(Resource, u64)| *resource == Resource::Files && *most < FEWEST;
    if plan.bounds.resources.iter().any(few) {
        return Err(Error::Invalid(format!(
            "a program of a pool is given its streams behind its limits: it needs at least {FEWEST} files"
        )));
    }
    let (hears, from) = channel::both_ways()?;
    let mut started = prepare(plan, || Ok(filter), For::Pool(from), None)?;
    let first = process::handle(started.init.unwrap_or(started.pid))?;
    let program = inside(plan, started.pid)?;
    let_go(plan, &mut started)?;
    started.hear_parked(plan)?;
    let (tell, verdict) = mpsc::sync_channel(1);
    let parked = Parked {
        number: 0,
        hears,
        program,
        first,
        ports: plan.has_ports(),
        counts: plan.bounds.output.is_some(),
        told: Arc::default(),
        verdict,
    };
    Ok((started, parked, tell))
}
