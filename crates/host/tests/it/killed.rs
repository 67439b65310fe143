//! A host that is killed at each call of the thread that runs its jobs. Nothing of worker and job may be left.
//!
//! Who kills it adopts orphans, and waits until no descendant is left.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use portcullis_host::Outcome;
use portcullis_sys::process;
use portcullis_sys::ptrace::{self, Options};
use portcullis_sys::wait::{self, Change, Stop, event};

use crate::puppet::{Puppets, others, settings};
use crate::soak::groups;

/// Says to the two below that another test started them.
const STARTED: &str = "PORTCULLIS_TEST_KILLED";
/// What a host ends with that was not killed, and who kills it when all went well.
const RAN: i32 = 61;

/// Not a test: a host that has a warm worker, says which thread follows it, and runs a job when it is told.
#[test]
#[ignore = "started by another test"]
fn as_host() {
    if std::env::var_os(STARTED).is_none() {
        return;
    }
    let mut settings = settings(1);
    // It is started again and again.
    settings.unproved = true;
    let puppets = Puppets::with(settings);
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let named = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).unwrap().trim() == "worker-0"
    };
    let follower = tasks.map(Result::unwrap).find(named).unwrap();
    writeln!(
        std::io::stdout(),
        "thread {}",
        follower.file_name().display()
    )
    .unwrap();
    std::io::stdin().read_exact(&mut [0]).unwrap();
    assert_eq!(puppets.run("code").outcome.class(), "job_error");
    // While this one runs its limit is looked at.
    assert_eq!(puppets.run("spin").outcome.class(), "limit");
    drop(puppets);
    process::exit_now(RAN);
}

/// Kills a host at the call number `calls` after the beginning of its job; `false` when it ended before.
fn killed_at(calls: usize) -> bool {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::as_host", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The test harness prints lines of its own before it.
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let thread = lines.find_map(|line| line.unwrap().split_once("thread ")?.1.parse().ok());
    let thread = thread.expect("a host that begins");
    ptrace::seize(thread, Options::ALONE).unwrap();
    ptrace::interrupt(thread).unwrap();
    let stopped = wait::next_of(thread).unwrap().unwrap().1;
    assert!(matches!(
        stopped,
        Change::Stopped(Stop::Event(event::STOP, _))
    ));
    ptrace::resume_to_syscall(thread, 0).unwrap();
    host.stdin.take().unwrap().write_all(b"g").unwrap();
    // Each call stops it twice.
    let mut left = 2 * calls;
    loop {
        let stop = match wait::next_of(thread).unwrap().unwrap().1 {
            Change::Ended(..) => break,
            Change::Stopped(stop) => stop,
        };
        match stop {
            Stop::Syscall if left == 0 => host.kill().unwrap(),
            Stop::Signal(signal) => ptrace::resume_to_syscall(thread, signal).unwrap(),
            stop => {
                left -= usize::from(stop == Stop::Syscall);
                ptrace::resume_to_syscall(thread, 0).unwrap();
            }
        }
    }
    let status = host.wait().unwrap();
    match status.signal() {
        Some(libc::SIGKILL) => true,
        other => {
            assert_eq!((other, status.code()), (None, Some(RAN)));
            false
        }
    }
}

/// Not a test: kills hosts, adopts whom they leave, and waits for all.
#[test]
#[ignore = "started by another test"]
fn as_killer() {
    if std::env::var_os(STARTED).is_none() {
        return;
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    // Others may have left some as well.
    let before = groups("portcullis-");
    let mut calls = 0;
    while killed_at(calls) {
        reap_all();
        calls += 1;
    }
    reap_all();
    assert!(calls > 20, "a job of {calls} calls");
    // The last start removed the groups of those that were killed.
    let gone = |group: &String| {
        let maker = group
            .rsplit('/')
            .next()
            .and_then(|name| name.split('-').nth(1));
        maker.is_some_and(|pid| fs::metadata(format!("/proc/{pid}")).is_err())
    };
    let left = groups("portcullis-").into_iter();
    let left: Vec<String> = left
        .filter(|group| !before.contains(group) && gone(group))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    process::exit_now(RAN);
}

/// Whoever a host left is this process's now. It is not waited for in vain: who starts this does not wait for ever.
fn reap_all() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::empty()) {}
}

#[test]
fn nothing_is_left_of_a_host_that_is_killed() {
    // Its process is a child of this one.
    let _company = others();
    let killer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::as_killer", "--ignored", "--nocapture"])
        .env(STARTED, "")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let handle = process::handle(killer.id().cast_signed()).unwrap();
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || done.send(killer.wait_with_output()));
    match ended.recv_timeout(Duration::from_secs(600)) {
        Ok(output) => assert_eq!(output.unwrap().status.code(), Some(RAN)),
        Err(_) => {
            process::signal_process(handle.as_fd(), libc::SIGKILL).unwrap();
            panic!("something of a host that was killed is still there");
        }
    }
}
