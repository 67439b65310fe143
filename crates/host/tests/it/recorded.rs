//! Recorded workers and their jobs: what is told of them, and that they come to the same classes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_host::{Limit, Outcome, Settings, Trace};
use portcullis_policy::{Policy, toml};
use portcullis_watch::record::{Ending, Fact, Sink};

use crate::faults::kill_worker;
use crate::jobs::{CASES, case};
use crate::puppet::{Puppets, settings};

/// What one recording told.
#[derive(Clone, Default, Debug)]
struct Told {
    images: BTreeMap<u32, String>,
    /// Of each image, by number.
    calls: BTreeMap<u32, (u32, u32)>,
    denied: BTreeSet<u32>,
    ended: bool,
}

#[derive(Clone, Default)]
struct All(Arc<Mutex<Vec<Told>>>);

/// One of [`All`], by its place.
struct One(All, usize);

impl All {
    fn with<T>(&self, look: impl FnOnce(&mut Vec<Told>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn settings(&self) -> Settings {
        let mut settings = settings(1);
        let all = self.clone();
        settings.record = Some(Box::new(move |name| {
            assert_eq!(name, "puppet");
            let place = all.with(|all| {
                all.push(Told::default());
                all.len() - 1
            });
            Ok(Box::new(One(all.clone(), place)) as Box<dyn Trace>)
        }));
        settings
    }
}

impl Sink for One {
    fn fact(&mut self, fact: Fact<'_>) {
        let One(all, place) = self;
        all.with(|all| match fact {
            Fact::Image { id, path, .. } => {
                all[*place].images.insert(id.0, path.display().to_string());
            }
            Fact::Call {
                id, image, made, ..
            } => {
                all[*place].calls.insert(id.0, (image.0, made.number));
            }
            Fact::Denied { call, .. } => {
                all[*place].denied.insert(call.0);
            }
            _ => {}
        });
    }
}

impl Trace for One {
    fn end(self: Box<Self>, ending: &Ending) {
        assert!(ending.calls > 0);
        self.0.with(|all| all[self.1].ended = true);
    }
}

impl Told {
    /// The calls of an image that nothing denied, and those that something did.
    fn of(&self, name: &str) -> [BTreeSet<u32>; 2] {
        let (denied, made) = self
            .calls
            .iter()
            .filter(|(_, (image, _))| self.images[image] == name)
            .partition::<Vec<_>, _>(|(id, _)| self.denied.contains(id));
        [made, denied].map(|all| all.iter().map(|(_, (_, number))| *number).collect())
    }
}

/// Whether a policy has a rule that permits each of these calls.
fn permits(text: &str, calls: &BTreeSet<u32>) -> bool {
    let policy: Policy = toml::read(text).unwrap();
    let permitted = |call: &u32| {
        let mut rules = policy.rules();
        rules.any(|rule| rule.action.permits() && rule.calls.contains(*call))
    };
    calls.iter().all(permitted)
}

const WORKER: &str = include_str!("../../../wasm/policy/execute.toml");
const JOB: &str = include_str!("../../../wasm/policy/job.toml");

#[test]
fn worker_and_jobs_are_told_apart_and_keep_to_their_policies() {
    let all = All::default();
    let puppets = Puppets::with(all.settings());
    for _ in 0..2 {
        let done = puppets.run("echo");
        assert_eq!(done.outcome, Outcome::Ok);
        assert_eq!(done.stdout, b"input");
    }
    drop(puppets);
    let all = all.with(|all| all.clone());
    let [told] = &all[..] else {
        panic!("not one worker: {all:?}");
    };
    assert!(told.ended);
    let names: Vec<&String> = told.images.values().collect();
    assert_eq!(names, ["puppet", "puppet job"]);
    let [of_worker, _] = told.of("puppet");
    let [of_jobs, denied] = told.of("puppet job");
    assert!(denied.is_empty(), "{denied:?}");
    assert!(!of_jobs.is_empty() && permits(JOB, &of_jobs), "{of_jobs:?}");
    assert!(permits(WORKER, &of_worker), "{of_worker:?}");
    // It is the worker that talks and forks.
    let recvmsg = u32::try_from(libc::SYS_recvmsg).unwrap();
    assert!(of_worker.contains(&recvmsg) && !of_jobs.contains(&recvmsg));
}

#[test]
fn each_kind_of_job_comes_to_its_class() {
    each_with(|_| {});
}

/// The same with other settings.
pub(crate) fn each_with(change: impl FnOnce(&mut Settings)) {
    let all = All::default();
    let mut settings = all.settings();
    change(&mut settings);
    let bounded = settings.memory.is_some();
    let puppets = Puppets::with(settings);
    let judged = |outcome: &Outcome| bounded || *outcome != Outcome::Limit(Limit::Memory);
    for (what, outcome, end) in CASES.iter().filter(|(_, outcome, _)| judged(outcome)) {
        let done = case(&puppets, what);
        assert_eq!(&done.outcome, outcome, "{what}: {done:?}");
        assert_eq!(done.end, Some(*end), "{what}");
        assert_eq!(puppets.run("echo").outcome, Outcome::Ok, "after {what}");
    }
    assert_eq!(puppets.pool.metrics().started, 1);
    drop(puppets);
    // What the jobs' filter denies is seen before it is denied.
    let [_, denied] = all.with(|all| all[0].of("puppet job"));
    let socket = u32::try_from(libc::SYS_socket).unwrap();
    assert!(denied.contains(&socket), "{denied:?}");
}

#[test]
fn a_worker_that_is_killed_has_a_trace_to_its_end() {
    let all = All::default();
    let puppets = Puppets::alone(all.settings());
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    kill_worker();
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    let metrics = puppets.pool.metrics();
    assert_eq!((metrics.started, metrics.died), (2, 1));
    drop(puppets);
    let ended: Vec<bool> = all.with(|all| all.iter().map(|told| told.ended).collect());
    assert_eq!(ended, [true, true]);
}

#[test]
fn one_that_cannot_be_recorded_is_not_started() {
    let mut settings = settings(1);
    settings.record = Some(Box::new(|_| Err(std::io::ErrorKind::StorageFull.into())));
    let error = portcullis_host::Pool::new(settings).err().unwrap();
    assert!(matches!(error, portcullis_host::Error::Trace(_)), "{error}");
}
