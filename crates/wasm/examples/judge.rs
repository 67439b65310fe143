//! A judge: a submission is prepared once and run on every test, several at a time.
//!
//! `judge SUBMISSION.wasm TESTS CACHE` runs the module on each `NAME.in` of the directory TESTS and compares what it
//! writes with `NAME.out`. One line per test, and one for all.
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_host::{
    Cache, Finished, Job, Limit, Limits, Outcome, Pool, Preparations, Reply, Request, Settings,
};
use portcullis_sandbox::Limits as Bounds;
use portcullis_wasm::carried;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [submission, tests, cache] = &words[..] else {
        return Err("usage: judge SUBMISSION.wasm TESTS CACHE".into());
    };
    let preparations = Preparations::new(
        Cache::open(cache, 1 << 30)?,
        carried::prepare(),
        // A submission may be made to keep the compiler busy.
        "cpu=10s,wall=60s,memory=512M".parse::<Bounds>()?,
        Duration::from_secs(60),
        &[],
    );
    let artifact = match preparations.artifact(&fs::read(submission)?, false) {
        Ok(artifact) => artifact,
        Err(error) => {
            println!("compile error: {error}");
            return Ok(());
        }
    };
    let mut settings = Settings::new(carried::execute());
    settings.memory = Some(256 << 20);
    let pool = Pool::new(settings)?;

    let mut pending = Vec::new();
    for name in names(tests)? {
        let job = Job {
            input: fs::read(tests.join(&name).with_extension("in"))?,
            arguments: vec!["submission".to_owned()],
            limits: Limits {
                cpu: Duration::from_secs(1),
                wall: Duration::from_secs(60),
                memory: 64 << 20,
                output: 1 << 20,
                ..Limits::default()
            },
            ..Job::default()
        };
        let request = Request::new("contestant", artifact.clone(), job);
        pending.push((name, pool.submit(request)?));
    }
    let mut right = 0;
    let all = pending.len();
    for (name, pending) in pending {
        let expected = fs::read(tests.join(&name).with_extension("out"))?;
        let verdict = verdict(&pending.wait(), &expected);
        right += usize::from(verdict == "right");
        println!("{name}: {verdict}");
    }
    println!("{right} of {all}");
    Ok(())
}

/// What a contestant is told. What is nobody's fault is not called his.
fn verdict(finished: &Finished, expected: &[u8]) -> &'static str {
    let Reply::Done(done) = &finished.reply else {
        return "not judged";
    };
    match &done.outcome {
        Outcome::Ok if done.stdout == expected => "right",
        Outcome::Ok => "wrong",
        Outcome::Limit(Limit::Cpu | Limit::Wall | Limit::Fuel) => "too slow",
        Outcome::Limit(Limit::Memory) => "too much memory",
        Outcome::Limit(Limit::Output) => "too much output",
        Outcome::JobError(_) => "failed",
        Outcome::Denied { .. } => "forbidden",
        Outcome::Ambiguous(_) | Outcome::Infra(_) => "not judged",
    }
}

/// The tests' names, in order.
fn names(tests: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(tests)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "in")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
