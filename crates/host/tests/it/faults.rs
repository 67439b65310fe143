//! Workers that are killed, stopped, or end by themselves, before and while they have a job.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_host::{Outcome, Reply};
use portcullis_sys::process;
use rustix::event::{PollFd, PollFlags, poll};

use crate::puppet::{Puppets, artifact, settings};

/// The children of a thread, by its directory.
fn children_at(task: &Path) -> Vec<i32> {
    let text = fs::read_to_string(task.join("children")).unwrap();
    let numbers = text.split_whitespace().map(|n| n.parse().unwrap());
    numbers.collect()
}

/// The children of a process with one thread.
fn children(pid: i32) -> Vec<i32> {
    children_at(Path::new(&format!("/proc/{pid}/task/{pid}")))
}

/// The one worker of this process: the init of its namespaces, which is a child of this process, and its program.
pub(crate) fn worker() -> (i32, i32) {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let inits: Vec<i32> = tasks
        .flat_map(|task| children_at(&task.unwrap().path()))
        .collect();
    let [init] = inits[..] else {
        panic!("not one worker: {inits:?}");
    };
    match children(init)[..] {
        [program] => (init, program),
        ref other => panic!("not one program: {other:?}"),
    }
}

fn signal(pid: i32, signal: i32) {
    let handle = process::handle(pid).unwrap();
    process::signal_process(handle.as_fd(), signal).unwrap();
}

/// Kills the worker's program and waits until its init is gone, and with it everything.
pub(crate) fn kill_worker() {
    let (init, program) = worker();
    let handle = process::handle(init).unwrap();
    signal(program, libc::SIGKILL);
    let mut one = [PollFd::new(&handle, PollFlags::IN)];
    poll(&mut one, None).unwrap();
}

#[test]
fn one_that_dies_while_it_waits_costs_no_job() {
    let puppets = Puppets::alone(settings(1));
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    kill_worker();
    let finished = puppets.pool.run(puppets.request("echo")).unwrap();
    assert_eq!(finished.end(), "ok");
    assert_eq!(finished.tried.len(), 1);
    let metrics = puppets.pool.metrics();
    assert_eq!((metrics.started, metrics.died), (2, 1));
}

#[test]
fn one_that_dies_with_its_job_has_it_tried_again_by_the_next() {
    let puppets = Puppets::alone(settings(1));
    let mut request = puppets.endless("speak-and-spin");
    request.streams = true;
    let mut pending = puppets.pool.submit(request).unwrap();
    let pieces = pending.output().unwrap();
    assert_eq!(pieces.recv().unwrap().attempt, 1);
    kill_worker();
    // The next try speaks too.
    assert!(pieces.iter().any(|piece| piece.attempt == 2));
    pending.cancel();
    let finished = pending.wait();
    assert_eq!(finished.reply, Reply::Cancelled);
    let [first, second] = &finished.tried[..] else {
        panic!("{finished:?}");
    };
    for tried in [first, second] {
        assert!(matches!(tried.outcome, Outcome::Ambiguous(_)), "{tried:?}");
    }
    assert_eq!(puppets.pool.metrics().retried, 1);
}

#[test]
fn a_job_whose_workers_die_is_tried_so_often_and_no_more() {
    let puppets = Puppets::start();
    let mut request = puppets.request("echo");
    request.artifact = artifact(b"fatal");
    let finished = puppets.pool.run(request).unwrap();
    assert_eq!(finished.end(), "infra", "{finished:?}");
    assert_eq!(finished.tried.len(), 3);
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    assert_eq!(puppets.pool.metrics().died, 3);
}

#[test]
fn what_comes_from_a_worker_that_was_stopped_comes_too_late() {
    let puppets = Puppets::alone(settings(1));
    let (_, program) = worker();
    signal(program, libc::SIGSTOP);
    let mut request = puppets.request("echo");
    request.deadline = Some(Instant::now() + Duration::from_millis(50));
    let finished = puppets.pool.run(request).unwrap();
    assert_eq!(finished.reply, Reply::Late);
    assert!(finished.tried.is_empty());
    signal(program, libc::SIGCONT);
    // It is the same one, and what it has done meanwhile is nobody's answer.
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    let metrics = puppets.pool.metrics();
    assert_eq!((metrics.started, metrics.died), (1, 0));
    assert_eq!((metrics.ended("late"), metrics.ended("ok")), (1, 1));
}

/// A job runs when its worker is held; called off, it is gone before the worker goes on, and that is the same one.
fn held_while_its_job_runs<T>(hold: impl FnOnce(i32) -> T, let_go: impl FnOnce(i32, T)) {
    let puppets = Puppets::alone(settings(1));
    let mut request = puppets.endless("speak-and-spin");
    request.streams = true;
    let mut pending = puppets.pool.submit(request).unwrap();
    let pieces = pending.output().unwrap();
    assert_eq!(pieces.recv().unwrap().attempt, 1);
    let (_, program) = worker();
    let [job] = children(program)[..] else {
        panic!("not one job");
    };
    let job = process::handle(job).unwrap();
    let held = hold(program);
    pending.cancel();
    let mut one = [PollFd::new(&job, PollFlags::IN)];
    poll(&mut one, None).unwrap();
    let_go(program, held);
    assert_eq!(pending.wait().reply, Reply::Cancelled);
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    let metrics = puppets.pool.metrics();
    assert_eq!((metrics.started, metrics.died), (1, 0));
}

#[test]
fn where_memory_is_short_the_job_goes_first_its_worker_next_and_the_host_last() {
    let mark = |pid: i32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    let own = mark(i32::try_from(std::process::id()).unwrap());
    held_while_its_job_runs(
        |program| {
            let [job] = children(program)[..] else {
                panic!("not one job");
            };
            // An ordinary user's worker is another user, whose mark is not to be changed.
            let path = format!("/proc/{program}/oom_score_adj");
            let may = fs::File::options().write(true).open(path).is_ok();
            // The host's own mark counts where it is above that.
            let next = own.trim().parse::<i32>().unwrap().max(900);
            let expected = match may {
                true => ["1000\n".to_owned(), format!("{next}\n")],
                false => [own.clone(), own],
            };
            assert_eq!([mark(job), mark(program)], expected);
        },
        |_, ()| {},
    );
}

#[test]
fn a_job_ends_without_its_worker_that_is_stopped() {
    let stop = |worker| signal(worker, libc::SIGSTOP);
    held_while_its_job_runs(stop, |worker, ()| signal(worker, libc::SIGCONT));
}

#[test]
fn a_job_ends_without_its_worker_that_is_frozen() {
    let freeze = |worker| {
        let group = Frozen::of(worker);
        group.freeze("1");
        group
    };
    held_while_its_job_runs(freeze, |_, group| group.freeze("0"));
}

/// A control group of version 2 with the worker and its job.
struct Frozen {
    group: PathBuf,
    /// Where they came from, when the group was made for this.
    from: Option<(PathBuf, Vec<i32>)>,
}

impl Frozen {
    fn of(worker: i32) -> Frozen {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = roots
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists());
        let root = root.expect("this test needs control groups of version 2");
        let text = fs::read_to_string(format!("/proc/{worker}/cgroup")).unwrap();
        let own = text
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .unwrap();
        let group = root.join(own);
        if !own.is_empty() {
            return Frozen { group, from: None };
        }
        // The worker's limits are kept by groups of version 1.
        let made = root.join(format!("test-frozen-{worker}"));
        fs::create_dir(&made).unwrap();
        let all = [vec![worker], children(worker)].concat();
        for pid in &all {
            fs::write(made.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        Frozen {
            group: made,
            from: Some((group, all)),
        }
    }

    fn freeze(&self, value: &str) {
        fs::write(self.group.join("cgroup.freeze"), value).unwrap();
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some((from, all)) = &self.from {
            for pid in all {
                // The job is gone.
                let _ = fs::write(from.join("cgroup.procs"), pid.to_string());
            }
            fs::remove_dir(&self.group).unwrap();
        }
    }
}
