//! `portcullis job`: modules as jobs, each in a process of its own.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use portcullis_host::{
    Artifact, Cache, Done, Error, Finished, Found, Job, JobError, Limits, Outcome, Pool,
    Preparation, Request, Settings,
};
use portcullis_sandbox::Limits as Bounds;
use portcullis_wasm::carried;

use crate::args::{Format, JobArgs, JobRunArgs, JobVerb, PrepareArgs, PreparingArgs};
use crate::cache::store;
use crate::exit::Exit;
use crate::json::job::{Artifact as ArtifactDocument, Document};
use crate::neutral;
use crate::output::{Output, say};

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
    let (artifact, _) = artifact(&typed.module, &typed.preparing, limits.fuel.is_some())?;
    let artifact = Arc::new(artifact);
    let inputs: Vec<Option<&Path>> = match &typed.input[..] {
        [] => vec![None],
        all => all.iter().map(|path| Some(path.as_path())).collect(),
    };
    let several = inputs.len() > 1;
    let mut settings = Settings::new(carried::execute());
    let workers = &mut settings.sizes.workers;
    *workers = match several {
        true => typed.jobs.unwrap_or(*workers),
        false => NonZeroU32::MIN,
    };
    // So that none of them waits for an input to be read, and few are read.
    let ahead = workers.get() as usize * 2;
    let largest = inputs.iter().copied().map(size).max().unwrap_or(0);
    // The worker's own, the engine's, the input's copies, and what the job may have.
    let memory = limits
        .memory
        .saturating_add(64 << 20)
        .saturating_add(artifact.length().saturating_mul(2))
        .saturating_add(largest.saturating_mul(4));
    settings.memory = Some(memory);
    settings.without.clone_from(&typed.preparing.allow_insecure);
    let pool = Pool::new(settings)?;
    let mut inputs = inputs.into_iter();
    let mut waiting = VecDeque::new();
    let mut exits = Vec::new();
    loop {
        while waiting.len() < ahead
            && let Some(input) = inputs.next()
        {
            let job = job_on(typed, limits, input)?;
            let pending = pool.submit(Request::new("", Arc::clone(&artifact), job))?;
            waiting.push_back((input, pending));
        }
        let Some((input, pending)) = waiting.pop_front() else {
            break;
        };
        let finished = pending.wait();
        let input = input.filter(|_| several);
        exits.push(show(typed, input, &finished, &pool)?);
    }
    if let Some(path) = &typed.metrics {
        Output::from_option(Some(path.clone())).write_text(&pool.metrics().to_string())?;
    }
    Ok(match &exits[..] {
        [one] => *one,
        all if all.contains(&Exit::RunFailed) => Exit::RunFailed,
        all if all.iter().all(|exit| *exit == Exit::Success) => Exit::Success,
        _ => Exit::Findings,
    })
}

/// How much there may be to read.
fn size(input: Option<&Path>) -> u64 {
    let size = |path: &Path| match path.metadata() {
        Ok(found) if found.is_file() => found.len().min(MOST),
        _ => MOST,
    };
    input.map_or(0, size)
}

fn job_on(typed: &JobRunArgs, limits: Limits, input: Option<&Path>) -> Result<Job> {
    let name = typed.module.file_name().unwrap_or_default();
    let mut arguments = vec![name.to_string_lossy().into_owned()];
    arguments.extend(typed.arguments.iter().cloned());
    Ok(Job {
        input: match input {
            None => Vec::new(),
            Some(path) if path.as_os_str() == "-" => read(io::stdin().lock(), path)?,
            Some(path) => read(open(path)?, path)?,
        },
        arguments,
        environment: typed.env.clone(),
        limits,
    })
}

/// Shows what a job came to; `input` tells it apart from others.
fn show(
    typed: &JobRunArgs,
    input: Option<&Path>,
    finished: &Finished,
    pool: &Pool,
) -> Result<Exit> {
    let Some(done) = finished.done() else {
        bail!("the job was called off");
    };
    match typed.format {
        Format::Json => {
            // Of a worker that could not be started nothing is known but what others had.
            let enforced = finished.enforced.clone().or_else(|| pool.enforced());
            let document = Document::new(done, &finished.tried, input, enforced.as_deref());
            match input {
                Some(_) => Output::Stdout.write_json_line(&document)?,
                None => Output::Stdout.write_json(&document)?,
            }
        }
        Format::Text => {
            Output::Stdout.write_bytes(&done.stdout)?;
            io::stderr().write_all(&done.stderr)?;
            tell(done, input);
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
    let image = carried::prepare();
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
fn tell(done: &Done, input: Option<&Path>) {
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
    let on = input.map(|path| format!(" on {}", neutral::path(path)));
    say(&format!("the job{} {text}", on.unwrap_or_default()));
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
