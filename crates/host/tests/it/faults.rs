//! Workers that are killed, stopped, or end by themselves, before and while they have a job.

use std::fs;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use portcullis_host::{Outcome, Reply};
use portcullis_sys::process;
use rustix::event::{PollFd, PollFlags, poll};

use crate::puppet::{Puppets, artifact, settings};

/// The one worker of this process: the init of its namespaces, which is a child of this process, and its program.
fn worker() -> (i32, i32) {
    let children = |path: String| {
        let text = fs::read_to_string(path).unwrap();
        let numbers = text.split_whitespace().map(|n| n.parse().unwrap());
        numbers.collect::<Vec<i32>>()
    };
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let tasks = tasks.map(|task| task.unwrap().path().display().to_string());
    let inits: Vec<i32> = tasks
        .flat_map(|task| children(format!("{task}/children")))
        .collect();
    let [init] = inits[..] else {
        panic!("not one worker: {inits:?}");
    };
    match children(format!("/proc/{init}/task/{init}/children"))[..] {
        [program] => (init, program),
        ref other => panic!("not one program: {other:?}"),
    }
}

fn signal(pid: i32, signal: i32) {
    let handle = process::handle(pid).unwrap();
    process::signal_process(handle.as_fd(), signal).unwrap();
}

/// Kills the worker's program and waits until its init is gone, and with it everything.
fn kill_worker() {
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
