//! Plays a workload: every step in one scratch directory, natively or behind something.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::client::Client;
use crate::scratch::Scratch;
use crate::workload::{Compare, Step, Workload};
use crate::{place, process};

/// How long one step may take, also under a tracer that unwinds each stack.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What stands in front of the program: given the step's number, the command line before the
/// program's own path. Empty is a native run.
pub(crate) type Front<'a> = &'a dyn Fn(usize) -> Vec<OsString>;

/// Who gets the signal when a server is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// The program itself: a tracer would keep the signal.
    Program,
    /// What was started, as a service manager does: a launcher must pass it on.
    Started,
}

/// What one step gave.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    /// How the started process ended.
    pub(crate) status: ExitStatus,
    /// What of its output is the same on every run: standard output, or the client's report.
    pub(crate) essence: Vec<u8>,
    /// Standard error, for messages.
    pub(crate) complaint: String,
}

/// A native run: nothing in front.
pub(crate) fn native(_: usize) -> Vec<OsString> {
    Vec::new()
}

/// Plays all steps of `workload`; stops at the first that cannot be started or does not end.
pub(crate) fn play(
    workload: &Workload,
    scratch: &Scratch,
    front: Front<'_>,
    stop: Stop,
) -> Result<Vec<Played>> {
    first(workload, workload.steps.len(), scratch, front, stop)
}

/// Plays the first `count` steps.
pub(crate) fn first(
    workload: &Workload,
    count: usize,
    scratch: &Scratch,
    front: Front<'_>,
    stop: Stop,
) -> Result<Vec<Played>> {
    let path = workload.path()?;
    let image = workload.image()?;
    workload.steps[..count]
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let mut command = command(step, &path, scratch, &front(index));
            play_step(step, &mut command, &image, scratch, stop)
                .with_context(|| format!("{}, step {}", workload.name, index + 1))
        })
        .collect()
}

fn play_step(
    step: &Step,
    command: &mut Command,
    image: &Path,
    scratch: &Scratch,
    stop: Stop,
) -> Result<Played> {
    match step {
        Step::Run { input, compare, .. } => {
            let outcome = process::take(command, input.as_bytes(), PATIENCE)?;
            let complaint = outcome.complaint();
            Ok(Played {
                status: outcome.status,
                essence: essence(*compare, &outcome.stdout, scratch),
                complaint,
            })
        }
        Step::Serve {
            client: load,
            signal,
            ..
        } => {
            let errors = scratch.path().join("standard-error");
            let mut server = serve(command, &errors)?;
            let mut client = Client::new(&scratch.values, &server, image);
            let said = ready(&mut server, &client).and_then(|()| load(&mut client));
            let stopped = end(&mut server, image, *signal, stop);
            clear(server.id());
            let complaint = tail(&fs::read(&errors).unwrap_or_default());
            let said = said.with_context(|| format!("the server said:\n    {complaint}"))?;
            Ok(Played {
                status: stopped?,
                essence: said.into_bytes(),
                complaint,
            })
        }
    }
}

/// The command of a step, in a small environment that is the same everywhere.
pub(crate) fn command(step: &Step, path: &Path, scratch: &Scratch, front: &[OsString]) -> Command {
    let (Step::Run { args, .. } | Step::Serve { args, .. }) = step;
    let mut words = front.to_vec();
    words.push(path.as_os_str().to_owned());
    words.extend(args.iter().map(|word| scratch.values.fill(word).into()));
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .current_dir(scratch.path())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", scratch.path())
        .env("XDG_CACHE_HOME", place::target().join("cache"))
        .env("LC_ALL", "C")
        .env("TZ", "UTC");
    command
}

/// What of `output` is the same on every run: the scratch directory's name is none of it.
fn essence(compare: Compare, output: &[u8], scratch: &Scratch) -> Vec<u8> {
    let dir = scratch.path().to_string_lossy().into_owned();
    let output = match String::from_utf8(output.to_vec()) {
        Ok(text) => text.replace(&dir, "{dir}").into_bytes(),
        Err(_) => output.to_vec(),
    };
    compare.essence(&output)
}

/// Starts a server, its messages in a file.
pub(crate) fn serve(command: &mut Command, errors: &Path) -> Result<Child> {
    let line = process::line_of(command);
    let log = File::create(errors)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("start {line}"))
}

/// Waits until the server takes connections.
pub(crate) fn ready(server: &mut Child, client: &Client) -> Result<()> {
    process::until("a connection", PATIENCE, || {
        if let Some(status) = server.try_wait()? {
            bail!("it ended before it served: {status}");
        }
        Ok(client.is_served().then_some(()))
    })
}

/// Ends a server with its signal and returns how it ended.
fn end(server: &mut Child, image: &Path, with: Signal, stop: Stop) -> Result<ExitStatus> {
    if server.try_wait()?.is_none() {
        let pid = match stop {
            Stop::Started => server.id(),
            Stop::Program => process::running(server.id(), image)
                .with_context(|| format!("no process runs {}", image.display()))?,
        };
        signal(pid, with)?;
    }
    process::wait(server, PATIENCE).with_context(|| format!("after {with:?}"))
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.context("a process id")?, signal).with_context(|| format!("send {signal:?}"))
}

/// The exit code, or 128 and the signal.
pub(crate) fn shell_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Kills what is left of the processes that `leader` started: workers outlive a killed master.
pub(crate) fn clear(leader: u32) {
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // ESRCH when none is left, which is the usual case.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The last lines of a log.
fn tail(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n    ")
}

/// Fails unless a native run gave what the table says: a workload that does not work natively
/// would prove nothing.
pub(crate) fn expect_native(workload: &Workload, played: &[Played]) -> Result<()> {
    for (index, (step, got)) in workload.steps.iter().zip(played).enumerate() {
        let (Step::Run { code, .. } | Step::Serve { code, .. }) = step;
        let wanted = *code;
        if shell_code(got.status) != wanted {
            bail!(
                "{}, step {}, natively: {}, not code {wanted}\n    {}",
                workload.name,
                index + 1,
                got.status,
                got.complaint
            );
        }
    }
    Ok(())
}
