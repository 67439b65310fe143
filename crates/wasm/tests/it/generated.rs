//! Modules that nobody wrote: whatever they do, the compiler's process and the jobs' processes make no call that their
//! filters end them for. What is generated depends on a number alone.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_host::{
    ALLOCATIONS, Artifact, Error, Given, Job, JobError, Limits, Outcome, Pool, Preparation,
    Request, Settings, prepare,
};
use portcullis_wasm::carried;

use crate::generator;

/// Steps of a job: what loops ends soon, and at the same place everywhere.
const FUEL: u64 = 1_000_000;

#[test]
fn no_generated_module_meets_its_filter() {
    all(0..300);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --full"]
fn no_generated_module_of_thousands_meets_its_filter() {
    all(1_000..6_000);
}

/// Prepares and runs the modules of these numbers.
fn all(numbers: std::ops::Range<u64>) {
    let mut settings = Settings::new(carried::execute());
    settings.sizes.workers = NonZeroU32::new(2).unwrap();
    settings.memory = Some(512 << 20);
    let pool = Pool::new(settings).unwrap();
    let next = AtomicU64::new(numbers.start);
    let ends = Mutex::new(BTreeMap::<String, u64>::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        return;
                    }
                    let end = end(number, &pool);
                    *ends.lock().unwrap().entry(end).or_default() += 1;
                }
            });
        }
    });
    let ends = ends.into_inner().unwrap();
    // Most are modules, which do something and come to different ends.
    let ran: u64 = ["ok", "trap", "fuel"]
        .iter()
        .map(|end| ends.get(*end).copied().unwrap_or(0))
        .sum();
    let wanted = ["ok", "trap", "fuel"]
        .iter()
        .all(|end| ends.contains_key(*end));
    assert!(wanted && ran * 2 > numbers.end - numbers.start, "{ends:?}");
}

/// What the module comes to; only what is the module's own affair is an end.
fn end(number: u64, pool: &Pool) -> String {
    let Some(module) = module(number) else {
        return "none".to_owned();
    };
    let preparation = Preparation {
        module: &module,
        metered: true,
        bounds: portcullis_sandbox::Limits::default(),
        allocations: ALLOCATIONS,
    };
    let artifact = match prepare(&carried::prepare(), &preparation, &[]) {
        Ok(artifact) => Arc::new(Artifact::trusted(&artifact).unwrap()),
        Err(Error::Refused(_)) => return "not prepared".to_owned(),
        Err(error) => panic!("module {number}: {error}"),
    };
    let given = |name: &str| Given {
        name: name.to_owned(),
        bytes: vec![9; 300],
        executable: false,
    };
    let job = Job {
        files: vec![given("a"), given("d/b")],
        wanted: ["a", "d/b", "d", "c"].map(str::to_owned).to_vec(),
        input: vec![7; 1000],
        arguments: vec!["module".to_owned()],
        environment: vec!["NAME=value".to_owned()],
        limits: Limits {
            cpu: Duration::from_secs(60),
            wall: Duration::from_secs(600),
            memory: 64 << 20,
            output: 1 << 20,
            fuel: Some(FUEL),
            ..Limits::default()
        },
        ..Job::default()
    };
    let finished = pool.run(Request::new("tenant", artifact, job)).unwrap();
    let done = finished.done().unwrap();
    let files = done.files.iter();
    assert!(
        done.end.is_none() || files.len() == 4,
        "module {number}: {done:?}"
    );
    match &done.outcome {
        Outcome::Ok => "ok".to_owned(),
        Outcome::JobError(JobError::Exit(_)) => "exit".to_owned(),
        Outcome::JobError(JobError::Trap(_)) => "trap".to_owned(),
        // The engine does not begin it, or ends it with an error that is no trap.
        Outcome::JobError(JobError::Refused(_)) => "refused".to_owned(),
        Outcome::Limit(limit) => limit.name().to_owned(),
        other => panic!("module {number}: {other:?}, {done:?}"),
    }
}

/// The module of a number; too few bytes make none.
fn module(number: u64) -> Option<Vec<u8>> {
    let length = 512 + usize::try_from(number % 16).ok()? * 1024;
    generator::module(&random(number, length))
}

/// Bytes without a pattern: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), begun with `seed`.
fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..length.div_ceil(8))
        .flat_map(|_| next().to_le_bytes())
        .collect()
}
