//! Control groups that are taken away while a pool runs, by who may write the machine's: jobs end with a class, and the
//! pool goes on with groups of its own again.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_host::{Outcome, Reply, Request};
use portcullis_sys::process;
use rustix::event::{PollFd, PollFlags, poll};

use crate::exec::Programs;
use crate::faults::worker;
use crate::groups::{removed, stranger};
use crate::puppet::{ENDLESS, Puppets, artifact, nobody, settings};
use crate::soak::groups;

/// Moves everything out of the groups that this process has made, and removes them.
fn take_groups() {
    let all = groups(&format!("portcullis-{}-", std::process::id()));
    assert!(
        !all.is_empty(),
        "this test needs groups of its own: be root"
    );
    for group in all {
        let group = Path::new(&group);
        let outside = group.parent().unwrap().join("cgroup.procs");
        for group in below(group).iter().map(PathBuf::as_path).chain([group]) {
            let members = fs::read_to_string(group.join("cgroup.procs")).unwrap();
            for pid in members.lines() {
                fs::write(&outside, pid).unwrap();
            }
            removed(group).unwrap();
        }
    }
}

/// The groups in `group`.
fn below(group: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(group).unwrap().map(|entry| entry.unwrap());
    let groups = all.filter(|entry| entry.file_type().unwrap().is_dir());
    groups.map(|entry| entry.path()).collect()
}

/// Takes the groups away when a first try of `request` runs, and calls the second one off: what the first came to.
fn first_without_groups(pool: &portcullis_host::Pool, mut request: Request) -> Outcome {
    request.job.limits.cpu = ENDLESS;
    request.job.limits.wall = ENDLESS;
    request.streams = true;
    let mut pending = pool.submit(request).unwrap();
    let pieces = pending.output().unwrap();
    assert_eq!(pieces.recv().unwrap().attempt, 1);
    take_groups();
    // The next try speaks too.
    assert!(pieces.iter().any(|piece| piece.attempt == 2));
    pending.cancel();
    let finished = pending.wait();
    assert_eq!(finished.reply, Reply::Cancelled);
    assert_eq!(finished.tried.len(), 2, "{finished:?}");
    finished.tried[0].outcome.clone()
}

fn is_named(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Infra(why) if why.contains("control group"))
}

#[test]
fn a_job_whose_group_is_taken_is_tried_again_in_another() {
    let puppets = Puppets::alone(settings(1));
    let first = first_without_groups(&puppets.pool, puppets.request("speak-and-spin"));
    assert!(is_named(&first), "{first:?}");
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    // What bounds it is there again.
    assert_eq!(puppets.run("memory").outcome.class(), "limit");
    let metrics = puppets.pool.metrics();
    assert_eq!((metrics.started, metrics.died), (2, 1));
}

#[test]
fn a_worker_that_waits_without_its_group_is_replaced() {
    let puppets = Puppets::alone(settings(1));
    let (init, _) = worker();
    let handle = process::handle(init).unwrap();
    take_groups();
    let mut one = [PollFd::new(&handle, PollFlags::IN)];
    poll(&mut one, None).unwrap();
    let finished = puppets.pool.run(puppets.request("echo")).unwrap();
    assert_eq!((finished.end(), finished.tried.len()), ("ok", 1));
}

#[test]
fn a_worker_that_is_not_alone_in_its_group_has_no_job() {
    beside_a_stranger(|_| true);
}

/// Where memory has a hierarchy of its own (version 1), those who are there alone are seen as well.
#[test]
fn a_worker_whose_memory_is_counted_with_that_of_others_has_no_job() {
    beside_a_stranger(|group| group.join("memory.max_usage_in_bytes").exists());
}

/// A stranger comes into the groups of a worker that are `wanted`, or into all where none is.
fn beside_a_stranger(wanted: impl Fn(&Path) -> bool) {
    let puppets = Puppets::alone(settings(1));
    let mut stranger = stranger();
    let mut all = groups(&format!("portcullis-{}-", std::process::id()));
    if all.iter().any(|group| wanted(Path::new(group))) {
        all.retain(|group| wanted(Path::new(group)));
    }
    // Where there are groups below, the one with the worker: a group with controllers for others takes nobody.
    let within = |group: &str| {
        let group = Path::new(group);
        let below = below(group);
        let mut own = below.iter().filter(|below| below.ends_with("program"));
        own.next().map_or(group.to_owned(), PathBuf::clone)
    };
    for group in &all {
        let members = within(group).join("cgroup.procs");
        fs::write(members, stranger.id().to_string()).unwrap();
    }
    let finished = puppets.pool.run(puppets.request("echo")).unwrap();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert_eq!((finished.end(), finished.tried.len()), ("ok", 2));
    let first = &finished.tried[0].outcome;
    let named =
        matches!(first, Outcome::Infra(why) if why.contains("not alone in its control group"));
    assert!(named, "{first:?}");
    // The pool could not, while somebody was there.
    for group in all {
        let own = within(&group);
        removed(&own).unwrap();
        if own != Path::new(&group) {
            removed(Path::new(&group)).unwrap();
        }
    }
}

#[test]
fn a_worker_that_leaves_a_process_of_its_own_has_no_job() {
    let puppets = Puppets::alone(settings(1));
    let mut request = puppets.request("echo");
    request.artifact = artifact(b"helper");
    let finished = puppets.pool.run(request).unwrap();
    let last = &finished.tried.last().unwrap().outcome;
    let named =
        matches!(last, Outcome::Infra(why) if why.contains("not alone in its control group"));
    assert!(named, "{finished:?}");
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
}

#[test]
fn a_program_whose_group_is_taken_is_tried_again_in_another() {
    let programs = Programs::among(nobody());
    let first = first_without_groups(&programs.pool, programs.request(&["speak-and-spin"]));
    assert!(is_named(&first), "{first:?}");
}
