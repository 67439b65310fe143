//! Many jobs on few workers.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use portcullis_sandbox::{Layer, LayerName, Limits as Bounds, Missing};

use crate::artifact::Artifact;
use crate::course::{Clock, Course};
use crate::directory;
use crate::error::Error;
use crate::exec;
use crate::filter;
use crate::image::Image;
use crate::job::{Job, Request};
use crate::kernel;
use crate::leash::Leash;
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::output::{Listener, Piece};
use crate::pending::{Finished, Pending, Reply, Tried};
use crate::recorded::{Record, Trace};
use crate::running::Done;
use crate::schedule::{Answer, Attempt, Came, Effect, Id, Refusal, Schedule, Sizes, Time};
use crate::secret;
use crate::slot::{Slot, Worker};
use crate::template::Template;
use crate::wire::MOST_BODY;

/// The most bytes of a job's arguments and environment together.
const MOST_WORDS: usize = 128 << 10;

/// What of the machine holds, layer by layer, for a worker and all its jobs.
#[derive(Clone, Debug)]
pub struct Enforced {
    /// What holds.
    pub layers: Vec<Layer>,
    /// What does not, and why.
    pub missing: Vec<Missing>,
}

/// Called with each request that has come to its end.
pub type OnEnd = Box<dyn Fn(&Finished) + Send + Sync>;

/// What runs the jobs of a pool.
#[derive(Clone, Debug)]
pub enum Runs {
    /// Warm workers: this program, which has an [`Engine`](crate::Engine). A job is a fork of one of them.
    Workers(Image),
    /// Nothing beside them: each is a native program ([`Executable`](crate::Executable)) in a sandbox of its own.
    Programs,
}

/// What a pool is made of.
pub struct Settings {
    /// What runs the jobs.
    pub runs: Runs,
    /// How much it takes on.
    pub sizes: Sizes,
    /// Bounds a worker and its job together.
    pub memory: Option<u64>,
    /// After how many jobs a worker is replaced: the layout of its memory and its canaries are the same for all of
    /// them.
    pub lifetime: NonZeroU32,
    /// Layers that are left out.
    pub without: Vec<LayerName>,
    /// Workers are started without the break-out test; results say so, under the name `worker-proof`.
    pub unproved: bool,
    /// Told of every end, from the thread in which it came about: what takes long there holds up jobs, and it must not
    /// panic, because a worker's thread ends with that.
    pub on_end: Option<OnEnd>,
    /// Has the calls of workers and jobs told while they run, which then take longer: each call stops twice, and the
    /// kernel counts part of that as their processor time.
    pub record: Option<Record>,
}

impl Settings {
    /// The default: what [`Sizes`] says, 1000 jobs for each worker, every layer, memory not bounded beyond what each job
    /// may have by its own limits.
    pub fn new(image: Image) -> Settings {
        Settings::of(Runs::Workers(image))
    }

    /// The same for native programs.
    pub fn programs() -> Settings {
        Settings::of(Runs::Programs)
    }

    fn of(runs: Runs) -> Settings {
        Settings {
            runs,
            sizes: Sizes::default(),
            memory: None,
            lifetime: NonZeroU32::new(1000).unwrap_or(NonZeroU32::MIN),
            without: Vec::new(),
            unproved: false,
            on_end: None,
            record: None,
        }
    }
}

/// Warm workers for many tenants, and a queue in front of them.
///
/// A worker belongs to the tenant of its first job; artifacts and jobs of one tenant are never in a worker of another.
/// More workers are kept than jobs run ([`Sizes::warm`]), so that each tenant finds his own again; beyond that one ends
/// when another tenant's turn comes. One that ends is replaced. What it had begun comes to `ambiguous` or
/// `infra` and is tried again, within the request's deadline; what a job does by itself is not.
///
/// Dropped, it calls everything off, and returns when nothing of it is left.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// It is for native programs.
    programs: bool,
}

/// What slots and requests share.
pub(crate) struct Shared {
    made: Instant,
    clock: Clock,
    on_end: Option<OnEnd>,
    record: Option<Record>,
    state: Mutex<State>,
    /// Something has come for a slot.
    mail: Vec<Condvar>,
    /// A slot is ready, or the last request has come to its end.
    changed: Condvar,
}

struct State {
    schedule: Schedule,
    entries: HashMap<Id, Entry>,
    slots: Vec<Mailbox>,
    metrics: Metrics,
    enforced: Option<Arc<Enforced>>,
    failure: Option<Error>,
    /// Slots end when they have nothing to do.
    over: bool,
}

/// Where a slot is told what to do.
#[derive(Default)]
struct Mailbox {
    next: Option<Box<Assignment>>,
    leash: Option<(Attempt, Arc<Leash>)>,
    begun: bool,
    /// Its slot sleeps until it is called.
    sleeps: bool,
}

/// A request that was not answered yet.
struct Entry {
    tenant: Arc<str>,
    artifact: Arc<Artifact>,
    job: Arc<Job>,
    asked: Instant,
    begun: Option<Instant>,
    deadline: Option<Instant>,
    pieces: Option<Sender<Piece>>,
    tried: Vec<Tried>,
    enforced: Option<Arc<Enforced>>,
    answer: SyncSender<Finished>,
}

/// One try of a request, for one slot.
pub(crate) struct Assignment {
    pub(crate) attempt: Attempt,
    pub(crate) begun: Instant,
    pub(crate) tenant: Arc<str>,
    pub(crate) artifact: Arc<Artifact>,
    pub(crate) job: Arc<Job>,
    pub(crate) leash: Arc<Leash>,
    pub(crate) listener: Option<Listener>,
}

impl Pool {
    /// Starts as many workers as there are to be; for native programs it is tried whether a sandbox can be had. An error
    /// is a layer that cannot be had, or a kernel that cannot tell how jobs end.
    pub fn new(settings: Settings) -> Result<Pool, Error> {
        let Settings {
            runs,
            sizes,
            memory,
            lifetime,
            without,
            unproved,
            on_end,
            record,
        } = settings;
        let bounds = Bounds {
            memory,
            ..Bounds::default()
        };
        let (worker, enforced) = match &runs {
            Runs::Workers(image) => {
                kernel::tells_ends()?;
                let worker = Worker {
                    template: Template::new(image, bounds, &without)?
                        .forking()
                        .proved(unproved)?,
                    jobs: filter::of_jobs(image.jobs)?,
                    lifetime: lifetime.get(),
                };
                (Some(Arc::new(worker)), None)
            }
            // What ends there is this process's own child.
            Runs::Programs => (None, Some(Arc::new(exec::rehearse(&without)?))),
        };
        let without: Arc<[LayerName]> = without.into();
        let slots = match worker {
            Some(_) => sizes.slots(),
            None => sizes.workers.get() as usize,
        };
        let sizes = Sizes {
            warm: u32::try_from(slots).unwrap_or(u32::MAX),
            ..sizes
        };
        let shared = Arc::new(Shared {
            made: Instant::now(),
            clock: Clock::now(),
            on_end,
            record,
            state: Mutex::new(State {
                schedule: Schedule::new(sizes),
                entries: HashMap::new(),
                slots: (0..slots).map(|_| Mailbox::default()).collect(),
                metrics: Metrics::default(),
                enforced,
                failure: None,
                over: false,
            }),
            mail: (0..slots).map(|_| Condvar::new()).collect(),
            changed: Condvar::new(),
        });
        let mut pool = Pool {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
            programs: worker.is_none(),
        };
        for number in 0..slots {
            let slot = Slot {
                number,
                shared: Arc::clone(&shared),
                worker: worker.clone(),
                cold: number >= sizes.workers.get() as usize,
                without: Arc::clone(&without),
            };
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            pool.threads.push(thread.spawn(move || slot.live())?);
        }
        let mut state = shared.lock();
        while !state.slots.iter().all(|slot| slot.begun) {
            state = shared.wait(&shared.changed, state);
        }
        let failure = state.failure.take();
        drop(state);
        match failure {
            Some(failure) => Err(failure),
            None => Ok(pool),
        }
    }

    /// What holds for its workers and their jobs, as the last of them was started.
    pub fn enforced(&self) -> Option<Arc<Enforced>> {
        self.shared.lock().enforced.clone()
    }

    /// Takes a request on. An error is about the queue, or a job larger than what is taken.
    pub fn submit(&self, request: Request) -> Result<Pending, Error> {
        let Request {
            tenant,
            artifact,
            job,
            priority,
            deadline,
            streams,
        } = request;
        bounded(&job)?;
        self.fit(&artifact, &job)?;
        let (pieces, output) = match streams {
            true => Some(channel()).unzip(),
            false => (None, None),
        };
        let (answer, answered) = sync_channel(1);
        let shared = &self.shared;
        let mut state = shared.lock();
        let now = shared.now();
        let latest = deadline.map(|deadline| deadline.saturating_duration_since(shared.made));
        let taken = state.schedule.submit(now, &tenant, priority, latest);
        let (id, effects) = match taken {
            Ok(taken) => taken,
            Err(refusal) => {
                state.metrics.refused += 1;
                return Err(match refusal {
                    Refusal::Full => Error::Full("the pool"),
                    Refusal::TenantFull => Error::Full("this tenant"),
                    Refusal::Closed => Error::Closed,
                });
            }
        };
        let entry = Entry {
            tenant: tenant.into(),
            artifact,
            job: Arc::new(job),
            asked: Instant::now(),
            begun: None,
            deadline,
            pieces,
            tried: Vec::new(),
            enforced: None,
            answer,
        };
        state.entries.insert(id, entry);
        let letters = shared.apply(&mut state, effects, None);
        drop(state);
        shared.deliver(letters);
        let shared = Arc::clone(shared);
        Ok(Pending::new(id, shared, answered, deadline, output))
    }

    /// What the engine would leave out is not taken.
    fn fit(&self, artifact: &Artifact, job: &Job) -> Result<(), Error> {
        let unfit = |why: &str| Err(Error::Unfit(why.to_owned()));
        match (self.programs, artifact.program()) {
            (true, None) => {
                return unfit("a pool for native programs runs no artifacts of workers");
            }
            (false, Some(_)) => return unfit("a pool of workers runs no native programs"),
            (true, Some(_)) if job.limits.fuel.is_some() => {
                return unfit(
                    "the steps of a native program are not counted: it has no limit of fuel",
                );
            }
            _ => {}
        }
        secret::check(&job.secrets)?;
        directory::check(&job.files, &job.wanted)
    }

    /// Runs one request to its end.
    pub fn run(&self, request: Request) -> Result<Finished, Error> {
        Ok(self.submit(request)?.wait())
    }

    /// What it has done until now.
    pub fn metrics(&self) -> Metrics {
        let state = self.shared.lock();
        Metrics {
            waiting: state.schedule.waiting(),
            running: state.schedule.running(),
            ..state.metrics.clone()
        }
    }

    /// Takes no more requests, and returns when all that there are have come to their end.
    pub fn drain(&self) {
        let mut state = self.shared.lock();
        state.schedule.close();
        while !state.schedule.is_idle() {
            state = self.shared.wait(&self.shared.changed, state);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let shared = &self.shared;
        let mut state = shared.lock();
        state.schedule.close();
        state.over = true;
        let effects = state.schedule.cancel_all(shared.now());
        let letters = shared.apply(&mut state, effects, None);
        shared.mail.iter().for_each(Condvar::notify_one);
        drop(state);
        shared.deliver(letters);
        for thread in self.threads.drain(..) {
            // What failed there was told to who asked.
            let _ = thread.join();
        }
    }
}

/// What would not fit a message to a worker is not the worker's failure.
fn bounded(job: &Job) -> Result<(), Error> {
    let names = job.files.iter().map(|file| &file.name).chain(&job.wanted);
    let words = job.arguments.iter().chain(&job.environment).chain(names);
    // Each has its length in front, of up to five bytes, and a name that of its file, of up to ten.
    let length: usize = words.map(|word| word.len().saturating_add(16)).sum();
    let long = |what, most| Err(Error::Long { what, most });
    if length > MOST_WORDS {
        return long(
            "what a job is given as arguments, environment and names of files",
            MOST_WORDS,
        );
    }
    let files = job.files.iter().map(|file| file.bytes.len());
    if files.fold(job.input.len(), usize::saturating_add) > MOST_BODY {
        return long("what a job is given to read", MOST_BODY);
    }
    Ok(())
}

/// Who is told of an end.
pub(crate) type Letter = (SyncSender<Finished>, Finished);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a trace of the program `name`, if there is to be one.
    pub(crate) fn trace(&self, name: &str) -> Result<Option<Box<dyn Trace>>, Error> {
        let begun = self.record.as_ref().map(|record| record(name));
        begun.transpose().map_err(Error::Trace)
    }

    fn wait<'a>(&self, on: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        on.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        self.made.elapsed()
    }

    /// Changes the schedule, and does what follows from it.
    fn change(&self, change: impl FnOnce(&mut Schedule, Time) -> Vec<Effect>) {
        let mut state = self.lock();
        let effects = change(&mut state.schedule, self.now());
        let letters = self.apply(&mut state, effects, None);
        drop(state);
        self.deliver(letters);
    }

    pub(crate) fn cancel(&self, id: Id) {
        self.change(|schedule, now| schedule.cancel(now, id));
    }

    pub(crate) fn expire(&self, id: Id) {
        self.change(|schedule, now| schedule.expire(now, id));
    }

    /// A slot waits for a request.
    pub(crate) fn free(&self, slot: usize, fresh: bool) {
        self.change(|schedule, now| schedule.free(now, slot, fresh));
        // Not before: whoever has a pool finds its workers waiting, and no request in the queue for want of them.
        self.ready(slot);
    }

    /// What a slot is to do next; `None` when it is to end.
    pub(crate) fn next(&self, slot: usize) -> Option<Box<Assignment>> {
        let mut state = self.lock();
        loop {
            // Also when all is over: it was called off, and is told so.
            if let Some(next) = state.slots[slot].next.take() {
                return Some(next);
            }
            if state.over {
                return None;
            }
            state.slots[slot].sleeps = true;
            state = self.wait(&self.mail[slot], state);
            state.slots[slot].sleeps = false;
        }
    }

    /// What a slot was given has ended.
    pub(crate) fn ended(
        &self,
        slot: usize,
        assignment: &Assignment,
        done: Done,
        course: &Course,
        enforced: Option<&Arc<Enforced>>,
    ) {
        let attempt = assignment.attempt;
        let came = match done.outcome {
            Outcome::Infra(_) => Came::Nothing,
            Outcome::Ambiguous(_) => Came::Doubtful,
            _ => Came::Certain,
        };
        let mut state = self.lock();
        state.slots[slot].leash = None;
        state.metrics.cpu += Duration::from_nanos(done.cpu_ns);
        if let Some(entry) = state.entries.get_mut(&attempt.id) {
            entry.tried.push(Tried {
                outcome: done.outcome.clone(),
                wall_ns: done.wall_ns,
                spans: course.spans(&self.clock),
            });
            entry.enforced = enforced.cloned();
        }
        let effects = state.schedule.ended(self.now(), slot, attempt, came);
        let letters = self.apply(&mut state, effects, Some((attempt.id, done)));
        drop(state);
        self.deliver(letters);
    }

    /// A slot has a worker.
    pub(crate) fn started(&self, enforced: &Arc<Enforced>) {
        let mut state = self.lock();
        state.metrics.started += 1;
        state.enforced = Some(Arc::clone(enforced));
    }

    /// A slot takes what it is given.
    pub(crate) fn ready(&self, slot: usize) {
        self.begun(self.lock(), slot);
    }

    /// A slot could not start a worker.
    pub(crate) fn failed(&self, slot: usize, error: Error) {
        let mut state = self.lock();
        state.metrics.not_started += 1;
        state.failure = Some(error);
        self.begun(state, slot);
    }

    fn begun(&self, mut state: MutexGuard<'_, State>, slot: usize) {
        if !std::mem::replace(&mut state.slots[slot].begun, true) {
            self.changed.notify_all();
        }
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Metrics)) {
        count(&mut self.lock().metrics);
    }

    /// Does what follows from a change; those who are to be told of an end, when the lock is let go. `done` is what the
    /// attempt of a request has just come to.
    fn apply(
        &self,
        state: &mut State,
        effects: Vec<Effect>,
        done: Option<(Id, Done)>,
    ) -> Vec<Letter> {
        let mut done = done;
        let mut letters = Vec::new();
        for effect in effects {
            match effect {
                Effect::Begin(slot, attempt) => self.begin(state, slot, attempt),
                Effect::Kill(slot, attempt) => match &state.slots[slot].leash {
                    Some((of, leash)) if *of == attempt => leash.pull(),
                    _ => {}
                },
                Effect::Answer(id, answer) => {
                    let own = done.take_if(|(of, _)| *of == id).map(|(_, done)| done);
                    letters.extend(answered(state, &self.clock, id, answer, own));
                }
            }
        }
        if state.schedule.is_idle() {
            self.changed.notify_all();
        }
        letters
    }

    fn begin(&self, state: &mut State, slot: usize, attempt: Attempt) {
        let Some(entry) = state.entries.get_mut(&attempt.id) else {
            return;
        };
        match entry.begun {
            None => {
                let now = Instant::now();
                state.metrics.waited.add(now - entry.asked);
                entry.begun = Some(now);
            }
            Some(_) => state.metrics.retried += 1,
        }
        let leash = Arc::new(Leash::new(entry.deadline));
        let listener = entry.pieces.clone().map(|to| Listener {
            attempt: attempt.number,
            to,
        });
        let assignment = Assignment {
            attempt,
            begun: Instant::now(),
            tenant: Arc::clone(&entry.tenant),
            artifact: Arc::clone(&entry.artifact),
            job: Arc::clone(&entry.job),
            leash: Arc::clone(&leash),
            listener,
        };
        let mailbox = &mut state.slots[slot];
        mailbox.leash = Some((attempt, leash));
        mailbox.next = Some(Box::new(assignment));
        // Mostly it is the slot itself that has just become free: a call less for each job.
        if mailbox.sleeps {
            self.mail[slot].notify_one();
        }
    }

    fn deliver(&self, letters: Vec<Letter>) {
        for (to, finished) in letters {
            if let Some(on_end) = &self.on_end {
                on_end(&finished);
            }
            // Who asked may have stopped waiting.
            let _ = to.send(finished);
        }
    }
}

/// A request has come to its end.
fn answered(
    state: &mut State,
    clock: &Clock,
    id: Id,
    answer: Answer,
    done: Option<Done>,
) -> Option<Letter> {
    let entry = state.entries.remove(&id)?;
    let reply = match (answer, done) {
        (Answer::Done, Some(done)) => {
            state.metrics.ran.add(Duration::from_nanos(done.wall_ns));
            Reply::Done(done)
        }
        (Answer::Late, _) => Reply::Late,
        (Answer::Done | Answer::Cancelled, _) => Reply::Cancelled,
    };
    let begun = entry.begun.unwrap_or_else(Instant::now);
    let finished = Finished {
        id,
        tenant: entry.tenant,
        reply,
        tried: entry.tried,
        waited: begun - entry.asked,
        queue: clock.span("queue", entry.asked, begun),
        enforced: entry.enforced,
    };
    state.metrics.end(finished.end());
    Some((entry.answer, finished))
}
