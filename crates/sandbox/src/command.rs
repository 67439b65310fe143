//! Starting programs from a process that has other things to do.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use portcullis_sys::{freezer, process};

use crate::confinement::Confinement;
use crate::error::Error;
use crate::features::Features;
use crate::filter::Filter;
use crate::identity::Program;
use crate::launch::{Observer, judge, let_go, until_exec};
use crate::mapped::{MappedFile, Unlisted};
use crate::plan::{Mode, Plan, Spec};
use crate::secret::ArmedFilter;
use crate::standard::{Stdio, streams};
use crate::started::{For, Started, prepare};
use crate::verdict::Verdict;

/// A program to be started, as [`std::process::Command`] for one that is confined.
///
/// A process that starts programs so becomes unreadable for others of its user
/// (`PR_SET_DUMPABLE`, prctl(2)), because it holds the secret of each start for a moment. Nobody else in it may wait
/// for any child (`waitpid(-1)`), nor may it ignore `SIGCHLD`.
///
/// ```
/// use std::io::Read as _;
///
/// use portcullis_abi::Arch;
/// use portcullis_policy::{Action, ActionMap, Call, Derivation};
/// use portcullis_sandbox::{Command, Filter, Followed, Outcome, Root, Stdio};
/// use portcullis_watch::{self as watch, Decision};
///
/// // All calls but one; a real policy comes from a scan or a file.
/// let arch = Arch::NATIVE;
/// let calls = arch.syscalls().map(|(number, _)| number);
/// let calls = calls.filter(|number| Some(*number) != arch.number("ptrace"));
/// let policy = Derivation::new(arch, calls).policy();
/// let filter = Filter::new(&policy, &ActionMap::seen())?;
///
/// // Who follows the program while it runs, and answers as the policy does where the filter asks.
/// let decide = move |call: &watch::Call| {
///     let watch::Call { arch, number, ip, args } = *call;
///     let action = match policy.decide(&Call { arch, number, ip, args }).action {
///         Action::Allow => watch::Action::Allow,
///         Action::Errno(errno) => watch::Action::Errno(errno),
///         _ => watch::Action::Kill,
///     };
///     Decision { action, rule: None }
/// };
/// let follow = move |root: Root<'_>| {
///     let Root { pid, entry, check, .. } = root;
///     let start = watch::Start { pid, entry, check, audit: None, phases: None };
///     let record = watch::follow(start, watch::Mode::Enforce, &decide)?;
///     Ok(Followed {
///         end: record.end,
///         denied: record.denied,
///         own_filter: record.own_filter,
///         refused: record.refused.clone(),
///         usage: record.usage,
///         report: record.denials,
///     })
/// };
///
/// let mut command = Command::new("/bin/echo");
/// command.arg("confined").stdout(Stdio::Pipe);
/// let mut child = command.spawn(&filter, move || follow)?;
/// let mut said = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut said)?;
/// let verdict = child.wait()?;
/// assert_eq!(said, "confined\n");
/// assert_eq!(verdict.outcome, Outcome::Exited(0));
/// assert!(verdict.enforced.iter().any(|layer| layer.layer == "namespaces"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Command {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<OsString>,
    standard: [Stdio; 3],
    confinement: Confinement,
    mapped: Option<Vec<MappedFile>>,
}

impl Command {
    /// The file at `program`, which is not looked up anywhere, with no arguments but its name, an empty environment,
    /// empty streams, and every layer of the default, in `/`.
    pub fn new(program: impl AsRef<Path>) -> Command {
        let program = program.as_ref().to_owned();
        Command {
            arguments: vec![program.clone().into()],
            program,
            environment: Vec::new(),
            standard: Default::default(),
            confinement: Confinement::new(PathBuf::from("/")),
            mapped: None,
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Command {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, all: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Command {
        let all = all.into_iter().map(|argument| argument.as_ref().to_owned());
        self.arguments.extend(all);
        self
    }

    /// Adds a variable to the environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        let mut variable = name.as_ref().to_owned();
        variable.push("=");
        variable.push(value);
        self.environment.push(variable);
        self
    }

    /// Sets standard input.
    pub fn stdin(&mut self, stream: Stdio) -> &mut Command {
        self.standard[0] = stream;
        self
    }

    /// Sets standard output.
    pub fn stdout(&mut self, stream: Stdio) -> &mut Command {
        self.standard[1] = stream;
        self
    }

    /// Sets standard error.
    pub fn stderr(&mut self, stream: Stdio) -> &mut Command {
        self.standard[2] = stream;
        self
    }

    /// Sets what of the machine it is given.
    pub fn confinement(&mut self, confinement: Confinement) -> &mut Command {
        self.confinement = confinement;
        self
    }

    /// Ends the program when it has mapped another file than these when its own code begins. Without this any is
    /// let be.
    pub fn mapped(&mut self, files: Vec<MappedFile>) -> &mut Command {
        self.mapped = Some(files);
        self
    }

    /// Starts it behind `filter`. `observer` is made in the thread that follows the program.
    ///
    /// That thread is made for it and ends after it: it is the program's tracer and its init's parent, and the kernel
    /// kills both when it ends, or when this process does. So it does not matter which thread calls this, or when
    /// that one ends.
    pub fn spawn<O: Observer>(
        &mut self,
        filter: &Filter,
        observer: impl FnOnce() -> O + Send + 'static,
    ) -> Result<Child<O::Report>, Error>
    where
        O::Report: Send + 'static,
    {
        let standard = std::mem::take(&mut self.standard);
        let (given, [stdin, stdout, stderr]) = streams(standard)?;
        let plan = self.plan(given)?;
        let filter = filter.arm()?;
        let (tell, told) = mpsc::sync_channel(1);
        let (judged, verdict) = mpsc::sync_channel(1);
        following("portcullis".to_owned(), move || {
            let begun = begin(&plan, filter);
            // What the program was given is its own now: who reads from a pipe must see its end.
            let plan = plan.without_streams();
            let (mut started, began) = match begun {
                Ok((started, began, first)) => {
                    // Who asked waits for it.
                    let _ = tell.send(Ok(first));
                    (started, began)
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                    return;
                }
            };
            // Nobody may wait for it. What is left then, the end of its namespaces, is this thread's alone.
            let _ = judged.send(judge(&plan, &mut started, began, &mut observer()));
        })?;
        Ok(Child {
            stdin,
            stdout,
            stderr,
            first: told.recv().unwrap_or_else(|_| Err(thread_failed()))?,
            verdict: Some(verdict),
        })
    }

    fn plan(&self, standard: [Option<OwnedFd>; 3]) -> Result<Plan, Error> {
        let spec = Spec {
            program: Program::open(&self.program)?,
            arguments: self.arguments.clone(),
            environment: self.environment.clone(),
            mode: Mode::Enforce,
            traced: false,
            allowed: 0,
            unlisted: match self.mapped {
                Some(_) => Unlisted::Refuse,
                None => Unlisted::Allow,
            },
            mapped: self.mapped.clone().unwrap_or_default(),
            keep: Vec::new(),
            standard,
            confinement: self.confinement.clone(),
        };
        Plan::new(spec, &Features::probe())
    }
}

/// To the program's exec stop; a handle to the first of its processes comes with it.
fn begin(plan: &Plan, filter: ArmedFilter) -> Result<(Started, Instant, OwnedFd), Error> {
    let mut started = prepare(plan, || Ok(filter), For::Embedder, None)?;
    let first = process::handle(started.init.unwrap_or(started.pid))?;
    let began = Instant::now();
    let_go(plan, &mut started)?;
    until_exec(plan, &started)?;
    Ok((started, began, first))
}

/// A thread that follows programs.
pub(crate) fn following<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    let thread = thread::Builder::new().name(name).spawn(work);
    thread.map_err(|reason| Error::Read {
        path: "a new thread".into(),
        reason,
    })
}

pub(crate) fn thread_failed() -> Error {
    Error::EndedEarly("the thread that followed it failed".to_owned())
}

/// A program that was started. Dropped, it is killed with all that it started.
#[derive(Debug)]
pub struct Child<R> {
    /// Its standard input, where that is a pipe.
    pub stdin: Option<File>,
    /// Its standard output, where that is a pipe.
    pub stdout: Option<File>,
    /// Its standard error, where that is a pipe.
    pub stderr: Option<File>,
    first: OwnedFd,
    verdict: Option<mpsc::Receiver<Result<Verdict<R>, Error>>>,
}

impl<R> Child<R> {
    /// Kills it and all that it started. One that has ended is let be.
    pub fn kill(&self) {
        freezer::kill(self.first.as_fd());
    }

    /// Waits until all of it has ended. Its standard input is closed first, where that is a pipe.
    pub fn wait(mut self) -> Result<Verdict<R>, Error> {
        drop(self.stdin.take());
        let verdict = self.verdict.take().and_then(|told| told.recv().ok());
        verdict.unwrap_or_else(|| Err(thread_failed()))
    }
}

impl<R> Drop for Child<R> {
    fn drop(&mut self) {
        if self.verdict.is_some() {
            self.kill();
        }
    }
}
