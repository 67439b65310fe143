//! `portcullis job`: modules as jobs, each in a process of its own.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use portcullis_host::{
    Artifact, Cache, Done, Error, Found, Job, JobError, Limits, Outcome, Preparation, Worker,
};
use portcullis_sandbox::Limits as Bounds;
use portcullis_wasm::{execute_image, prepare_image};

use crate::args::{Format, JobArgs, JobRunArgs, JobVerb, PrepareArgs, PreparingArgs};
use crate::cache::store;
use crate::exit::Exit;
use crate::json::job::{Artifact as ArtifactDocument, Document};
use crate::neutral;
use crate::output::{Output, say};

/// The programs that this command carries.
mod carried {
    include!(concat!(env!("OUT_DIR"), "/workers.rs"));
}

/// The largest module and the largest input that are read.
const MOST: u64 = 64 << 20;

/// Runs the verb. What is about the job is its exit code; what is about this command is an error.
pub(crate) fn job(typed: JobArgs) -> Exit {
    let done = match &typed.verb {
        JobVerb::Prepare(typed) => prepare(typed),
        JobVerb::Run(typed) => run(typed),
    };
    match done {
        Ok(exit) => exit,
        Err(error) => {
            say(&format!("{error:#}"));
            match error.downcast_ref::<Error>() {
                Some(Error::Refused(_) | Error::TooLarge(_)) => Exit::Findings,
                _ => Exit::RunFailed,
            }
        }
    }
}

fn prepare(typed: &PrepareArgs) -> Result<Exit> {
    let (artifact, found) = artifact(&typed.module, &typed.preparing, false)?;
    let bytes = artifact.length();
    match typed.format {
        Format::Json => Output::Stdout.write_json(&ArtifactDocument::new(bytes, found))?,
        Format::Text => {
            let how = match found {
                Found::Kept => "was prepared before",
                Found::Made => "prepared",
                Found::MadeAgain => "prepared again: what was kept had been changed",
            };
            let text = format!("{}: {how}, {bytes} bytes\n", neutral::path(&typed.module));
            Output::Stdout.write_text(&text)?;
        }
    }
    Ok(Exit::Success)
}

fn run(typed: &JobRunArgs) -> Result<Exit> {
    let limits = Limits::of(&typed.limit);
    let input = match &typed.input {
        None => Vec::new(),
        Some(path) if path.as_os_str() == "-" => read(io::stdin().lock(), Path::new("-"))?,
        Some(path) => read(open(path)?, path)?,
    };
    let (artifact, _) = artifact(&typed.module, &typed.preparing, limits.fuel.is_some())?;
    let name = typed.module.file_name().unwrap_or_default();
    let mut arguments = vec![name.to_string_lossy().into_owned()];
    arguments.extend(typed.arguments.iter().cloned());
    let job = Job {
        input,
        arguments,
        environment: typed.env.clone(),
        limits,
    };
    let image = execute_image(carried::EXECUTE, carried::EXECUTE_SHA256);
    let without = &typed.preparing.allow_insecure;
    // The worker's own, the engine's, the input's copies, and what the job may have.
    let memory = limits
        .memory
        .saturating_add(64 << 20)
        .saturating_add(artifact.length().saturating_mul(2))
        .saturating_add((job.input.len() as u64).saturating_mul(4));
    let mut worker = Worker::start(&image, artifact, Some(memory), without)?;
    let enforced = worker.enforced().clone();
    let done = worker.run(job)?;
    match typed.format {
        Format::Json => Output::Stdout.write_json(&Document::new(&done, &enforced))?,
        Format::Text => {
            Output::Stdout.write_bytes(&done.stdout)?;
            io::stderr().write_all(&done.stderr)?;
            tell(&done);
        }
    }
    Ok(exit(&done.outcome))
}

/// The artifact of a module.
fn artifact(module: &Path, typed: &PreparingArgs, metered: bool) -> Result<(Artifact, Found)> {
    let bytes = read(open(module)?, module)?;
    let mut bounds = Bounds {
        cpu: Some(Duration::from_secs(60)),
        wall: Some(Duration::from_secs(240)),
        memory: Some(1 << 30),
        ..Bounds::default()
    };
    for limit in &typed.prepare_limit {
        bounds.merge(*limit);
    }
    let directory = store::directory().context(
        "neither XDG_CACHE_HOME nor HOME is an absolute path: there is no place for artifacts",
    )?;
    let cache = Cache::open(&directory.join("artifacts"), typed.cache_size)?;
    let image = prepare_image(carried::PREPARE, carried::PREPARE_SHA256);
    let wanted = Preparation {
        module: &bytes,
        metered,
        bounds,
    };
    let found = cache.artifact(&image, &wanted, &typed.allow_insecure);
    found.with_context(|| neutral::path(module).into_owned())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("opening {}", neutral::path(path)))
}

fn read(from: impl io::Read, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {}", neutral::path(path)))?;
    if bytes.len() as u64 > MOST {
        bail!("{} is larger than {MOST} bytes", neutral::path(path));
    }
    Ok(bytes)
}

/// One line about an end that is not "ok".
fn tell(done: &Done) {
    let text = match &done.outcome {
        Outcome::Ok | Outcome::JobError(JobError::Exit(_)) => return,
        Outcome::JobError(JobError::Trap(what)) => format!("trap: {}", neutral::text(what)),
        Outcome::JobError(JobError::Crash(signal)) => format!("crashed by signal {signal}"),
        Outcome::JobError(JobError::NoResult) => "ended without a result".to_owned(),
        Outcome::JobError(JobError::Refused(why)) => {
            format!("cannot be begun: {}", neutral::text(why))
        }
        Outcome::Limit(limit) => format!("is over its limit of {}", limit.name()),
        Outcome::Denied { layer } => {
            format!("was ended by its {layer} layer; the kernel does not say for which call")
        }
        Outcome::Ambiguous(why) => format!("may have ended for any reason: {why}"),
        Outcome::Infra(why) => format!("could not be run: {why}"),
    };
    say(&format!("the job {text}"));
}

fn exit(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Ok => Exit::Success,
        Outcome::JobError(JobError::Exit(code)) => {
            // A code is cut as the kernel would, but never to success.
            let cut = u8::try_from(code & 0xff).unwrap_or(1);
            Exit::Program(cut.max(1))
        }
        // As after abort(3), which engines of other makers use for it.
        Outcome::JobError(JobError::Trap(_)) => Exit::Signal(6),
        Outcome::JobError(JobError::Crash(signal)) => {
            Exit::Signal(u8::try_from(*signal).unwrap_or(0))
        }
        Outcome::JobError(JobError::NoResult | JobError::Refused(_)) => Exit::Findings,
        Outcome::Limit(_) => Exit::Program(124),
        Outcome::Denied { .. } => Exit::Signal(31),
        Outcome::Ambiguous(_) | Outcome::Infra(_) => Exit::RunFailed,
    }
}
