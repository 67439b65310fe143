//! Runs functions as jobs, each in a confined process: those of the program `functions_worker`, which its build has audited.
//!
//! `functions policy` writes the policy under which workers are audited, `functions WORKER HASH` runs the jobs. HASH is what
//! `portcullis audit --after start WORKER POLICY` tells last; a program that carries its worker (`include_bytes!`) has it as
//! a constant beside it. `functions WORKER --allow-insecure worker-audit` goes without.
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;

use portcullis_host::{Artifact, Enforced, Job, Pool, Request, Settings, worker_image};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let image = match words[..] {
        ["policy"] => {
            print!("{}", worker_image(Vec::new()).policy);
            return Ok(());
        }
        [worker, "--allow-insecure", "worker-audit"] => {
            worker_image(std::fs::read(worker)?).unaudited()
        }
        [worker, hash] => worker_image(std::fs::read(worker)?)
            .audited_as(hash)
            .map_err(|e| e.to_string())?,
        // It is refused.
        [worker] => worker_image(std::fs::read(worker)?),
        _ => return Err("usage: functions WORKER HASH".into()),
    };
    let mut settings = Settings::new(image);
    settings.sizes.workers = NonZeroU32::MIN;
    let pool = Pool::new(settings).map_err(|e| e.to_string())?;
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
        for what in not_enforced(finished.enforced.as_deref()) {
            println!("  without {what}");
        }
    }
    Ok(())
}

/// What a result says that it lacks, but for bounds that nobody asked for.
fn not_enforced(enforced: Option<&Enforced>) -> impl Iterator<Item = &str> {
    let missing = enforced.into_iter().flat_map(|enforced| &enforced.missing);
    missing.filter(|m| m.surprises).map(|m| m.layer)
}
