//! A validator: says of each candidate whether code that everybody has accepts it, and says nothing where another
//! machine could come to another answer.
//!
//! `validator CODE.wasm CACHE CANDIDATE…` gives each file to the module; its end decides. `valid` and `invalid` are
//! what every machine comes to; `no vote` is a matter of this one.
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use portcullis_host::{
    Cache, Error as HostError, Finished, Job, JobError, Limit, Limits, Outcome, Pool, Preparations,
    Priority, Reply, Request, Settings,
};
use portcullis_sandbox::Limits as Bounds;
use portcullis_wasm::carried;

/// How many steps a candidate may take: part of what all have agreed on, as no time can be.
const FUEL: u64 = 10_000_000;
/// How the engine calls the one trap that is not the same everywhere.
const STACK: &str = "call stack exhausted";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [code, cache, candidates @ ..] = &words[..] else {
        return Err("usage: validator CODE.wasm CACHE CANDIDATE…".into());
    };
    let preparations = Preparations::new(
        Cache::open(cache, 1 << 30)?,
        carried::prepare(),
        "cpu=60s,wall=4m,memory=1G".parse::<Bounds>()?,
        // A preparation that failed for a reason of this machine is not tried more often than that.
        Duration::from_secs(15 * 60),
        &[],
    );
    let artifact = match preparations.artifact(&fs::read(code)?, true) {
        Ok(artifact) => artifact,
        Err(error) => {
            // What the engine refuses here it refuses everywhere.
            let everywhere = matches!(*error, HostError::Refused(_));
            let answer = if everywhere { "invalid" } else { "no vote" };
            println!("code: {answer}: {error}");
            return Ok(());
        }
    };
    let mut settings = Settings::new(carried::execute());
    // What is no answer is asked for once more, by a worker that has nothing of the first.
    settings.sizes.attempts = 2;
    let pool = Pool::new(settings)?;

    let mut pending = Vec::new();
    for candidate in candidates {
        let job = Job {
            input: fs::read(candidate)?,
            arguments: vec!["code".to_owned()],
            limits: Limits {
                // Ten times what the steps take on a slow machine.
                cpu: Duration::from_secs(12),
                wall: Duration::from_secs(48),
                memory: 128 << 20,
                output: 1 << 20,
                fuel: Some(FUEL),
                ..Limits::default()
            },
            ..Job::default()
        };
        let mut request = Request::new("chain", artifact.clone(), job);
        request.priority = Priority::High;
        // When the block is decided without it.
        request.deadline = Some(Instant::now() + Duration::from_secs(60));
        pending.push((candidate, pool.submit(request)?));
    }
    for (candidate, pending) in pending {
        println!("{}: {}", candidate.display(), answer(&pending.wait()));
    }
    Ok(())
}

fn answer(finished: &Finished) -> &'static str {
    let Reply::Done(done) = &finished.reply else {
        return "no vote";
    };
    match &done.outcome {
        Outcome::Ok => "valid",
        // Steps, memory and output are counted, and come to the same everywhere.
        Outcome::Limit(Limit::Fuel | Limit::Memory | Limit::Output) => "invalid",
        // How many calls fit into each other is up to the compiler's code, which is another one for another processor.
        Outcome::JobError(JobError::Trap(text)) if text.ends_with(STACK) => "no vote",
        Outcome::JobError(JobError::Exit(_) | JobError::Trap(_) | JobError::Refused(_)) => {
            "invalid"
        }
        // Time is this machine's; a crash or a denial is no way in which this engine ends a module.
        Outcome::Limit(Limit::Cpu | Limit::Wall)
        | Outcome::JobError(JobError::Crash(_) | JobError::NoResult)
        | Outcome::Denied { .. }
        | Outcome::Ambiguous(_)
        | Outcome::Infra(_) => "no vote",
    }
}
