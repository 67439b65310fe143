//! `portcullis job`: untrusted programs as jobs, each in a process of its own.

#[cfg(feature = "wasm")]
mod module;
mod program;
mod recorded;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use portcullis_host::{
    Artifact, Done, Error, Finished, Given, Job, JobError, Limits, Outcome, Pool, Request, Secret,
    Settings, Span, Taken,
};

use crate::args::{EngineArg, Format, Insecure, JobArgs, JobRunArgs, JobVerb};
use crate::exit::Exit;
use crate::json::job::Document;
use crate::json::spans;
use crate::neutral;
use crate::output::{self, Output, say};
use recorded::Recorded;

/// The largest module and the largest input that are read.
const MOST: u64 = 64 << 20;

/// Runs the verb. What is about the job is its exit code; what is about this command is an error.
pub(crate) fn job(typed: JobArgs) -> Exit {
    let done = match &typed.verb {
        #[cfg(feature = "wasm")]
        JobVerb::Prepare(typed) => module::prepare(typed),
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

fn run(typed: &JobRunArgs) -> Result<Exit> {
    let limits = Limits::of(&typed.limit);
    let inputs: Vec<Option<&Path>> = match &typed.input[..] {
        [] => vec![None],
        all => all.iter().map(|path| Some(path.as_path())).collect(),
    };
    let several = inputs.len() > 1;
    if several && !typed.take.is_empty() && typed.format == Format::Text {
        bail!(
            "the files of several jobs have the same names: take them with --format json, or from one job"
        );
    }
    let files = given(typed)?;
    let given: u64 = files.iter().map(|file| file.bytes.len() as u64).sum();
    let largest = inputs.iter().copied().map(size).max().unwrap_or(0);
    let (before, began) = (SystemTime::now(), Instant::now());
    let Ready {
        artifact,
        arguments,
        mut settings,
    } = ready(typed, limits, largest.saturating_add(given))?;
    let made = Span {
        name: "artifact",
        begin: before,
        end: before + began.elapsed(),
    };
    let mut courses = String::new();
    let template = Job {
        arguments,
        environment: typed.env.clone(),
        secrets: secrets(typed)?,
        files,
        wanted: typed.take.clone(),
        limits,
        ..Job::default()
    };
    let workers = &mut settings.sizes.workers;
    *workers = match several && typed.record.is_none() {
        true => typed.jobs.unwrap_or(*workers),
        false => NonZeroU32::MIN,
    };
    // So that none of them waits for an input to be read, and few are read.
    let ahead = workers.get() as usize * 2;
    settings.without = typed.without();
    settings.unproved = typed.allow_insecure.contains(&Insecure::WorkerProof);
    // They are all of one tenant.
    settings.sizes.warm = 0;
    let recorded = Recorded::default();
    settings.record = typed
        .record
        .as_ref()
        .map(|path| recorded.runs_of(path, typed.policy.as_deref()));
    let pool = Pool::new(settings)?;
    let mut inputs = inputs.into_iter();
    let mut waiting = VecDeque::new();
    let mut exits = Vec::new();
    loop {
        while waiting.len() < ahead
            && let Some(input) = inputs.next()
        {
            let job = Job {
                input: content(input)?,
                ..template.clone()
            };
            let pending = pool.submit(Request::new("", Arc::clone(&artifact), job))?;
            waiting.push_back((input, pending));
        }
        let Some((input, pending)) = waiting.pop_front() else {
            break;
        };
        let finished = pending.wait();
        if typed.spans.is_some() {
            courses += &output::json_line(&spans::request(&finished, &made)?)?;
        }
        let input = input.filter(|_| several);
        exits.push(show(typed, input, &finished, &pool)?);
    }
    if let Some(path) = &typed.spans {
        Output::from_option(Some(path.clone())).write_text(&courses)?;
    }
    if let Some(path) = &typed.metrics {
        Output::from_option(Some(path.clone())).write_text(&pool.metrics().to_string())?;
    }
    // Its workers' traces end with them.
    drop(pool);
    if let Some(path) = &typed.record {
        recorded.finish(path)?;
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

fn content(input: Option<&Path>) -> Result<Vec<u8>> {
    match input {
        None => Ok(Vec::new()),
        Some(path) if path.as_os_str() == "-" => read(io::stdin().lock(), path),
        Some(path) => read(open(path)?, path),
    }
}

/// What a job is told, from files: a command line is no place for secrets.
fn secrets(typed: &JobRunArgs) -> Result<Vec<Secret>> {
    let one = |text: &String| {
        let named = text.split_once('=');
        let (name, path) = named.with_context(|| format!("{text:?} is not NAME=FILE"))?;
        let path = Path::new(path);
        Ok(Secret::new(name, read(open(path)?, path)?))
    };
    typed.secret.iter().map(one).collect()
}

/// The files that a job is given.
fn given(typed: &JobRunArgs) -> Result<Vec<Given>> {
    let one = |text: &String| {
        let (path, name) = match text.split_once(':') {
            Some((path, name)) => (Path::new(path), name.to_owned()),
            None => {
                let path = Path::new(text);
                let name = path.file_name().unwrap_or_default();
                (path, name.to_string_lossy().into_owned())
            }
        };
        let file = open(path)?;
        let mode = file
            .metadata()
            .map_or(0, |found| found.permissions().mode());
        Ok(Given {
            name,
            executable: mode & 0o111 != 0,
            bytes: read(file, path)?,
        })
    };
    typed.give.iter().map(one).collect()
}

/// What is to be run, and what runs it.
struct Ready {
    artifact: Arc<Artifact>,
    /// The job's arguments.
    arguments: Vec<String>,
    settings: Settings,
}

#[cfg_attr(
    not(feature = "wasm"),
    expect(unused_variables, reason = "what is asked of modules")
)]
fn ready(typed: &JobRunArgs, limits: Limits, read: u64) -> Result<Ready> {
    let own = [typed
        .program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()];
    let arguments = |first: Vec<String>| [first, typed.arguments.clone()].concat();
    match engine(typed)? {
        EngineArg::Exec => {
            let (program, script) = program::executable(typed)?;
            Ok(Ready {
                artifact: Arc::new(program.into()),
                arguments: arguments(script.unwrap_or(own.into())),
                settings: Settings::programs(),
            })
        }
        #[cfg(feature = "wasm")]
        EngineArg::Wasm => {
            if typed.policy.is_some() || !typed.allow.is_empty() {
                bail!(
                    "--policy and --allow are about native programs: what the job of a module may call is the same for all"
                );
            }
            let metered = limits.fuel.is_some();
            let without = &typed.without();
            let (artifact, _) =
                module::artifact(&typed.program, &typed.preparing, without, metered)?;
            let mut settings = Settings::new(portcullis_wasm::carried::execute());
            // The worker's own, the engine's, the copies of what the job reads, and what it may have.
            let memory = limits
                .memory
                .saturating_add(64 << 20)
                .saturating_add(artifact.length().saturating_mul(2))
                .saturating_add(read.saturating_mul(4));
            settings.memory = Some(memory);
            Ok(Ready {
                artifact: Arc::new(artifact),
                arguments: arguments(own.into()),
                settings,
            })
        }
    }
}

/// The engine that was named, or the one for what the file is.
fn engine(typed: &JobRunArgs) -> Result<EngineArg> {
    if let Some(named) = typed.engine {
        return Ok(named);
    }
    #[cfg(feature = "wasm")]
    {
        let mut first = [0; 4];
        let read = open(&typed.program)?.read(&mut first);
        let read = read.with_context(|| format!("reading {}", neutral::path(&typed.program)))?;
        if !first[..read].starts_with(b"\x7fELF") && !first[..read].starts_with(b"#!") {
            return Ok(EngineArg::Wasm);
        }
    }
    Ok(EngineArg::Exec)
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
            let ended = matches!(done.outcome, Outcome::Denied { .. });
            for (call, count) in done.denials.iter().filter(|_| !ended) {
                say(&format!("denied: {call} ({count}x)"));
            }
            keep(&typed.take_to, &done.files)?;
        }
    }
    Ok(exit(&done.outcome))
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

/// Writes the files that were taken, and says which were not.
fn keep(directory: &Path, taken: &[Taken]) -> Result<()> {
    for Taken { name, content } in taken {
        match content {
            Ok(bytes) => {
                // That it leads nowhere else was checked before the job began.
                let path = directory.join(name);
                let parent = path.parent().unwrap_or(directory);
                std::fs::create_dir_all(parent)
                    .and_then(|()| std::fs::write(&path, bytes))
                    .with_context(|| format!("writing {}", neutral::path(&path)))?;
            }
            Err(why) => say(&format!(
                "{} was not taken: {}",
                neutral::text(name),
                why.name()
            )),
        }
    }
    Ok(())
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
        Outcome::Denied {
            layer,
            call: Some(call),
        } => {
            format!("was ended by its {layer} layer for {call}")
        }
        Outcome::Denied { layer, call: None } => {
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
