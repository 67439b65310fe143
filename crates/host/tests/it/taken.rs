//! Control groups that are taken away while a pool runs, by who may write the machine's: jobs end with a class, and the
//! pool goes on with groups of its own again.

use std::fs;
use std::path::Path;

use portcullis_host::{Outcome, Reply, Request};
use portcullis_sys::process;
use rustix::event::{PollFd, PollFlags, poll};

use crate::exec::Programs;
use crate::faults::worker;
use crate::groups::{removed, stranger};
use crate::puppet::{ENDLESS, Puppets, nobody, settings};
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
        let members = fs::read_to_string(group.join("cgroup.procs")).unwrap();
        let outside = group.parent().unwrap().join("cgroup.procs");
        for pid in members.lines() {
            fs::write(&outside, pid).unwrap();
        }
        fs::remove_dir(group).unwrap();
    }
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
    let puppets = Puppets::alone(settings(1));
    let mut stranger = stranger();
    let all = groups(&format!("portcullis-{}-", std::process::id()));
    for group in &all {
        let members = Path::new(group).join("cgroup.procs");
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
        removed(Path::new(&group)).unwrap();
    }
}

#[test]
fn a_program_whose_group_is_taken_is_tried_again_in_another() {
    let programs = Programs::among(nobody());
    let first = first_without_groups(&programs.pool, programs.request(&["speak-and-spin"]));
    assert!(is_named(&first), "{first:?}");
}
