//! The schedule against a model that knows no index: lists, searched through each time.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Happens {
    Submit(usize, Priority, Option<u64>),
    Cancel(usize),
    Expire(usize),
    End(usize, Came),
    Free(usize, bool),
    Pass(u64),
    Close,
    CancelAll,
}

const TENANTS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone)]
struct Entry {
    id: Id,
    tenant: &'static str,
    rank: Rank,
    deadline: Option<Time>,
    begun: u32,
    doubtful: bool,
    cancelled: bool,
    slot: Option<usize>,
}

/// What a slot does, and whom its worker belongs to; the last use.
#[derive(Clone)]
struct Place {
    of: Option<&'static str>,
    cold: bool,
    away: bool,
    runs: Option<(Attempt, &'static str)>,
    used: u64,
}

struct Model {
    sizes: Sizes,
    closed: bool,
    next: Id,
    used: u64,
    entries: Vec<Entry>,
    places: Vec<Place>,
}

impl Model {
    fn new(sizes: Sizes) -> Model {
        let workers = sizes.workers.get() as usize;
        let place = |number| Place {
            of: None,
            cold: number >= workers,
            away: number < workers,
            runs: None,
            used: 0,
        };
        Model {
            sizes,
            closed: false,
            next: 1,
            used: 0,
            entries: Vec::new(),
            places: (0..workers.max(sizes.warm as usize)).map(place).collect(),
        }
    }

    fn waiting(&self, tenant: Option<&str>) -> usize {
        let waits = self.entries.iter().filter(|e| e.slot.is_none());
        waits
            .filter(|e| tenant.is_none_or(|t| t == e.tenant))
            .count()
    }

    fn running(&self, tenant: &str) -> usize {
        let runs = self.places.iter().filter_map(|p| p.runs);
        runs.filter(|(_, of)| *of == tenant).count()
    }

    fn remove(&mut self, id: Id) {
        self.entries.retain(|e| e.id != id);
    }

    fn find(&self, id: Id) -> Option<Entry> {
        self.entries.iter().find(|e| e.id == id).cloned()
    }

    fn submit(
        &mut self,
        now: Time,
        tenant: &'static str,
        priority: Priority,
        deadline: Option<Time>,
    ) -> Result<Vec<Effect>, Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.waiting(None) >= self.sizes.queue {
            return Err(Refusal::Full);
        }
        if self.waiting(Some(tenant)) >= self.sizes.tenant_queue {
            return Err(Refusal::TenantFull);
        }
        let levels = [Priority::High, Priority::Normal, Priority::Low];
        let level = levels.iter().position(|p| *p == priority).unwrap();
        let behind = self.sizes.rise * u32::try_from(level).unwrap();
        self.entries.push(Entry {
            id: self.next,
            tenant,
            rank: (now + behind, self.next),
            deadline,
            begun: 0,
            doubtful: false,
            cancelled: false,
            slot: None,
        });
        self.next += 1;
        Ok(self.assign(now))
    }

    fn cancel(&mut self, now: Time, id: Id) -> Vec<Effect> {
        let Some(entry) = self.find(id) else {
            return Vec::new();
        };
        match entry.slot {
            None => {
                self.remove(id);
                let answer = vec![Effect::Answer(id, Answer::Cancelled)];
                [answer, self.assign(now)].concat()
            }
            Some(_) if entry.cancelled => Vec::new(),
            Some(slot) => {
                let mut entries = self.entries.iter_mut();
                entries.find(|e| e.id == id).unwrap().cancelled = true;
                let number = entry.begun;
                vec![Effect::Kill(slot, Attempt { id, number })]
            }
        }
    }

    fn expire(&mut self, now: Time, id: Id) -> Vec<Effect> {
        let entry = self.find(id);
        let Some(entry) = entry.filter(|e| e.deadline.is_some_and(|d| d <= now)) else {
            return Vec::new();
        };
        self.remove(id);
        let number = entry.begun;
        let mut effects = vec![Effect::Answer(id, Answer::Late)];
        effects.extend(
            entry
                .slot
                .map(|slot| Effect::Kill(slot, Attempt { id, number })),
        );
        [effects, self.assign(now)].concat()
    }

    fn ended(&mut self, now: Time, slot: usize, came: Came) -> Vec<Effect> {
        let (Attempt { id, .. }, _) = self.places[slot].runs.take().unwrap();
        self.places[slot].away = true;
        let mut effects = Vec::new();
        if let Some(entry) = self.entries.iter_mut().find(|e| e.id == id) {
            entry.slot = None;
            let again = match came {
                Came::Certain => false,
                Came::Doubtful => !entry.doubtful,
                Came::Nothing => true,
            };
            entry.doubtful |= came == Came::Doubtful;
            let answer = if entry.cancelled {
                Some(Answer::Cancelled)
            } else if entry.deadline.is_some_and(|d| d <= now) {
                Some(Answer::Late)
            } else if again && entry.begun < self.sizes.attempts {
                None
            } else {
                Some(Answer::Done)
            };
            if let Some(answer) = answer {
                self.remove(id);
                effects.push(Effect::Answer(id, answer));
            }
        }
        [effects, self.assign(now)].concat()
    }

    fn free(&mut self, now: Time, slot: usize, fresh: bool) -> Vec<Effect> {
        self.places[slot].away = false;
        if fresh {
            self.places[slot].of = None;
        }
        self.assign(now)
    }

    fn assign(&mut self, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            let may =
                |e: &&Entry| e.slot.is_none() && self.running(e.tenant) < self.sizes.tenant_jobs;
            let first = self.entries.iter().filter(may).min_by_key(|e| e.rank);
            let Some(Entry {
                id,
                tenant,
                deadline,
                ..
            }) = first.cloned()
            else {
                return effects;
            };
            if deadline.is_some_and(|d| d <= now) {
                self.remove(id);
                effects.push(Effect::Answer(id, Answer::Late));
                continue;
            }
            let busy = self.places.iter().filter(|p| p.away || p.runs.is_some());
            if busy.count() >= self.sizes.workers.get() as usize {
                return effects;
            }
            let waits = |wanted: &dyn Fn(&Place) -> bool| {
                let places = self.places.iter().enumerate();
                places
                    .filter(|(_, p)| !p.away && p.runs.is_none() && wanted(p))
                    .min_by_key(|(number, p)| (p.used, *number))
                    .map(|(number, _)| number)
            };
            let own = waits(&|p| p.of == Some(tenant));
            let nobodys = || waits(&|p| p.of.is_none() && !p.cold);
            let cold = || waits(&|p| p.cold);
            let others = || waits(&|_| true);
            let slot = own.or_else(nobodys).or_else(cold).or_else(others);
            let Some(slot) = slot else {
                return effects;
            };
            let entry = self.entries.iter_mut().find(|e| e.id == id).unwrap();
            entry.begun += 1;
            entry.slot = Some(slot);
            let number = entry.begun;
            let attempt = Attempt { id, number };
            self.used += 1;
            self.places[slot] = Place {
                of: Some(tenant),
                cold: false,
                away: false,
                runs: Some((attempt, tenant)),
                used: self.used,
            };
            effects.push(Effect::Begin(slot, attempt));
        }
    }
}

fn happens() -> impl Strategy<Value = Happens> {
    let priority = prop_oneof![
        Just(Priority::High),
        Just(Priority::Normal),
        Just(Priority::Low)
    ];
    let came = prop_oneof![
        3 => Just(Came::Certain),
        1 => Just(Came::Doubtful),
        1 => Just(Came::Nothing)
    ];
    prop_oneof![
        8 => (0..TENANTS.len(), priority, proptest::option::weighted(0.3, 0..40_u64))
            .prop_map(|(tenant, priority, deadline)| Happens::Submit(tenant, priority, deadline)),
        8 => (0..4_usize, came).prop_map(|(slot, came)| Happens::End(slot, came)),
        8 => (0..4_usize, any::<bool>()).prop_map(|(slot, fresh)| Happens::Free(slot, fresh)),
        2 => (0..40_usize).prop_map(Happens::Cancel),
        2 => (0..40_usize).prop_map(Happens::Expire),
        3 => (0..20_u64).prop_map(Happens::Pass),
        1 => prop_oneof![9 => Just(Happens::Pass(1)), 1 => Just(Happens::Close), 1 => Just(Happens::CancelAll)],
    ]
}

fn sizes() -> impl Strategy<Value = Sizes> {
    (
        1..4_u32,
        0..5_u32,
        1..8_usize,
        1..5_usize,
        1..4_usize,
        1..4_u32,
    )
        .prop_map(
            |(workers, warm, queue, tenant_queue, tenant_jobs, attempts)| Sizes {
                workers: NonZeroU32::new(workers).unwrap(),
                warm,
                queue,
                tenant_queue,
                tenant_jobs,
                attempts,
                rise: Duration::from_millis(10),
            },
        )
}

/// What must hold whatever happens, checked on the effects alone.
#[derive(Default)]
struct Watched {
    taken: BTreeSet<Id>,
    answered: BTreeSet<Id>,
    runs: HashMap<usize, Attempt>,
}

impl Watched {
    fn see(&mut self, effects: &[Effect], sizes: &Sizes) -> Result<(), TestCaseError> {
        for effect in effects {
            match *effect {
                Effect::Begin(slot, attempt) => {
                    prop_assert!(!self.answered.contains(&attempt.id), "begun after its end");
                    prop_assert!(attempt.number <= sizes.attempts);
                    let twice = self.runs.values().any(|other| other.id == attempt.id);
                    prop_assert!(!twice, "runs twice");
                    prop_assert!(self.runs.insert(slot, attempt).is_none(), "a busy slot");
                }
                Effect::Kill(slot, attempt) => {
                    prop_assert_eq!(self.runs.get(&slot), Some(&attempt));
                }
                Effect::Answer(id, _) => {
                    prop_assert!(self.answered.insert(id), "answered twice");
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_does_what_its_model_does(sizes in sizes(), all in proptest::collection::vec(happens(), 0..120)) {
        let (mut schedule, mut model) = (Schedule::new(sizes), Model::new(sizes));
        let mut watched = Watched::default();
        let mut now = Time::ZERO;
        for happens in all {
            let (effects, expected) = match happens {
                Happens::Pass(more) => {
                    now += Duration::from_millis(more);
                    continue;
                }
                Happens::Submit(tenant, priority, deadline) => {
                    let deadline = deadline.map(|d| now + Duration::from_millis(d));
                    let tenant = TENANTS[tenant];
                    let taken = schedule.submit(now, tenant, priority, deadline);
                    let expected = model.submit(now, tenant, priority, deadline);
                    if let Ok((id, _)) = &taken {
                        watched.taken.insert(*id);
                    }
                    match (taken, expected) {
                        (Ok((_, effects)), Ok(expected)) => (effects, expected),
                        (taken, expected) => {
                            prop_assert_eq!(taken.map(drop), expected.map(drop));
                            continue;
                        }
                    }
                }
                Happens::Cancel(id) => (schedule.cancel(now, id as Id), model.cancel(now, id as Id)),
                Happens::Expire(id) => (schedule.expire(now, id as Id), model.expire(now, id as Id)),
                Happens::End(slot, came) => {
                    let Some(attempt) = watched.runs.remove(&slot) else { continue };
                    (schedule.ended(now, slot, attempt, came), model.ended(now, slot, came))
                }
                Happens::Free(slot, fresh) => {
                    let Some(place) = model.places.get(slot) else { continue };
                    if !place.away { continue }
                    (schedule.free(now, slot, fresh), model.free(now, slot, fresh))
                }
                Happens::Close => {
                    schedule.close();
                    model.closed = true;
                    continue;
                }
                Happens::CancelAll => {
                    let effects = schedule.cancel_all(now);
                    let mut all = model.entries.clone();
                    all.sort_by_key(|e| (e.slot.is_some(), e.id));
                    let expected = all.into_iter().flat_map(|e| model.cancel(now, e.id)).collect();
                    (effects, expected)
                }
            };
            prop_assert_eq!(&effects, &expected);
            watched.see(&effects, &sizes)?;
            prop_assert_eq!(schedule.waiting(), model.waiting(None));
            prop_assert_eq!(schedule.running(), watched.runs.len());
            prop_assert!(watched.runs.len() <= sizes.workers.get() as usize);
            for tenant in TENANTS {
                prop_assert!(model.running(tenant) <= sizes.tenant_jobs);
            }
        }
        // It can be emptied, and then nothing is left of anything.
        schedule.close();
        for round in 0_u32.. {
            prop_assert!(round < 1000, "it does not come to an end");
            let mut effects = Vec::new();
            for slot in 0..model.places.len() {
                if let Some(attempt) = watched.runs.remove(&slot) {
                    let more = schedule.ended(now, slot, attempt, Came::Certain);
                    watched.see(&more, &sizes)?;
                    effects.extend(more);
                }
                if schedule.slots[slot].state == State::Away {
                    let more = schedule.free(now, slot, true);
                    watched.see(&more, &sizes)?;
                    effects.extend(more);
                }
            }
            if effects.is_empty() {
                break;
            }
        }
        prop_assert!(schedule.is_idle());
        prop_assert_eq!(&watched.answered, &watched.taken);
        prop_assert!(schedule.tenants.is_empty() && schedule.ready.is_empty());
        prop_assert_eq!(schedule.waiting(), 0);
    }
}

#[test]
fn tenants_find_their_workers_again() {
    let sizes = Sizes {
        workers: NonZeroU32::MIN,
        warm: 3,
        ..Sizes::default()
    };
    let mut schedule = Schedule::new(sizes);
    schedule.free(Time::ZERO, 0, true);
    let mut run = |tenant: &str| {
        let taken = schedule.submit(Time::ZERO, tenant, Priority::Normal, None);
        let (_, effects) = taken.unwrap();
        let [Effect::Begin(slot, attempt)] = effects[..] else {
            panic!("{effects:?}");
        };
        schedule.ended(Time::ZERO, slot, attempt, Came::Certain);
        schedule.free(Time::ZERO, slot, false);
        slot
    };
    let turns = ["a", "b", "c", "a", "b", "c", "a", "d", "a", "c", "b"];
    // The fourth takes the place of the one that was there the longest time ago.
    assert_eq!(turns.map(&mut run), [0, 1, 2, 0, 1, 2, 0, 1, 0, 2, 1]);
}

#[test]
fn a_low_request_does_not_wait_for_ever() {
    let sizes = Sizes {
        workers: NonZeroU32::MIN,
        warm: 0,
        rise: Duration::from_secs(1),
        ..Sizes::default()
    };
    let mut schedule = Schedule::new(sizes);
    let at = |seconds| Duration::from_secs(seconds);
    let submit = |schedule: &mut Schedule, seconds, priority| {
        let taken = schedule.submit(at(seconds), "a", priority, None);
        taken.unwrap().0
    };
    let low = submit(&mut schedule, 0, Priority::Low);
    let early = submit(&mut schedule, 1, Priority::High);
    let late = submit(&mut schedule, 3, Priority::High);
    let mut order = Vec::new();
    let mut effects = schedule.free(at(3), 0, true);
    while let Some(Effect::Begin(slot, attempt)) = effects.first().copied() {
        order.push(attempt.id);
        schedule.ended(at(3), slot, attempt, Came::Certain);
        effects = schedule.free(at(3), slot, false);
    }
    assert_eq!(order, [early, low, late]);
}
