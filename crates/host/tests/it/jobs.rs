//! What each kind of job comes to. After every bad one the same worker runs a good one.

use std::path::Path;
use std::time::Duration;

use portcullis_host::{CpuOf, Done, Given, JobError, Limit, NotTaken, Outcome, PeakOf, Request};
use portcullis_sys::wait::End;

use crate::puppet::{ENDLESS, Puppets, artifact, expected_to_lack, lacking};
use crate::soak::groups;

const SIGSYS: End = End::Signaled(31);
const SIGKILL: End = End::Signaled(9);
const DENIED: Outcome = Outcome::Denied {
    layer: "seccomp",
    call: None,
};

/// Of glibc's `ABORT_INSTRUCTION`: `hlt` on x86_64, `brk` on aarch64.
const ABORTED: i32 = match cfg!(target_arch = "aarch64") {
    true => 5,
    false => 11,
};

/// What it is told, the class, and the kernel's record.
pub(crate) const CASES: &[(&str, Outcome, End)] = &[
    ("code", Outcome::JobError(JobError::Exit(3)), End::Exited(0)),
    (
        "silent",
        Outcome::JobError(JobError::NoResult),
        End::Exited(0),
    ),
    // Codes that other tools give a meaning buy none.
    (
        "silent-code",
        Outcome::JobError(JobError::NoResult),
        End::Exited(126),
    ),
    ("spin", Outcome::Limit(Limit::Cpu), SIGKILL),
    ("flood", Outcome::Limit(Limit::Output), SIGKILL),
    ("open", DENIED, SIGSYS),
    ("socket", DENIED, SIGSYS),
    ("thread", DENIED, SIGSYS),
    ("sleep", DENIED, SIGSYS),
    ("fork", DENIED, SIGSYS),
    // Signals to itself, to the worker, and what would hold it: none is sent.
    ("sigsys", DENIED, SIGSYS),
    ("sigkill", DENIED, SIGSYS),
    ("sigxcpu", DENIED, SIGSYS),
    ("kill-worker", DENIED, SIGSYS),
    ("stop-worker", DENIED, SIGSYS),
    ("trace-worker", DENIED, SIGSYS),
    ("dup", DENIED, SIGSYS),
    // Closing is none of its calls either.
    ("close", DENIED, SIGSYS),
    // The C library's abort(3) cannot raise its signal, and ends at an instruction that nobody may execute.
    (
        "panic",
        Outcome::JobError(JobError::Crash(ABORTED)),
        End::Signaled(ABORTED),
    ),
    (
        "abort",
        Outcome::JobError(JobError::Crash(ABORTED)),
        End::Signaled(ABORTED),
    ),
    (
        "recurse",
        Outcome::JobError(JobError::Crash(11)),
        End::Signaled(11),
    ),
    ("memory", Outcome::Limit(Limit::Memory), SIGKILL),
];

/// Bad last words, or none: the class does not depend on how fast the host ends it.
const LIARS: &[&str] = &["lie", "long", "empty", "after", "push", "push-endlessly"];

/// What becomes of a job of [`CASES`].
pub(crate) fn case(puppets: &Puppets, what: &str) -> Done {
    let mut request = puppets.request(what);
    if what != "spin" {
        // However slow the machine is.
        request.job.limits.cpu = ENDLESS;
    }
    puppets.done(request)
}

#[test]
fn each_kind_of_job_comes_to_its_class() {
    let puppets = Puppets::start();
    for (what, outcome, end) in CASES {
        let done = case(&puppets, what);
        assert_eq!(&done.outcome, outcome, "{what}: {done:?}");
        assert_eq!(done.end, Some(*end), "{what}");
        good(&puppets, what);
    }
}

#[test]
fn what_is_no_result_is_none() {
    let puppets = Puppets::start();
    for what in LIARS {
        let done = puppets.run(what);
        match done.outcome {
            Outcome::JobError(JobError::NoResult) => {}
            // It was ended for what it said, by the host and for no limit.
            Outcome::Ambiguous(_) => panic!("{what} bought a second try: {done:?}"),
            other => panic!("{what}: {other:?}"),
        }
        good(&puppets, what);
    }
}

#[test]
fn files_go_with_the_request_and_come_with_the_results() {
    let puppets = Puppets::start();
    let large: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let given = |name: &str, bytes: &[u8]| Given {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
        executable: false,
    };
    let request = |what: &str, wanted: &[&str]| {
        let mut request = puppets.request(what);
        let files = [
            given("a", b"first"),
            given("d/large", &large),
            given("none", b""),
        ];
        request.job.files = files.to_vec();
        request.job.wanted = wanted.iter().map(|name| (*name).to_owned()).collect();
        request
    };
    let files = |done: &Done| -> Vec<_> { done.files.iter().map(|f| f.content.clone()).collect() };
    let wanted = ["d/large", "b", "none", "a"];
    let done = puppets.done(request("hand-over", &wanted));
    assert_eq!(done.outcome, Outcome::Ok, "{done:?}");
    let (missing, ended) = (NotTaken::Missing, NotTaken::Ended);
    let all = [
        Ok(large.clone()),
        Err(missing),
        Ok(Vec::new()),
        Ok(b"first".to_vec()),
    ];
    assert_eq!(files(&done), all);
    let mut bounded = request("hand-over", &wanted);
    bounded.job.limits.output = 100;
    let done = puppets.done(bounded);
    let within = [
        Err(NotTaken::TooLarge),
        Err(missing),
        Ok(Vec::new()),
        Ok(b"first".to_vec()),
    ];
    assert_eq!(
        (&done.outcome, files(&done)),
        (&Outcome::Ok, within.to_vec())
    );
    // What ends well without a word of them has none, and of what does not end well nothing is taken.
    let done = puppets.done(request("echo", &wanted[..2]));
    assert_eq!(
        (done.stdout.as_slice(), files(&done)),
        (&b"input"[..], vec![Err(missing); 2])
    );
    for (what, outcome) in [
        ("begin-to-hand-over", Outcome::JobError(JobError::NoResult)),
        ("push", Outcome::JobError(JobError::NoResult)),
        ("spin", Outcome::Limit(Limit::Cpu)),
    ] {
        let done = puppets.done(request(what, &wanted[..1]));
        assert_eq!(
            (&done.outcome, files(&done)),
            (&outcome, vec![Err(ended)]),
            "{what}"
        );
    }
    let mut flood = request("hand-over", &wanted);
    flood.job.wanted = vec!["../a".to_owned()];
    assert!(puppets.pool.submit(flood).is_err());
    good(&puppets, "files");
}

fn good(puppets: &Puppets, after: &str) {
    let done = puppets.run("echo");
    assert_eq!(done.outcome, Outcome::Ok, "after {after}");
    assert_eq!(done.stdout, b"input", "after {after}");
    assert_eq!(done.stderr, b"artifact", "after {after}");
}

#[test]
fn what_is_measured_is_the_job() {
    let puppets = Puppets::start();
    let of = match of_jobs("cgroup.procs") {
        true => CpuOf::Job,
        false => CpuOf::Process,
    };
    let done = puppets.run("spin");
    assert_eq!(done.cpu_of, Some(of));
    let cpu = Duration::from_nanos(done.cpu_ns);
    assert!(cpu >= Duration::from_millis(200), "{cpu:?}");
    assert!(done.wall_ns >= done.cpu_ns);
    assert!(done.peak_memory_bytes > 0);
    let done = puppets.run("flood");
    assert_eq!(done.stdout.len(), 1 << 20);
}

/// Whether the workers of this process have groups for their jobs, in which `file` is.
fn of_jobs(file: &str) -> bool {
    let groups = groups(&format!("portcullis-{}-", std::process::id()));
    let mut groups = groups.iter().map(|group| Path::new(group).join("fork"));
    groups.any(|group| group.join(file).exists())
}

/// A group of jobs is used for one after another, whatever became of the one before.
#[test]
fn the_time_of_one_job_is_not_that_of_the_next() {
    let puppets = Puppets::start();
    for what in ["spin", "echo", "flood", "echo", "sigkill", "echo"] {
        let done = puppets.run(what);
        let spun = done.cpu_ns >= 200_000_000;
        assert_eq!(spun, what == "spin", "{what}: {done:?}");
        let apart = done.cpu_of == Some(CpuOf::Job);
        assert_eq!(apart, of_jobs("cgroup.procs"), "{what}: {done:?}");
    }
}

/// The peak is of the job before which it was forgotten, whatever that says.
#[test]
fn a_peak_of_memory_is_of_one_job() {
    const GROWN: u64 = 64 << 20;
    let puppets = Puppets::start();
    let of = match of_jobs("memory.peak") {
        true => PeakOf::Job,
        false => PeakOf::WorkerAndJob,
    };
    for (what, has_grown) in [
        ("echo", false),
        ("grow", true),
        ("echo", false),
        ("grow-and-lie", true),
        ("echo", false),
    ] {
        let done = puppets.done(puppets.endless(what));
        assert_eq!(done.peak_memory_of, Some(of));
        assert_eq!(
            done.peak_memory_bytes >= GROWN,
            has_grown,
            "{what}: {done:?}"
        );
        assert!(done.peak_memory_bytes > 0);
    }
}

#[test]
fn the_clock_ends_what_the_processor_does_not() {
    let puppets = Puppets::start();
    let mut request = puppets.request("spin");
    request.job.limits.cpu = Duration::from_secs(100);
    request.job.limits.wall = Duration::from_millis(50);
    let done = puppets.done(request);
    assert_eq!(done.outcome, Outcome::Limit(Limit::Wall));
    assert!(done.wall_ns >= 50_000_000);
}

/// What it would gain by an end of its own at that moment: another class, or a second try.
#[test]
fn an_end_timed_against_the_kill_is_one_or_the_other() {
    let puppets = Puppets::start();
    let mut request = puppets.endless("count");
    request.job.arguments.push("20000000".to_owned());
    timed_against_the_kill(&request, |request| puppets.done(request));
    good(&puppets, "count");
}

/// Runs a job that takes always as long, under limits about there.
pub(crate) fn timed_against_the_kill(request: &Request, run: impl Fn(Request) -> Done) {
    let took = run(request.clone()).cpu_ns;
    for part in 60..140 {
        let mut request = request.clone();
        request.job.limits.cpu = Duration::from_nanos(took * part / 100);
        let done = run(request);
        match (&done.outcome, done.end) {
            (Outcome::Ok, Some(End::Exited(0))) | (Outcome::Limit(Limit::Cpu), Some(_)) => {}
            _ => panic!("{part}: {done:?}"),
        }
    }
}

#[test]
fn an_artifact_that_the_engine_does_not_take_is_told() {
    let puppets = Puppets::start();
    let mut request = puppets.request("echo");
    request.artifact = artifact(b"bad");
    let refused = Outcome::JobError(JobError::Refused("a bad artifact".to_owned()));
    // It is asked for anew each time, and what was loaded before it is not taken for it.
    assert_eq!(puppets.done(request.clone()).outcome, refused);
    good(&puppets, "a bad artifact");
    assert_eq!(puppets.done(request).outcome, refused);
}

#[test]
fn every_layer_holds() {
    let puppets = Puppets::start();
    let enforced = puppets.pool.enforced().unwrap();
    let layers: Vec<&str> = enforced.layers.iter().map(|l| l.layer).collect();
    for layer in [
        "seccomp",
        "namespaces",
        "filesystem",
        "network",
        "landlock",
        "limits",
        "worker-proof",
    ] {
        assert!(layers.contains(&layer), "{layer}: {layers:?}");
    }
    assert_eq!(lacking(&enforced), expected_to_lack());
}
