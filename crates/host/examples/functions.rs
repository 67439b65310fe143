//! A program that runs functions of its own as jobs, each in a confined process: build it statically
//! (`RUSTFLAGS=-Ctarget-feature=+crt-static`, with `--target`).
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::fs::File;
use std::num::NonZeroU32;
use std::sync::Arc;

use portcullis_host::{
    Artifact, Function, Job, Pool, Request, Results, Settings, Task, own_image, worker_main,
};

/// What jobs can be.
const FUNCTIONS: &[(&str, Function)] = &[
    ("sum", sum),
    ("greet", greet),
    ("fail", |_, _, _| 3),
    ("divide", divide),
    ("open", |_, _, _| i32::from(File::open("/").is_err())),
];

/// Adds the numbers of its input.
fn sum(task: &Task, _: &[u8], results: &mut Results) -> i32 {
    let text = String::from_utf8_lossy(&task.input);
    let sum: i64 = text
        .split_whitespace()
        .filter_map(|word| word.parse::<i64>().ok())
        .sum();
    i32::from(results.stdout(sum.to_string().as_bytes()).is_err())
}

/// Greets as the artifact says.
fn greet(task: &Task, artifact: &[u8], results: &mut Results) -> i32 {
    let done = results
        .stdout(artifact)
        .and_then(|()| results.stdout(&task.input));
    i32::from(done.is_err())
}

/// Panics: its process ends, and nothing else.
fn divide(task: &Task, _: &[u8], _: &mut Results) -> i32 {
    let by = i32::try_from(task.arguments.len()).unwrap_or(1) - 1;
    std::hint::black_box(1) / std::hint::black_box(by)
}

fn main() -> Result<(), Box<dyn Error>> {
    // Does not return in a worker.
    worker_main(FUNCTIONS);

    let mut settings = Settings::new(own_image()?);
    settings.sizes.workers = NonZeroU32::MIN;
    let pool = Pool::new(settings)?;
    let artifact = Arc::new(Artifact::trusted(b"hello, ")?);
    for (function, input) in [
        ("sum", "20 22"),
        ("greet", "world"),
        ("fail", ""),
        ("divide", ""),
        ("open", ""),
        ("none", ""),
    ] {
        let job = Job {
            input: input.into(),
            arguments: vec![function.to_owned()],
            ..Job::default()
        };
        let finished = pool.run(Request::new("tenant", Arc::clone(&artifact), job))?;
        let done = finished.done().ok_or("it was called off")?;
        let mut line = format!("{function}: {}", done.outcome.class());
        let kind = done.outcome.kind().map(|kind| format!(" {kind}"));
        line += &kind.unwrap_or_default();
        let more = done.outcome.detail();
        let more = more.or_else(|| Some(String::from_utf8_lossy(&done.stdout).into_owned()));
        line += &more
            .filter(|m| !m.is_empty())
            .map_or(String::new(), |m| format!(": {m}"));
        println!("{line}");
    }
    Ok(())
}
