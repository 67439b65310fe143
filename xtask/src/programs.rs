//! `cargo xtask programs`: the real programs behind their filters.
//!
//! Each must behave as it does natively. Then one call is put into it while it runs: a call that
//! its set lacks must be stopped before it has an effect and be named by the verdict; a call that
//! its set has must succeed; and where the set lacks execve, an execve must be stopped.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::inject::{self, Arguments, Waiting};
use crate::play::{self, Played, Stop};
use crate::portcullis::{self, Scan};
use crate::scratch::Scratch;
use crate::workload::{self, Step, Workload};
use crate::{needs, place, process, web};

/// What 128 + SIGSYS is: the launcher's exit code when the filter ended the program.
const DENIED: i32 = 159;

/// How long an injected program may take to stop waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls that take a path first and leave something to see, by how rarely programs have them.
const VISIBLE: &[(u32, &str)] = &[
    (133, "mknod"),
    (85, "creat"),
    (83, "mkdir"),
    (161, "chroot"),
];

/// Calls in which a server waits for work (x86_64): poll, select, pause, accept, rt_sigsuspend,
/// futex, epoll_wait, ppoll, pselect6, epoll_pwait, accept4.
const WAITING: &[u64] = &[7, 23, 34, 43, 130, 202, 232, 271, 270, 281, 288];

/// poll(2): a program that does not block in write waits here for its standard output (xz).
const POLL: u64 = 7;

/// epoll_wait(2), epoll_pwait(2): the same of one that waits for many things at once (node).
const EPOLL: [u64; 2] = [232, 281];

/// What a program blocked on its full standard output waits in: write, writev, sendfile.
const WRITING: &[u64] = &[1, 20, 40];

/// What a program waits in for a child that is blocked on that output: wait4, waitid,
/// rt_sigtimedwait, rt_sigsuspend.
const FOR_CHILD: &[u64] = &[61, 247, 128, 130];

/// `cargo xtask programs [NAME…]`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    needs::provide()?;
    let (flags, names): (Vec<_>, Vec<_>) = words
        .iter()
        .cloned()
        .partition(|word| word.starts_with('-'));
    let command = match flags.as_slice() {
        [] => Some(portcullis::build(place::PROFILE)?),
        [flag] if flag == "--native" => None,
        other => bail!("unknown: {}", other.join(" ")),
    };
    report(command.as_deref(), &workload::chosen(&names)?)
}

/// Tests `chosen` and prints a line per test and a sum; an error when one failed or did not run.
///
/// Without a command only what must hold natively is tested, to work on the workloads.
pub(crate) fn report(command: Option<&Path>, chosen: &[&'static Workload]) -> Result<()> {
    let http = web::serve()?;
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    println!("\nrunning {} real programs", chosen.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(workload) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    one(workload, command, http, &tally);
                }
            });
        }
    });
    let tally = tally
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if !tally.failures.is_empty() {
        println!("\nfailures:");
        for (name, failure) in &tally.failures {
            println!("\n---- {name} ----\n{failure}");
        }
    }
    println!(
        "\nreal programs: {} passed, {} failed; finished in {:.1}s",
        tally.passed,
        tally.failures.len(),
        start.elapsed().as_secs_f64()
    );
    ensure!(tally.failures.is_empty(), "real programs failed");
    Ok(())
}

/// How the tests went.
#[derive(Default)]
struct Tally {
    passed: usize,
    failures: Vec<(String, String)>,
}

/// Runs one test and notes how it went.
fn test(tally: &Mutex<Tally>, name: &str, body: impl FnOnce() -> Result<()>) {
    let result = body();
    let mut tally = tally
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    match result {
        Ok(()) => {
            println!("test {name} ... ok");
            tally.passed += 1;
        }
        Err(error) => {
            println!("test {name} ... FAILED");
            tally.failures.push((name.to_owned(), format!("{error:#}")));
        }
    }
}

/// All tests of one program.
fn one(workload: &'static Workload, command: Option<&Path>, http: u16, tally: &Mutex<Tally>) {
    let name = |what: &str| format!("programs::{}::{what}", workload.name);
    if !workload.there() {
        test(tally, &name("is_installed"), || bail!("not installed"));
        return;
    }
    let native = match natively(workload, http) {
        Ok(native) => native,
        Err(error) => {
            test(tally, &name("works_natively"), || Err(error));
            return;
        }
    };
    if let Some(command) = command {
        test(tally, &name("behaves_as_natively"), || {
            same(workload, &native, command, http)
        });
    }
    let Some(step) = holdable(workload, &native) else {
        test(tally, &name("can_be_held"), || {
            bail!("no step prints anything")
        });
        return;
    };
    let target = Target { workload, step };
    // Without this the tests below could pass because the probe does nothing.
    test(tally, &name("an_injected_call_works_natively"), || {
        unconfined(&target, http)
    });
    let Some(command) = command else { return };
    let scans = match scans(workload, command) {
        Ok(scans) => scans,
        Err(error) => {
            test(tally, &name("is_scanned"), || Err(error));
            return;
        }
    };
    let has = |number| scans.iter().any(|scan| scan.has(number));
    test(tally, &name("an_injected_call_of_the_set_succeeds"), || {
        allowed(&target, command, http)
    });
    test(tally, &name("an_injected_call_outside_is_stopped"), || {
        let (number, call) = *VISIBLE
            .iter()
            .find(|(number, _)| !has(*number))
            .context("the set has every call that this test knows")?;
        denied(&target, command, http, number, call)
    });
    if !has(EXECVE) {
        test(tally, &name("an_injected_execve_is_stopped"), || {
            denied(&target, command, http, EXECVE, "execve")
        });
    }
}

/// Of all that runs behind the workload's filter.
fn scans(workload: &Workload, command: &Path) -> Result<Vec<Scan>> {
    let options = portcullis::plugins(workload, &[]);
    let own = portcullis::scan(command, &workload.image()?, &options)?;
    let started = workload.starts.iter().map(Path::new);
    let started = started.map(|program| portcullis::scan(command, program, &[]));
    std::iter::once(Ok(own)).chain(started).collect()
}

/// execve on x86_64.
const EXECVE: u32 = 59;

/// The words before the program: the launcher, writing its verdict to `verdict`.
///
/// It is given the network, in which its client is, and its directory.
fn front(workload: &Workload, command: &Path, verdict: &Path, directory: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![command.into(), "run".into(), "--net".into()];
    words.extend(["--verdict".into(), verdict.into()]);
    words.extend(["--write".into(), directory.into()]);
    words.extend(portcullis::plugins(workload, &[]));
    for program in workload.starts {
        words.extend(["--exec".into(), program.into()]);
    }
    words.push("--".into());
    words
}

/// The program that code is put into, and the step in which it is.
struct Target {
    workload: &'static Workload,
    step: usize,
}

/// The workload without anything in front of it.
fn natively(workload: &Workload, http: u16) -> Result<Vec<Played>> {
    let scratch = Scratch::new(http)?;
    let played = play::play(workload, &scratch, &play::native, Stop::Started)?;
    play::expect_native(workload, &played)?;
    Ok(played)
}

/// The workload behind its filter gives what it gives natively.
fn same(workload: &Workload, native: &[Played], command: &Path, http: u16) -> Result<()> {
    let scratch = Scratch::new(http)?;
    let verdicts = tempfile::tempdir()?;
    let verdict = |index: usize| verdicts.path().join(format!("{index}.verdict.json"));
    let front = |index: usize| front(workload, command, &verdict(index), scratch.path());
    // All steps are played before any is judged: one wrong step must not hide the next.
    let confined = play::play(workload, &scratch, &front, Stop::Started)?;
    let mut wrong = Vec::new();
    for (index, (native, confined)) in native.iter().zip(&confined).enumerate() {
        if let Err(error) = compare(native, confined, &verdict(index)) {
            wrong.push(format!("step {}: {error:#}", index + 1));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn compare(native: &Played, confined: &Played, verdict: &Path) -> Result<()> {
    let (wanted, got) = (
        play::shell_code(native.status),
        play::shell_code(confined.status),
    );
    ensure!(
        wanted == got,
        "ends with {got}, natively with {wanted}\n    {}",
        confined.complaint
    );
    ensure!(
        native.essence == confined.essence,
        "its output is not the native one:\n{}\nnatively:\n{}\n    {}",
        short(&confined.essence),
        short(&native.essence),
        confined.complaint
    );
    let verdict = read_verdict(verdict)?;
    let outcome = &verdict["outcome"];
    let mode = &verdict["mode"];
    ensure!(mode == "enforce", "mode {mode}");
    let layers = verdict["enforced"].as_array().cloned().unwrap_or_default();
    ensure!(
        layers.iter().any(|layer| layer["layer"]
            .as_str()
            .is_some_and(|name| name.starts_with("seccomp"))),
        "seccomp is not among the enforced layers"
    );
    let denials = &verdict["denials"];
    ensure!(
        denials.as_array().is_some_and(Vec::is_empty),
        "denials {denials}"
    );
    let wanted = match native.status.code() {
        Some(_) => "exited",
        None => "signaled",
    };
    ensure!(outcome == wanted, "outcome {outcome}, not {wanted}");
    Ok(())
}

fn short(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(2000).collect()
}

fn read_verdict(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let verdict: Value = serde_json::from_slice(&text).context("the verdict's JSON")?;
    ensure!(
        verdict["schema"] == "portcullis.verdict" && verdict["version"] == 1,
        "not a portcullis.verdict document of version 1"
    );
    Ok(verdict)
}

/// What came of a program that a call was put into.
struct Injected {
    code: i32,
    verdict: Result<Value>,
    /// Standard output and standard error of the program and the launcher.
    said: Vec<u8>,
    /// What the injected path would have made is there.
    effect: bool,
}

/// An injected write of the set arrives, and the code behind it ends the program.
fn allowed(target: &Target, command: &Path, http: u16) -> Result<()> {
    const WRITE: u32 = 1;
    let text = "written by injected code\n";
    let got = injected(target, Some(command), http, &|_| {
        inject::code(WRITE, Arguments::Text(2, text))
    })?;
    let said = String::from_utf8_lossy(&got.said).into_owned();
    ensure!(
        got.code == inject::REACHED,
        "ended with {}, not {}\n    {}",
        got.code,
        inject::REACHED,
        short(&got.said)
    );
    ensure!(said.contains(text), "the text did not arrive:\n    {said}");
    let outcome = &got.verdict?["outcome"];
    ensure!(outcome == "exited", "outcome {outcome}");
    Ok(())
}

/// Nothing stops an injected call of a program without a filter.
fn unconfined(target: &Target, http: u16) -> Result<()> {
    const MKDIR: u32 = 83;
    let got = injected(target, None, http, &|path| {
        inject::code(MKDIR, Arguments::Path(path))
    })?;
    ensure!(
        got.code == inject::REACHED && got.effect,
        "ended with {}, effect {}\n    {}",
        got.code,
        got.effect,
        short(&got.said)
    );
    Ok(())
}

/// An injected call that the set lacks is stopped without effect, and the verdict names it.
fn denied(target: &Target, command: &Path, http: u16, number: u32, call: &str) -> Result<()> {
    let got = injected(target, Some(command), http, &|path| {
        let path = match number {
            EXECVE => "/bin/true",
            _ => path,
        };
        inject::code(number, Arguments::Path(path))
    })?;
    ensure!(!got.effect, "{call} took effect");
    ensure!(
        got.code == DENIED,
        "{call}: ended with {}, not {DENIED}\n    {}",
        got.code,
        short(&got.said)
    );
    let verdict = got.verdict?;
    let outcome = &verdict["outcome"];
    ensure!(outcome == "denied", "outcome {outcome}");
    let named: BTreeSet<&str> = verdict["denials"]
        .as_array()
        .context("no denials")?
        .iter()
        .filter_map(|denial| denial["syscall"].as_str())
        .collect();
    ensure!(
        named == BTreeSet::from([call]),
        "the verdict names {named:?}, not {call}"
    );
    Ok(())
}

/// Starts the first step that can be held, puts code into the program, and lets it go on.
fn injected(
    target: &Target,
    command: Option<&Path>,
    http: u16,
    code: &dyn Fn(&str) -> Vec<u8>,
) -> Result<Injected> {
    let scratch = Scratch::new(http)?;
    let path = scratch.path().join("public/injected");
    let code = code(&path.to_string_lossy());
    let verdicts = tempfile::tempdir()?;
    let verdict = verdicts.path().join("verdict.json");
    let workload = target.workload;
    let front = command.map_or_else(Vec::new, |command| {
        front(workload, command, &verdict, scratch.path())
    });
    play::first(
        workload,
        target.step,
        &scratch,
        &play::native,
        Stop::Started,
    )?;
    let step = &workload.steps[target.step];
    let mut start = play::command(step, &workload.path()?, &scratch, &front);
    let image = workload.image()?;
    let (code, said) = match step {
        Step::Run { input, .. } => {
            // A full pipe as standard output: the program waits in its first write.
            let (mut reader, mut writer) = std::io::pipe()?;
            writer.write_all(&vec![b'.'; PIPE])?;
            let mut child = start
                .stdin(Stdio::piped())
                .stdout(writer)
                .stderr(Stdio::piped())
                .process_group(0)
                .spawn()?;
            // The command keeps the writing end, and the reader must see the end of the file.
            drop(start);
            if let Some(mut pipe) = child.stdin.take() {
                pipe.write_all(input.as_bytes())?;
            }
            let held = hold(&mut child, &image, &code, |pid, (number, first, second)| {
                (WRITING.contains(&number) && first == 1)
                    || FOR_CHILD.contains(&number)
                    || (number == POLL && inject::polls_output(pid, first, second, 1))
                    || (EPOLL.contains(&number) && inject::watches_output(pid, first, 1))
            });
            if held.is_err() {
                child.kill()?;
            }
            let mut said = vec![0; PIPE];
            reader.read_exact(&mut said)?;
            said.clear();
            let ended = process::wait(&mut child, PATIENCE);
            play::clear(child.id());
            reader.read_to_end(&mut said)?;
            if let Some(mut errors) = child.stderr.take() {
                errors.read_to_end(&mut said)?;
            }
            held.with_context(|| short(&said))?;
            (play::shell_code(ended?), said)
        }
        Step::Serve { .. } => {
            let log = scratch.path().join("standard-error");
            let mut server = play::serve(&mut start, &log)?;
            let client = Client::new(&scratch.values, &server, &image);
            let held = play::ready(&mut server, &client).and_then(|()| {
                let program = hold(&mut server, &image, &code, |_, (number, ..)| {
                    WAITING.contains(&number)
                })?;
                kick(program, &client);
                Ok(())
            });
            if held.is_err() {
                server.kill()?;
            }
            let ended = process::wait(&mut server, PATIENCE);
            play::clear(server.id());
            let mut said = fs::read(&log)?;
            // nginx and lighttpd make their error log their standard error (dup2 onto descriptor 2).
            for dir in ["", "public"] {
                for entry in fs::read_dir(scratch.path().join(dir))? {
                    let file = entry?.path();
                    if file.extension().is_some_and(|e| e == "errors") {
                        said.extend(fs::read(&file)?);
                    }
                }
            }
            held.with_context(|| short(&said))?;
            (play::shell_code(ended?), said)
        }
    };
    Ok(Injected {
        code,
        verdict: read_verdict(&verdict),
        said,
        effect: path.exists(),
    })
}

/// What a pipe holds by default (pipe(7)).
const PIPE: usize = 65_536;

/// Waits until the program waits, and writes `code` to where it goes on; returns its process.
fn hold(
    started: &mut Child,
    image: &Path,
    code: &[u8],
    waiting: impl Fn(u32, Waiting) -> bool,
) -> Result<u32> {
    let program = process::until("the program's start", PATIENCE, || {
        if let Some(status) = started.try_wait()? {
            bail!("it ended before it could be held: {status}");
        }
        Ok(process::running(started.id(), image))
    })?;
    inject::inject(program, code, |call| waiting(program, call), PATIENCE)?;
    Ok(program)
}

/// Makes a waiting server go on: a connection for those that wait for work, a signal for a master
/// that waits for its children.
fn kick(program: u32, client: &Client) {
    // Either may fail because the other already did it.
    let _ = client.connect();
    let _ = play::signal(program, Signal::CHILD);
}

/// The first step that can be held: a server, or one that prints something.
fn holdable(workload: &Workload, native: &[Played]) -> Option<usize> {
    let mut steps = workload.steps.iter().zip(native);
    steps
        .position(|(step, played)| matches!(step, Step::Serve { .. }) || !played.essence.is_empty())
}

impl Scan {
    /// True when the set has this number.
    fn has(&self, number: u32) -> bool {
        self.calls.contains_key(&u64::from(number))
    }
}
