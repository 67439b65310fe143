//! `portcullis record -- PROGRAM ARGS`: every call that a program makes, in a trace.

pub(super) mod file;
mod show;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use portcullis_abi::Arch;
use portcullis_sys::wait::End;
use portcullis_watch::record::{
    self, Adaptive, Backend, Confined, Ending, Error, Full, Reason, Spec,
};

use crate::args::{BackendName, InputArgs, RecordArgs, RecordVerb};
use crate::exit::Exit;
use crate::filter_file::FilterFile;
use crate::json::trace as json;
use crate::output::{self, say};
use crate::{machine, neutral, program};
use file::TraceFile;

/// Runs the verb.
pub(crate) fn record(typed: RecordArgs) -> Exit {
    match typed.verb {
        None => run(&typed),
        Some(RecordVerb::Merge(typed)) => finished(show::merge(typed)),
        Some(RecordVerb::Show(typed)) => finished(show::show(typed)),
    }
}

/// The end of a verb that runs nothing.
fn finished(done: Result<Exit>) -> Exit {
    match done {
        Ok(exit) => exit,
        Err(error) if output::is_broken_pipe(&error) => Exit::Success,
        Err(error) => {
            say(&format!("{error:#}"));
            Exit::Failure
        }
    }
}

/// Records a program. What goes wrong is said, and is an exit code of its own.
fn run(typed: &RecordArgs) -> Exit {
    if let Some(reason) = machine::refusal() {
        say(&neutral::text(&reason));
        return Exit::RunFailed;
    }
    let program = match program::find(&typed.command[0]) {
        Ok(program) => program,
        Err(error) => {
            say(&error.to_string());
            return error.exit();
        }
    };
    match recorded(typed, &program) {
        Ok(ending) => match ending.end {
            End::Exited(code) => Exit::Program(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
            End::Signaled(signal) => Exit::Signal(u8::try_from(signal).unwrap_or(u8::MAX)),
        },
        Err(error) => {
            say(&format!("{error:#}"));
            match error.downcast_ref::<Error>() {
                Some(Error::NotStarted { .. }) => Exit::NotExecutable,
                _ => Exit::RunFailed,
            }
        }
    }
}

fn recorded(typed: &RecordArgs, program: &Path) -> Result<Ending> {
    let path = match &typed.output {
        Some(path) => path.clone(),
        None => default_path(program),
    };
    let confined = typed.policy.as_deref().map(confined).transpose()?;
    let (way, reason) = way(typed, confined.as_ref())?;
    let header = header(program, typed.policy.as_deref(), way.name(), reason);
    let mut trace = TraceFile::open(&path, &header)?;
    if reason == Reason::Filtered {
        say(
            "this process stands behind a filter, so every call is stopped at: what it denies is seen only then",
        );
    }
    let spec = Spec {
        program: program.to_owned(),
        arguments: typed.command.clone(),
        files: false,
    };
    let ending = match way {
        Way::Traced(mut backend) => {
            record::record(&spec, confined.as_ref(), backend.as_mut(), &mut trace)?
        }
        #[cfg(feature = "ebpf")]
        Way::Ebpf(ebpf) => record::ebpf::record(&spec, *ebpf, &mut trace)?,
    };
    let (remarks, failed) = trace.end(&ending);
    for remark in remarks {
        say(&remark);
    }
    match failed {
        Some(error) => {
            Err(error).with_context(|| format!("writing the trace {}", neutral::path(&path)))
        }
        None => {
            say(&format!("recorded in {}", neutral::path(&path)));
            Ok(ending)
        }
    }
}

/// Who sees the calls.
enum Way {
    /// A tracer.
    Traced(Box<dyn Backend>),
    /// Programs in the kernel.
    #[cfg(feature = "ebpf")]
    Ebpf(Box<record::ebpf::Ebpf>),
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Way::Traced(backend) => backend.name(),
            #[cfg(feature = "ebpf")]
            Way::Ebpf(_) => record::ebpf::NAME,
        }
    }
}

/// The way that was asked for, or the one that this machine and the policy allow.
fn way(typed: &RecordArgs, confined: Option<&Confined>) -> Result<(Way, Reason)> {
    let traced = |backend| Way::Traced(backend);
    Ok(match typed.backend {
        Some(BackendName::Adaptive) => (traced(Box::<Adaptive>::default()), Reason::Asked),
        Some(BackendName::Full) => (traced(Box::new(Full)), Reason::Asked),
        #[cfg(feature = "ebpf")]
        Some(BackendName::Ebpf) => {
            anyhow::ensure!(
                confined.is_none(),
                "programs in the kernel see a call behind its filter: record under a policy without `--backend ebpf`"
            );
            let ebpf = record::ebpf::Ebpf::load().context("recording by eBPF")?;
            (Way::Ebpf(Box::new(ebpf)), Reason::Asked)
        }
        None if typed.full => (traced(Box::new(Full)), Reason::Asked),
        None => {
            let (backend, reason) = record::choose(confined);
            (traced(backend), reason)
        }
    })
}

/// The policy of a file, for this machine.
fn confined(path: &Path) -> Result<Confined> {
    let input = InputArgs::of_this_machine();
    let policy = FilterFile::open(path, &input)?.policy(&input)?;
    Confined::new(policy).with_context(|| format!("compiling {}", neutral::path(path)))
}

/// `NAME.trace` in the working directory.
fn default_path(program: &Path) -> PathBuf {
    let mut name = program
        .file_name()
        .unwrap_or(OsStr::new("program"))
        .to_owned();
    name.push(".trace");
    name.into()
}

/// The first line of a run.
pub(super) fn header(
    program: &Path,
    policy: Option<&Path>,
    backend: &str,
    reason: Reason,
) -> json::Header {
    let uname = rustix::system::uname();
    json::Header {
        schema: json::SCHEMA.to_owned(),
        version: json::VERSION,
        merged: false,
        runs: None,
        run: Some(json::Run {
            started: file::now(),
            backend: backend.to_owned(),
            reason: match reason {
                Reason::Default => "default",
                Reason::Filtered => "filtered",
                Reason::Asked => "asked",
                Reason::Policy => "policy",
            }
            .to_owned(),
            kernel: uname.release().to_string_lossy().into_owned(),
            arch: Arch::NATIVE.to_string(),
            portcullis: env!("CARGO_PKG_VERSION").to_owned(),
            program: program.to_string_lossy().into_owned(),
            policy: policy.map(|path| path.to_string_lossy().into_owned()),
        }),
    }
}
