//! A hundred thousand jobs, good and bad, of several tenants: each comes to its class, and nothing is left of them.
//!
//! It takes minutes, and belongs to `cargo xtask test --full`.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use portcullis_host::{Pending, Request};

use crate::puppet::{Puppets, settings};

const JOBS: u32 = 100_000;
/// After so many, what is held is compared with what is held in the end.
const WARM: u32 = 10_000;
/// How many are asked for at the same time.
const AT_ONCE: usize = 64;

/// What a job is told, what it must come to, and how often there is one among the good.
const BAD: &[(&str, &str, u32)] = &[
    ("code", "job_error", 7),
    ("silent-code", "job_error", 11),
    ("panic", "job_error", 13),
    ("recurse", "job_error", 101),
    ("lie", "job_error", 17),
    ("after", "job_error", 19),
    ("open", "denied", 23),
    ("fork", "denied", 29),
    ("sigkill", "denied", 31),
    ("flood", "limit", 97),
    ("spin", "limit", 103),
    ("memory", "limit", 5003),
];

fn what(number: u32) -> (&'static str, &'static str) {
    let due = BAD.iter().find(|(.., every)| number.is_multiple_of(*every));
    due.map_or(("echo", "ok"), |(what, end, _)| (what, end))
}

fn request(puppets: &Puppets, number: u32) -> Request {
    let (what, _) = what(number);
    let mut request = puppets.request(what);
    request.tenant = format!("tenant {}", number / 500 % 5);
    request.job.limits.output = 64 << 10;
    if what == "spin" {
        request.job.limits.cpu = Duration::from_millis(5);
    }
    if what == "memory" {
        request.job.limits.cpu = Duration::from_secs(100);
    }
    request
}

/// What this process holds, and what a pool makes for a while.
#[derive(PartialEq, Eq, Debug)]
struct Held {
    descriptors: usize,
    tasks: usize,
    children: usize,
    groups: usize,
    temporary: usize,
}

impl Held {
    fn now() -> Held {
        let count = |path: &str| fs::read_dir(path).unwrap().count();
        let children = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            text.split_whitespace().count()
        };
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let own = format!("portcullis-{}-", std::process::id());
        let mut temporary = BTreeSet::new();
        named(Path::new("/tmp"), &own, 0, &mut temporary);
        Held {
            descriptors: count("/proc/self/fd"),
            tasks: count("/proc/self/task"),
            children: tasks.map(|task| children(task.unwrap())).sum(),
            groups: groups(&own).len(),
            temporary: temporary.len(),
        }
    }
}

/// The control groups whose names begin with `name`.
pub(crate) fn groups(name: &str) -> BTreeSet<String> {
    let mut groups = BTreeSet::new();
    named(Path::new("/sys/fs/cgroup"), name, 4, &mut groups);
    groups
}

/// The directories below `directory`, so deep, whose names begin with `name`.
fn named(directory: &Path, name: &str, deep: u32, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(name) {
            found.insert(entry.path().display().to_string());
        } else if deep > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            named(&entry.path(), name, deep - 1, found);
        }
    }
}

/// Resident memory in pages (proc_pid_statm(5)).
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Runs the jobs of these numbers, many at the same time.
fn run(puppets: &Puppets, numbers: std::ops::Range<u32>) {
    let mut asked: VecDeque<(u32, Pending)> = VecDeque::new();
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() || !asked.is_empty() {
        while asked.len() < AT_ONCE
            && let Some(number) = numbers.next()
        {
            let pending = puppets.pool.submit(request(puppets, number)).unwrap();
            asked.push_back((number, pending));
        }
        if let Some((number, pending)) = asked.pop_front() {
            let (what, end) = what(number);
            let finished = pending.wait();
            assert_eq!(finished.end(), end, "{number} {what}: {finished:?}");
            assert_eq!(finished.tried.len(), 1, "{number} {what}: {finished:?}");
        }
    }
}

#[test]
#[ignore = "takes minutes: cargo xtask test --full"]
fn a_hundred_thousand_jobs_leave_nothing() {
    let without = Held::now();
    let mut settings = settings(2);
    settings.lifetime = NonZeroU32::new(200).unwrap();
    let puppets = Puppets::alone(settings);
    run(&puppets, 1..WARM);
    let (before, pages) = (Held::now(), resident());
    run(&puppets, WARM..JOBS + 1);
    let (after, pages_after) = (Held::now(), resident());
    assert_eq!(after, before);
    // 4 MiB: what an allocator keeps varies.
    assert!(
        pages_after <= pages + 1024,
        "{pages} pages, then {pages_after}"
    );
    let metrics = puppets.pool.metrics();
    assert_eq!((metrics.died, metrics.not_started), (0, 0));
    assert!(metrics.recycled > 0);
    let ends = ["ok", "job_error", "limit", "denied"].map(|end| metrics.ended(end));
    assert_eq!(ends.iter().sum::<u64>(), u64::from(JOBS), "{metrics}");
    drop(puppets);
    assert_eq!(Held::now(), without);
}
