//! The workers of the example `functions`: functions that are run as jobs, and nothing else. Build it statically
//! (`RUSTFLAGS=-Ctarget-feature=+crt-static`, with `--target`).

use std::fs::File;

use portcullis_host::{Function, Results, Task, worker_main};

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

fn main() {
    worker_main(FUNCTIONS)
}
