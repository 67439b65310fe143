//! Many requests at once: whose turn it is, what is called off, and what becomes of workers.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis_host::{Error, Outcome, Piece, Priority, Reply, Secret, Stream};

use crate::puppet::{ENDLESS, Puppets, artifact, expected_to_lack, lacking, settings};

#[test]
fn several_workers_run_jobs_of_several_tenants() {
    let puppets = Puppets::with(settings(3));
    let all: Vec<_> = (0..60)
        .map(|number| {
            let mut request = puppets.request("echo");
            request.tenant = format!("tenant {}", number % 3);
            request.job.input = number.to_string().into_bytes();
            (number, puppets.pool.submit(request).unwrap())
        })
        .collect();
    for (number, pending) in all {
        let finished = pending.wait();
        let done = finished.done().unwrap();
        assert_eq!(done.outcome, Outcome::Ok);
        assert_eq!(done.stdout, number.to_string().as_bytes());
        assert_eq!(*finished.tenant, format!("tenant {}", number % 3));
        assert_eq!(lacking(&finished.enforced.unwrap()), expected_to_lack());
    }
    assert_eq!(puppets.pool.metrics().ended("ok"), 60);
}

#[test]
fn a_worker_sees_one_tenant_only() {
    let puppets = Puppets::start();
    let started = || puppets.pool.metrics().started;
    let before = started();
    for (tenant, more) in [("a", 0), ("a", 0), ("b", 1), ("b", 1), ("a", 2)] {
        let mut request = puppets.request("echo");
        request.tenant = tenant.to_owned();
        assert_eq!(puppets.done(request).outcome, Outcome::Ok);
        assert_eq!(started() - before, more, "after {tenant}");
    }
    // Another artifact of the same tenant needs none.
    let mut request = puppets.request("echo");
    request.tenant = "a".to_owned();
    request.artifact = artifact(b"other");
    assert_eq!(puppets.done(request).stderr, b"other");
    assert_eq!(started() - before, 2);
}

#[test]
fn a_tenant_finds_his_worker_again() {
    let mut settings = settings(1);
    settings.sizes.warm = 3;
    let puppets = Puppets::with(settings);
    let mut run = |tenant: &str| {
        let mut request = puppets.request("echo");
        request.tenant = tenant.to_owned();
        assert_eq!(puppets.done(request).outcome, Outcome::Ok);
        puppets.pool.metrics().started
    };
    // A worker each, and none is started again until there are more tenants than places.
    assert_eq!(["a", "b", "c"].map(&mut run), [1, 2, 3]);
    assert_eq!(["b", "a", "c", "b"].map(&mut run), [3; 4]);
    assert_eq!(["d", "c", "b", "a"].map(&mut run), [4, 4, 4, 5]);
    assert_eq!(puppets.pool.metrics().died, 0);
}

#[test]
fn a_secret_is_the_jobs_alone() {
    let puppets = Puppets::alone(settings(1));
    let secret = b"a secret that stands nowhere else".to_vec();
    let mut request = puppets.request("tell");
    request.job.secrets = vec![Secret::new("key", secret.clone())];
    assert!(!format!("{request:?}").contains("stands nowhere"));
    let finished = puppets.pool.run(request).unwrap();
    assert_eq!(finished.done().unwrap().stdout, secret);
    assert!(!finished.to_string().contains("stands nowhere"));
    // Neither the next job nor the worker has it.
    let done = puppets.run("tell");
    assert_eq!((done.outcome, done.stdout), (Outcome::Ok, Vec::new()));
    let (_, program) = crate::faults::worker();
    assert!(!is_in_memory(program, &secret));
    // What the search would find: the artifact, which the worker has.
    assert!(is_in_memory(program, b"artifact"));
}

#[test]
fn what_a_job_was_given_is_not_there_for_the_next() {
    let puppets = Puppets::alone(settings(1));
    let given = ["input", "argument", "variable"].map(|what| format!("the {what} of one job"));
    let [input, argument, variable] = &given;
    let mut request = puppets.request("code");
    // Larger than what is taken in one piece.
    request.job.input = input.repeat(200_000).into_bytes();
    request.job.arguments.push(argument.repeat(10));
    request.job.environment = vec![format!("NAME={}", variable.repeat(10))];
    let done = puppets.done(request);
    assert_eq!(done.outcome.class(), "job_error");
    let (_, program) = crate::faults::worker();
    for given in given {
        assert!(!is_in_memory(program, given.as_bytes()), "{given}");
    }
}

#[test]
fn a_worker_is_in_no_group_with_its_host() {
    let _puppets = Puppets::alone(settings(1));
    let (_, program) = crate::faults::worker();
    // proc_pid_stat(5): both are 0 of a process whose leaders are in a PID namespace around the reader's, or which is in the
    // session that a machine begins with; this one may be.
    let of = |pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<_> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
        [fields[3], fields[4]].map(|field| field.parse::<i32>().unwrap())
    };
    let ([group, session], [own_group, own_session]) =
        (of(program), of(std::process::id().cast_signed()));
    assert!(group > 0 && session > 0);
    assert_ne!(group, own_group);
    assert_ne!(session, own_session);
}

/// Whether what the process `pid` can write holds `bytes`.
fn is_in_memory(pid: i32, bytes: &[u8]) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let written = maps.lines().filter(|line| line.contains(" rw"));
    let mut found = false;
    for line in written {
        let (range, _) = line.split_once(' ').unwrap();
        let (begin, end) = range.split_once('-').unwrap();
        let [begin, end] = [begin, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut part = vec![0; usize::try_from(end - begin).unwrap()];
        let read = std::os::unix::fs::FileExt::read_at(&memory, &mut part, begin);
        found |= part[..read.unwrap_or(0)]
            .windows(bytes.len())
            .any(|window| window == bytes);
    }
    found
}

#[test]
fn the_course_of_a_request_is_told() {
    let puppets = Puppets::start();
    let finished = puppets.pool.run(puppets.request("echo")).unwrap();
    let [tried] = &finished.tried[..] else {
        panic!("{finished:?}");
    };
    let names: Vec<_> = tried.spans.iter().map(|span| span.name).collect();
    assert_eq!(names, ["prepare", "set-up", "run", "collect"]);
    let mut last = finished.queue.end;
    for span in &tried.spans {
        assert!(last <= span.begin && span.begin <= span.end, "{finished:?}");
        last = span.end;
    }
}

#[test]
fn what_is_called_off_is_gone() {
    let puppets = Puppets::start();
    let runs = puppets.pool.submit(puppets.endless("spin")).unwrap();
    let waits = puppets.pool.submit(puppets.request("echo")).unwrap();
    waits.cancel();
    assert_eq!(waits.wait().reply, Reply::Cancelled);
    runs.cancel();
    let finished = runs.wait();
    assert_eq!(finished.reply, Reply::Cancelled);
    // The same worker goes on.
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    let metrics = puppets.pool.metrics();
    assert_eq!((metrics.started, metrics.ended("cancelled")), (1, 2));
    // Nobody asks for it any more.
    drop(puppets.pool.submit(puppets.endless("spin")).unwrap());
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    assert_eq!(puppets.pool.metrics().ended("cancelled"), 3);
}

#[test]
fn after_its_deadline_nothing_of_a_request_counts() {
    let puppets = Puppets::start();
    let soon = || Some(Instant::now() + Duration::from_millis(50));
    let mut endless = puppets.endless("spin");
    endless.deadline = soon();
    let mut behind = puppets.request("echo");
    behind.deadline = soon();
    let (endless, behind) = (
        puppets.pool.submit(endless).unwrap(),
        puppets.pool.submit(behind).unwrap(),
    );
    assert_eq!(endless.wait().reply, Reply::Late);
    assert_eq!(behind.wait().reply, Reply::Late);
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    // Nobody waits for this one: it is ended all the same.
    let mut endless = puppets.endless("spin");
    endless.deadline = soon();
    let pending = puppets.pool.submit(endless).unwrap();
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    assert_eq!(pending.wait().reply, Reply::Late);
}

#[test]
fn a_queue_has_an_end() {
    let mut settings = settings(1);
    settings.sizes.queue = 3;
    settings.sizes.tenant_queue = 2;
    let puppets = Puppets::with(settings);
    let runs = puppets.pool.submit(puppets.endless("spin")).unwrap();
    let submit = |tenant: &str| {
        let mut request = puppets.request("echo");
        request.tenant = tenant.to_owned();
        puppets.pool.submit(request)
    };
    let taken = [submit("a"), submit("a"), submit("b")].map(Result::unwrap);
    let refused = [submit("a"), submit("b")].map(|r| r.map(drop).unwrap_err());
    assert!(refused.iter().all(|e| matches!(e, Error::Full(_))));
    runs.cancel();
    for pending in taken {
        assert_eq!(pending.wait().end(), "ok");
    }
    assert_eq!(puppets.pool.metrics().refused, 2);
    // What is too large for a worker is told before it is given one.
    let mut request = puppets.request("echo");
    request.job.arguments.push("x".repeat(200 << 10));
    assert!(matches!(
        puppets.pool.submit(request),
        Err(Error::Long { .. })
    ));
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
}

#[test]
fn turns_follow_priorities_and_tenants() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let mut settings = settings(1);
    let told = Arc::clone(&ends);
    settings.on_end = Some(Box::new(move |finished| {
        told.lock().unwrap().push(finished.id);
    }));
    let puppets = Puppets::with(settings);
    let runs = puppets.pool.submit(puppets.endless("spin")).unwrap();
    let submit = |priority| {
        let mut request = puppets.request("echo");
        request.priority = priority;
        puppets.pool.submit(request).unwrap()
    };
    let low = submit(Priority::Low);
    let normal = [submit(Priority::Normal), submit(Priority::Normal)];
    let high = submit(Priority::High);
    let expected = [
        runs.id(),
        high.id(),
        normal[0].id(),
        normal[1].id(),
        low.id(),
    ];
    runs.cancel();
    drop(runs);
    for pending in [low, high].into_iter().chain(normal) {
        pending.wait();
    }
    assert_eq!(*ends.lock().unwrap(), expected);
}

#[test]
fn a_tenant_has_no_more_than_its_share() {
    let mut settings = settings(2);
    settings.sizes.tenant_jobs = 1;
    let puppets = Puppets::with(settings);
    let first = puppets.pool.submit(puppets.endless("spin")).unwrap();
    let second = puppets.pool.submit(puppets.request("echo")).unwrap();
    // There is a worker for it, and it is not for this tenant.
    let mut other = puppets.request("echo");
    other.tenant = "other".to_owned();
    assert_eq!(puppets.done(other).outcome, Outcome::Ok);
    let metrics = puppets.pool.metrics();
    assert_eq!((metrics.running, metrics.waiting), (1, 1));
    first.cancel();
    assert_eq!(second.wait().end(), "ok");
}

#[test]
fn a_worn_worker_is_replaced() {
    let mut settings = settings(1);
    settings.lifetime = NonZeroU32::new(3).unwrap();
    let puppets = Puppets::with(settings);
    for _ in 0..7 {
        assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    }
    puppets.pool.drain();
    let metrics = puppets.pool.metrics();
    assert_eq!((metrics.recycled, metrics.died), (2, 0));
    let late = puppets.pool.submit(puppets.request("echo"));
    assert!(matches!(late, Err(Error::Closed)));
}

#[test]
fn what_a_job_writes_is_passed_on_while_it_runs() {
    let puppets = Puppets::start();
    let mut request = puppets.request("flood");
    request.streams = true;
    request.job.limits.cpu = ENDLESS;
    request.job.limits.output = 3 << 20;
    let mut pending = puppets.pool.submit(request).unwrap();
    let pieces = pending.output().unwrap();
    // The first piece comes from a job that runs.
    let Piece {
        attempt,
        stream,
        bytes,
    } = pieces.recv().unwrap();
    assert_eq!((attempt, stream), (1, Stream::Stdout));
    let rest: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    let finished = pending.wait();
    assert_eq!(finished.end(), "limit");
    assert_eq!(bytes.len() + rest, 3 << 20);
    assert!(finished.done().unwrap().stdout.is_empty());
    let line = finished.to_string();
    assert!(
        line.contains(" end=limit ") && line.contains(" kind=output "),
        "{line}"
    );
}

#[test]
fn what_a_job_says_cannot_forge_a_line_of_the_log() {
    let puppets = Puppets::start();
    let mut request = puppets.request("\nend=ok \u{202e}\u{1b}[2J\"");
    request.tenant = "a\nb".to_owned();
    let line = puppets.pool.run(request).unwrap().to_string();
    assert!(
        !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
        "{line}"
    );
    assert!(line.contains(r#"tenant="a\nb" end=job_error"#), "{line}");
    assert!(
        line.ends_with(r#"detail="\nend=ok \u{202e}\u{1b}[2J\"""#),
        "{line}"
    );
}
