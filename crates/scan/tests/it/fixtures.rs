//! Small programs whose system calls are known exactly: `testdata/scan`.
//!
//! Each source says in its head how it is built and what the scan must find ([`expectation`]).
//! Every build of every source is scanned and compared, and the builds that can run are run
//! under `strace`, which keeps the expectations honest: a call that a program is seen to make
//! must be expected. Set `FIXTURE` to a part of a name to work on some of them.

mod build;
mod expectation;
mod outcome;
mod trace;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use portcullis_abi::SyscallSet;
use portcullis_scan::LinkRequest;
use portcullis_scan::files::HostFiles;

use build::Build;
use expectation::Expectation;
use outcome::Outcome;

/// Far beyond what any fixture needs, also on a busy machine: a scan must end.
const LONGEST_SCAN: Duration = Duration::from_secs(300);

/// What is under test.
fn scan_of(path: &Path) -> Result<SyscallSet, String> {
    let program = path.to_owned();
    let (done, result) = mpsc::channel();
    // A scan that does not end keeps its thread; the test fails and with it the process ends.
    let worker = std::thread::spawn(move || {
        let scanned =
            portcullis_scan::scan(&HostFiles::default(), &program, &LinkRequest::default());
        // Nobody listens any more once the test gave up.
        let _ = done.send(scanned.map(|scan| scan.set).map_err(|e| e.to_string()));
    });
    match result.recv_timeout(LONGEST_SCAN) {
        Ok(scanned) => scanned,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!(
            "the scan has not ended after {} s",
            LONGEST_SCAN.as_secs()
        )),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let _ = worker.join();
            Err("the scan panicked".into())
        }
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/scan")
}

#[test]
fn every_fixture_has_exactly_its_calls() {
    let chosen = std::env::var("FIXTURE").unwrap_or_default();
    let mut missing = BTreeSet::new();
    let mut work = Vec::new();
    let fixtures = read_all(&chosen);
    assert!(
        !fixtures.is_empty(),
        "no fixture has {chosen:?} in its name"
    );
    for expectation in &fixtures {
        for build in &expectation.builds {
            missing.extend(build.missing_tool());
            work.push((expectation, build));
        }
    }
    missing.extend(trace::missing_tool());
    assert!(
        missing.is_empty(),
        "the fixtures cannot be built: {}",
        missing.into_iter().collect::<Vec<_>>().join("; ")
    );
    let outcomes = check_all(&work);
    let mut wrong: Vec<String> = outcomes
        .iter()
        .flat_map(|(e, b, o)| {
            let line = |problem| format!("{} [{}]: {problem}", e.name, b.words);
            o.wrong.iter().map(line)
        })
        .collect();
    for expectation in &fixtures {
        let mut closed = expectation.gap.clone();
        for (_, _, outcome) in outcomes.iter().filter(|(e, ..)| e.name == expectation.name) {
            closed.retain(|n| !outcome.gaps.contains(n));
        }
        if !closed.is_empty() {
            let names = outcome::names(&closed);
            wrong.push(format!(
                "{}: this gap is closed, remove it: {names}",
                expectation.name
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} builds of {} fixtures checked, mismatches:\n{}\n",
        work.len(),
        work.len(),
        fixtures.len(),
        wrong.join("\n")
    );
    if chosen.is_empty() {
        assert!(fixtures.len() >= 201, "only {} fixtures", fixtures.len());
    }
}

fn read_all(chosen: &str) -> Vec<Expectation> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(sources())
        .expect("testdata/scan is there")
        .map(|e| e.expect("its entries can be read").path())
        .filter(|p| p.is_file())
        .filter(|p| p.to_string_lossy().contains(chosen))
        .collect();
    paths.sort();
    let read =
        |p: &PathBuf| Expectation::read(p).unwrap_or_else(|e| panic!("{}: {e}", p.display()));
    paths.iter().map(read).collect()
}

type Checked<'a> = (&'a Expectation, &'a Build, Outcome);

/// Checks on threads of our own: the scan uses rayon's, and would wait for ever for those that
/// wait for it.
fn check_all<'a>(work: &[(&'a Expectation, &'a Build)]) -> Vec<Checked<'a>> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let worker = || {
        let mut done = Vec::new();
        while let Some(&(expectation, build)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((expectation, build, check(expectation, build)));
        }
        done
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let joined = workers
            .into_iter()
            .map(|w| w.join().expect("no check panics"));
        let mut all: Vec<Checked<'a>> = joined.flatten().collect();
        all.sort_by(|a, b| (&a.0.name, &a.1.words).cmp(&(&b.0.name, &b.1.words)));
        all
    })
}

/// One build of one fixture: made, scanned, compared, run.
fn check(expectation: &Expectation, build: &Build) -> Outcome {
    let built = match build.make(expectation) {
        Ok(built) => built,
        Err(problem) => return Outcome::of(problem),
    };
    let scanned = scan_of(&built.program);
    let mut outcome = match &scanned {
        Ok(set) => outcome::compare(expectation, &built, set),
        Err(problem) => Outcome::of(format!("not scanned: {problem}")),
    };
    let set = scanned.as_ref().ok();
    outcome
        .wrong
        .extend(trace::check(expectation, build, &built, set));
    outcome
}
