//! Sandboxes that are ready before their jobs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as Standard};

use portcullis_policy::ActionMap;
use portcullis_sandbox::{
    Confinement, Error, Features, Filter, Job, Mode, Outcome, Plan, Pool, Program, Spec, Stdio,
    Unlisted,
};
use portcullis_watch::Denial;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::following::{Following, all_but};
use crate::harness::{Built, build, turn};

const PROGRAM: &str = "PORTCULLIS_TEST_POOL";

fn plan(program: &Path, confinement: Confinement) -> Result<Plan, Error> {
    let spec = Spec {
        program: Program::open(program)?,
        arguments: vec![program.into()],
        environment: Vec::new(),
        mode: Mode::Enforce,
        traced: false,
        allowed: 0,
        mapped: Vec::new(),
        unlisted: Unlisted::Allow,
        keep: Vec::new(),
        standard: [const { None }; 3],
        confinement,
    };
    Plan::new(spec, &Features::probe())
}

/// A pool of at most `most` sandboxes for `program`, in which only chroot is denied.
fn pool(most: usize, program: &Path) -> Pool<Vec<Denial>> {
    pool_under("", most, program)
}

fn pool_under(limits: &str, most: usize, program: &Path) -> Pool<Vec<Denial>> {
    let mut confinement = Confinement::new("/".into());
    if !limits.is_empty() {
        confinement.limits = limits.parse().unwrap();
    }
    let policy = all_but(&["chroot"]);
    let filter = Filter::parked(&policy, &ActionMap::seen()).unwrap();
    let program = program.to_owned();
    let make = move || Ok((plan(&program, confinement.clone())?, filter.arm()?));
    Pool::new(most, make, move || Following(policy.clone())).unwrap()
}

fn job(words: &[&str]) -> Job {
    words.iter().fold(Job::new("job"), Job::arg)
}

/// What a job writes, and how it ends.
fn said(pool: &Pool<Vec<Denial>>, words: &[&str]) -> (Outcome, String) {
    let job = job(words).env("NAME", "value").stdout(Stdio::Pipe);
    let mut running = pool.start(job).unwrap();
    let mut text = String::new();
    let mut output = running.stdout.take().unwrap();
    output.read_to_string(&mut text).unwrap();
    (running.wait().unwrap().outcome, text)
}

#[test]
fn a_job_has_its_words_its_streams_and_its_verdict() {
    let _turn = turn();
    for flags in [&[][..], &["-static"]] {
        let built = build("job", flags);
        let pool = pool(2, &built.path);
        let exited = |code, text: &str| (Outcome::Exited(code), text.to_owned());
        assert_eq!(
            said(&pool, &["say", "a", "b"]),
            exited(0, "a\nb\nNAME=value\n")
        );
        assert_eq!(said(&pool, &["descriptors"]), exited(0, "0\n1\n2\n"));
        let verdict = pool.run(job(&["denied"])).unwrap();
        assert_eq!(verdict.outcome, Outcome::Denied);
        assert_eq!(verdict.report.len(), 1);
        assert!(
            verdict
                .enforced
                .iter()
                .any(|layer| layer.layer == "filesystem")
        );
        pool.close();
    }
}

#[test]
fn nothing_of_one_job_is_there_for_the_next() {
    let _turn = turn();
    let built = build("job", &[]);
    let pool = pool(1, &built.path);
    for _ in 0..3 {
        let verdict = pool.run(job(&["mark", "/dev/shm/mark"])).unwrap();
        assert_eq!(verdict.outcome, Outcome::Exited(0));
        let verdict = pool.run(job(&["leave"])).unwrap();
        assert_eq!(verdict.outcome, Outcome::Exited(0));
    }
}

/// Each job has the whole of it.
#[test]
fn what_a_job_writes_is_counted_and_cut() {
    let _turn = turn();
    let built = build("job", &[]);
    let pool = pool_under("output=100", 1, &built.path);
    let long = "x".repeat(200);
    for _ in 0..2 {
        let (ended, text) = said(&pool, &["say", &long]);
        assert_eq!((ended, &*text), (Outcome::Limit("output"), &long[..100]));
        let (ended, text) = said(&pool, &["say", "short"]);
        assert_eq!((ended, &*text), (Outcome::Exited(0), "short\nNAME=value\n"));
    }
    pool.close();
}

#[test]
fn a_job_that_cannot_be_told_is_refused() {
    let _turn = turn();
    let built = build("job", &[]);
    let pool = pool(1, &built.path);
    let long = "x".repeat(200 << 10);
    let refused = pool.run(job(&["say", &long])).unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    let directory = OwnedFd::from(fs::File::open("/").unwrap());
    let refused = pool.run(job(&["copy"]).stdin(Stdio::File(directory)));
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    // Neither was told to a sandbox.
    assert_eq!(
        said(&pool, &["say"]),
        (Outcome::Exited(0), "NAME=value\n".to_owned())
    );
    assert_eq!(pool.died(), 0);
}

#[test]
fn why_no_sandbox_can_be_made_is_told_to_who_asks() {
    let _turn = turn();
    let make = || Err(Error::Invalid("not today".to_owned()));
    let pool: Pool<Vec<Denial>> = Pool::new(1, make, || Following(all_but(&[]))).unwrap();
    for _ in 0..2 {
        let refused = pool.run(job(&[])).unwrap_err();
        assert_eq!(refused.to_string(), "not today");
    }
    pool.close();
}

/// The processes that this one is the parent of.
fn children() -> BTreeSet<i32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let lists = tasks.flat_map(|task| fs::read_to_string(task.unwrap().path().join("children")));
    let words = lists.map(|list| {
        list.split_whitespace()
            .map(|w| w.parse().unwrap())
            .collect()
    });
    words.flat_map(|numbers: Vec<i32>| numbers).collect()
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn groups() -> usize {
    let tree = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
    let trees = tree("/sys/fs/cgroup".into()).map(|entry| entry.path());
    let all = trees.chain(["/sys/fs/cgroup".into()]).flat_map(tree);
    let own = format!("portcullis-{}-", std::process::id());
    all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&own))
        .count()
}

/// Waits until the process of `handle` has ended.
fn ended(handle: &OwnedFd) {
    poll(&mut [PollFd::new(handle, PollFlags::IN)], None).unwrap();
}

fn handle(pid: i32) -> OwnedFd {
    pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap()
}

/// Not a test: a process of its own, whose children are the pool's alone.
#[test]
#[ignore = "started by the other tests of this file"]
fn as_embedder() {
    let Some(program) = std::env::var_os(PROGRAM).map(PathBuf::from) else {
        return;
    };
    let before = open_files();
    let mounts = fs::read("/proc/self/mountinfo").unwrap();
    let own = pool(2, &program);
    for _ in 0..5 {
        let verdict = own.run(job(&["mark", "/dev/shm/mark"])).unwrap();
        assert_eq!(verdict.outcome, Outcome::Exited(0));
    }
    own.wait_for(2).unwrap();
    let waiting = children();
    assert_eq!(waiting.len(), 2, "an init for each sandbox");

    // One that ends while it waits: the other takes the job, and it is replaced.
    let first = *waiting.first().unwrap();
    let handle = handle(first);
    kill_process(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    // An init ends after all that is below it, which its tracer has reaped by then.
    ended(&handle);
    for _ in 0..2 {
        let verdict = own.run(job(&["mark", "/dev/shm/mark"])).unwrap();
        assert_eq!(verdict.outcome, Outcome::Exited(0));
    }
    own.wait_for(2).unwrap();
    assert_eq!(own.died(), 1);
    drop(handle);

    own.close();
    assert_eq!(children(), BTreeSet::new());
    assert_eq!(open_files(), before);
    assert_eq!(groups(), 0);
    assert_eq!(fs::read("/proc/self/mountinfo").unwrap(), mounts);

    // For the test that kills this process: one runs and one waits.
    let own = pool(2, &program);
    let mut running = own.start(job(&["wait"]).stdout(Stdio::Pipe)).unwrap();
    let mut line = String::new();
    BufReader::new(running.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    own.wait_for(1).unwrap();
    let all: Vec<String> = children().iter().map(i32::to_string).collect();
    writeln!(std::io::stdout(), "sandboxes {}", all.join(" ")).unwrap();
    // Until it is killed.
    running.wait().unwrap();
}

/// Ends what a failing test would leave behind.
struct Embedder(Child);

impl Drop for Embedder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn embedder(built: &Built) -> Embedder {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "pool::as_embedder", "--ignored", "--nocapture"])
        .env(PROGRAM, &built.path)
        .stdin(Standard::null())
        .stdout(Standard::piped());
    Embedder(command.spawn().unwrap())
}

/// The first half of the embedder's work, and its death: neither leaves anything.
#[test]
fn a_pool_leaves_nothing_behind_and_replaces_what_ends() {
    let built = build("job", &[]);
    let mut embedder = embedder(&built);
    let mut output = BufReader::new(embedder.0.stdout.take().unwrap());
    let mut line = String::new();
    let sandboxes = loop {
        line.clear();
        assert_ne!(
            output.read_line(&mut line).unwrap(),
            0,
            "the embedder failed"
        );
        if let Some(at) = line.find("sandboxes ") {
            break line[at + 10..].to_owned();
        }
    };
    let handles: Vec<OwnedFd> = sandboxes
        .split_whitespace()
        .map(|w| handle(w.parse().unwrap()))
        .collect();
    assert_eq!(handles.len(), 2, "{sandboxes}");
    embedder.0.kill().unwrap();
    embedder.0.wait().unwrap();
    handles.iter().for_each(ended);
}
