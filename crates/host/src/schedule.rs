//! Which request is run when, and by which worker: the state of a pool without clocks, threads or processes.
//!
//! What happens comes in as calls, with the time; what is to be done comes out as [`Effect`]s. Each request is answered
//! once. A slot is where one worker lives after another; its worker belongs to nobody until its first request, and to
//! that one's tenant from then on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Which requests go first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Priority {
    /// Before others.
    High,
    /// As they come.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

/// The sizes of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Jobs that run at the same time. As many workers are started with the pool.
    pub workers: NonZeroU32,
    /// Workers that are there at the same time, if that is more: those that run nothing wait for the next job of their
    /// tenant. The one that was used the longest time ago goes when another tenant needs its place.
    pub warm: u32,
    /// Requests that may wait.
    pub queue: usize,
    /// Those of them that may be of one tenant.
    pub tenant_queue: usize,
    /// Jobs of one tenant that may run at the same time.
    pub tenant_jobs: usize,
    /// How often a job is tried that did not fail by itself.
    pub attempts: u32,
    /// A request that has waited for so long goes as if its priority were the next higher one, so that none waits
    /// for ever.
    pub rise: Duration,
}

impl Default for Sizes {
    /// A job for each processor, four times as many workers, 1000 requests that wait, any number of one tenant's, 3
    /// attempts, 10 s to rise.
    fn default() -> Sizes {
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        let workers = u32::try_from(processors).ok().and_then(NonZeroU32::new);
        let workers = workers.unwrap_or(NonZeroU32::MIN);
        Sizes {
            workers,
            warm: workers.get().saturating_mul(4),
            queue: 1000,
            tenant_queue: usize::MAX,
            tenant_jobs: usize::MAX,
            attempts: 3,
            rise: Duration::from_secs(10),
        }
    }
}

impl Sizes {
    /// Places for workers.
    pub(crate) fn slots(&self) -> usize {
        self.workers.get().max(self.warm) as usize
    }
}

/// Tells requests apart.
pub(crate) type Id = u64;
/// Since the pool was made.
pub(crate) type Time = Duration;

/// One try of a request by a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Attempt {
    pub(crate) id: Id,
    /// Counted from 1.
    pub(crate) number: u32,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// The slot, which waits, begins this.
    Begin(usize, Attempt),
    /// What the slot runs for this attempt is not wanted any more.
    Kill(usize, Attempt),
    /// The request has come to its end.
    Answer(Id, Answer),
}

/// How a request ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// With what its last attempt came to.
    Done,
    /// It was called off.
    Cancelled,
    /// Its deadline came first.
    Late,
}

/// What an attempt came to, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Came {
    /// To what the next one would come to as well.
    Certain,
    /// To something that may have been no fault of the job: it is tried once more.
    Doubtful,
    /// To nothing, because of the host.
    Nothing,
}

/// Why a request is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Full,
    TenantFull,
    Closed,
}

/// The order in which requests go: who would have come first, had all the same priority.
type Rank = (Time, Id);

pub(crate) struct Schedule {
    sizes: Sizes,
    closed: bool,
    next: Id,
    requests: HashMap<Id, Request>,
    tenants: HashMap<Arc<str>, Tenant>,
    /// The first that waits of each tenant which may have one more job.
    ready: BTreeMap<Rank, Arc<str>>,
    waiting: usize,
    slots: Vec<Slot>,
    /// Counts uses of slots.
    used: u64,
}

struct Request {
    tenant: Arc<str>,
    rank: Rank,
    deadline: Option<Time>,
    /// How often it was begun.
    begun: u32,
    doubtful: bool,
    /// Called off while it runs; where it runs.
    cancelled: bool,
    slot: Option<usize>,
}

#[derive(Default)]
struct Tenant {
    waiting: BTreeSet<Rank>,
    running: usize,
    ready: Option<Rank>,
}

struct Slot {
    /// Whom its worker belongs to.
    of: Option<Arc<str>>,
    /// It has had no worker yet.
    cold: bool,
    state: State,
    used: u64,
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    /// It waits for a request.
    Waits,
    /// Not now: it makes a worker, or ends one.
    Away,
    /// It runs this for that tenant; whoever has got an answer in between.
    Runs(Attempt, Arc<str>),
}

impl Schedule {
    /// As many slots as jobs may run are away, making their workers, until they are [`free`](Schedule::free). The others
    /// wait without one.
    pub(crate) fn new(sizes: Sizes) -> Schedule {
        let workers = sizes.workers.get() as usize;
        let slot = |number| Slot {
            of: None,
            cold: number >= workers,
            state: match number < workers {
                true => State::Away,
                false => State::Waits,
            },
            used: 0,
        };
        Schedule {
            sizes,
            closed: false,
            next: 1,
            requests: HashMap::new(),
            tenants: HashMap::new(),
            ready: BTreeMap::new(),
            waiting: 0,
            slots: (0..sizes.slots()).map(slot).collect(),
            used: 0,
        }
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many slots run something.
    pub(crate) fn running(&self) -> usize {
        let runs = |slot: &&Slot| matches!(slot.state, State::Runs(..));
        self.slots.iter().filter(runs).count()
    }

    /// Whether every request was answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    /// A new request, which has to wait for its turn if there is room.
    pub(crate) fn submit(
        &mut self,
        now: Time,
        tenant: &str,
        priority: Priority,
        deadline: Option<Time>,
    ) -> Result<(Id, Vec<Effect>), Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.waiting >= self.sizes.queue {
            return Err(Refusal::Full);
        }
        let of_tenant = self.tenants.get(tenant).map_or(0, |t| t.waiting.len());
        if of_tenant >= self.sizes.tenant_queue {
            return Err(Refusal::TenantFull);
        }
        let id = self.next;
        self.next += 1;
        let behind = self.sizes.rise.saturating_mul(match priority {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        });
        let request = Request {
            tenant: tenant.into(),
            rank: (now.saturating_add(behind), id),
            deadline,
            begun: 0,
            doubtful: false,
            cancelled: false,
            slot: None,
        };
        self.requests.insert(id, request);
        self.enqueue(id);
        Ok((id, self.assign(now)))
    }

    /// Calls a request off. One that runs is answered when it has ended.
    pub(crate) fn cancel(&mut self, now: Time, id: Id) -> Vec<Effect> {
        let Some(request) = self.requests.get_mut(&id) else {
            return Vec::new();
        };
        let Some(slot) = request.slot else {
            self.dequeue(id);
            let mut effects = vec![self.answer(id, Answer::Cancelled)];
            effects.extend(self.assign(now));
            return effects;
        };
        if std::mem::replace(&mut request.cancelled, true) {
            return Vec::new();
        }
        let number = request.begun;
        vec![Effect::Kill(slot, Attempt { id, number })]
    }

    /// Looks whether a request's deadline has come. It is answered then, also when it runs.
    pub(crate) fn expire(&mut self, now: Time, id: Id) -> Vec<Effect> {
        let Some(request) = self.requests.get(&id) else {
            return Vec::new();
        };
        if request.deadline.is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        let kill = request.slot.map(|slot| {
            let number = request.begun;
            Effect::Kill(slot, Attempt { id, number })
        });
        if kill.is_none() {
            self.dequeue(id);
        }
        let mut effects = vec![self.answer(id, Answer::Late)];
        effects.extend(kill);
        effects.extend(self.assign(now));
        effects
    }

    /// What `slot` ran for `attempt` has ended. The slot is away until it is free. Of a request that was answered in
    /// between, nothing comes out.
    pub(crate) fn ended(
        &mut self,
        now: Time,
        slot: usize,
        attempt: Attempt,
        came: Came,
    ) -> Vec<Effect> {
        let away = State::Away;
        let State::Runs(ran, tenant) = std::mem::replace(&mut self.slots[slot].state, away) else {
            return Vec::new();
        };
        debug_assert_eq!(ran, attempt);
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.running -= 1;
        }
        self.refresh(&tenant);
        let mut effects = Vec::new();
        if let Some(request) = self.requests.get_mut(&attempt.id)
            && request.slot == Some(slot)
        {
            request.slot = None;
            let late = request.deadline.is_some_and(|deadline| deadline <= now);
            let again = match came {
                Came::Certain => false,
                Came::Doubtful => !std::mem::replace(&mut request.doubtful, true),
                Came::Nothing => true,
            };
            let again = again && request.begun < self.sizes.attempts;
            match (request.cancelled, late, again) {
                (true, ..) => effects.push(self.answer(attempt.id, Answer::Cancelled)),
                (false, true, _) => effects.push(self.answer(attempt.id, Answer::Late)),
                (false, false, true) => self.enqueue(attempt.id),
                (false, false, false) => effects.push(self.answer(attempt.id, Answer::Done)),
            }
        }
        effects.extend(self.assign(now));
        effects
    }

    /// `slot` waits for a request; with `fresh` its worker belongs to nobody.
    pub(crate) fn free(&mut self, now: Time, slot: usize, fresh: bool) -> Vec<Effect> {
        self.slots[slot].state = State::Waits;
        if fresh {
            self.slots[slot].of = None;
        }
        self.assign(now)
    }

    /// Takes no more requests.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Calls everything off.
    pub(crate) fn cancel_all(&mut self, now: Time) -> Vec<Effect> {
        let mut all: Vec<Id> = self.requests.keys().copied().collect();
        // Those that wait first, so that none of them begins in between.
        all.sort_by_key(|id| (self.requests[id].slot.is_some(), *id));
        all.into_iter()
            .flat_map(|id| self.cancel(now, id))
            .collect()
    }

    /// Gives slots that wait what may run.
    fn assign(&mut self, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(((_, id), tenant)) = self.ready.first_key_value() {
            let (id, tenant) = (*id, Arc::clone(tenant));
            let request = &self.requests[&id];
            if request.deadline.is_some_and(|deadline| deadline <= now) {
                self.dequeue(id);
                effects.push(self.answer(id, Answer::Late));
                continue;
            }
            let Some(slot) = self.choose(&tenant) else {
                break;
            };
            self.dequeue(id);
            let attempt = self.begin(id, slot, &tenant);
            effects.push(Effect::Begin(slot, attempt));
        }
        effects
    }

    /// The slot for a request of `tenant`, if one more job may run: one whose worker is his, then one whose worker is
    /// nobody's, then one without a worker, then the one that was used the longest time ago, whose worker must go.
    /// One that is away counts as one that runs: it will be back sooner than another has a worker.
    fn choose(&self, tenant: &str) -> Option<usize> {
        let waits = self.slots.iter().enumerate();
        let waits = waits.filter(|(_, slot)| slot.state == State::Waits);
        let busy = self.slots.len() - waits.clone().count();
        if busy >= self.sizes.workers.get() as usize {
            return None;
        }
        let best = waits.min_by_key(|(number, slot)| {
            let fit = match &slot.of {
                Some(of) if **of == *tenant => 0,
                None if !slot.cold => 1,
                None => 2,
                Some(_) => 3,
            };
            (fit, slot.used, *number)
        });
        best.map(|(number, _)| number)
    }

    fn begin(&mut self, id: Id, slot: usize, tenant: &Arc<str>) -> Attempt {
        let mut number = 0;
        if let Some(request) = self.requests.get_mut(&id) {
            request.begun += 1;
            request.slot = Some(slot);
            number = request.begun;
        }
        let attempt = Attempt { id, number };
        if let Some(load) = self.tenants.get_mut(tenant) {
            load.running += 1;
        } else {
            // It was the only one of its tenant that waited.
            let load = Tenant {
                running: 1,
                ..Tenant::default()
            };
            self.tenants.insert(Arc::clone(tenant), load);
        }
        self.refresh(tenant);
        self.used += 1;
        let slot = &mut self.slots[slot];
        slot.of = Some(Arc::clone(tenant));
        slot.cold = false;
        slot.state = State::Runs(attempt, Arc::clone(tenant));
        slot.used = self.used;
        attempt
    }

    fn answer(&mut self, id: Id, answer: Answer) -> Effect {
        self.requests.remove(&id);
        Effect::Answer(id, answer)
    }

    fn enqueue(&mut self, id: Id) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        let tenant = Arc::clone(&request.tenant);
        let load = self.tenants.entry(Arc::clone(&tenant)).or_default();
        load.waiting.insert(request.rank);
        self.waiting += 1;
        self.refresh(&tenant);
    }

    fn dequeue(&mut self, id: Id) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        let tenant = Arc::clone(&request.tenant);
        if let Some(load) = self.tenants.get_mut(&tenant)
            && load.waiting.remove(&request.rank)
        {
            self.waiting -= 1;
        }
        self.refresh(&tenant);
    }

    /// Brings what may run up to date after a tenant's load has changed.
    fn refresh(&mut self, tenant: &Arc<str>) {
        let Some(load) = self.tenants.get_mut(tenant) else {
            return;
        };
        let may = load.running < self.sizes.tenant_jobs;
        let first = load.waiting.first().copied().filter(|_| may);
        let before = std::mem::replace(&mut load.ready, first);
        if load.waiting.is_empty() && load.running == 0 {
            self.tenants.remove(tenant);
        }
        if before != first {
            before.map(|rank| self.ready.remove(&rank));
            first.map(|rank| self.ready.insert(rank, Arc::clone(tenant)));
        }
    }
}

#[cfg(test)]
mod model;
