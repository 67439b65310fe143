//! `portcullis run -- PROGRAM ARGS`: analyse, derive, compile, prove, start, judge.

mod also;
mod audited;
mod chosen;
mod confinement;
mod denied;
mod document;
mod filter;
mod fixed;
mod foreign;
mod late;
mod observer;
mod patch;
mod phases;
mod prove;

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use portcullis_abi::{Arch, ResidualKind, SyscallSet, Sysno};
use portcullis_policy::{Policy, Ramp};
use portcullis_sandbox::{
    Error, Features, Identity, Last, MappedFile, Mode, Plan, Program, Spec, Unlisted, Verdict,
    launch,
};
use portcullis_watch::{Audit, Record};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::analysis::Wanted;
use crate::args::RunArgs;
use crate::exit::Exit;
use crate::images::Images;
use crate::json::verdict::Document;
use crate::output::{self, say};
use crate::profile::PolicySource;
use crate::{machine, neutral, profile, program, text};
pub(super) use chosen::Chosen;
use foreign::Foreign;
use late::Late;
use observer::Tracing;
use phases::Phases;

/// Runs the verb. What goes wrong is said, and is an exit code of its own.
pub(crate) fn run(mut typed: RunArgs) -> Exit {
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
    let policy = match profile::apply(&mut typed) {
        Ok(policy) => policy,
        Err(error) => {
            say(&format!("{error:#}"));
            return Exit::RunFailed;
        }
    };
    match confined(&typed, policy.as_ref(), &program) {
        Ok(exit) => exit,
        Err(error) => {
            say(&format!("{error:#}"));
            match error.downcast_ref::<Error>() {
                Some(Error::NotFound { .. }) => Exit::NotFound,
                Some(Error::NotExecutable { .. }) => Exit::NotExecutable,
                Some(error) if is_unknown_format(error) => Exit::NotExecutable,
                _ => Exit::RunFailed,
            }
        }
    }
}

fn confined(typed: &RunArgs, given: Option<&PolicySource>, program: &Path) -> Result<Exit> {
    // Nobody may read the launch secret from this process, or steer it (prctl(2)).
    portcullis_sys::process::set_dumpable(false).context("making the launcher unreadable")?;
    let mut verdict_file = match &typed.verdict {
        Some(path) => Some(
            verdict_at(path)
                .with_context(|| format!("opening the verdict {}", neutral::path(path)))?,
        ),
        None => None,
    };
    let plugins = typed.closure.plugins.iter();
    let (directories, files): (Vec<_>, Vec<_>) = plugins.partition(|path| path.is_dir());
    let wanted = Wanted::of_file(program, &typed.closure, files)?.for_start();
    let (own, compatible) = match foreign::kind(program)? {
        Some(Foreign::Compatible(arch)) => (foreign::set(program)?, Some(arch)),
        Some(Foreign::Other(arch)) => return Err(not_for_here(program, arch).into()),
        None if given.is_some() => (foreign::set(program)?, None),
        // Which programs are started is seen by the evidence, and so are phases.
        None if typed.images.follow_exec || typed.phases => {
            (wanted.clone().from(&typed.from).analyse()?.set, None)
        }
        None => (wanted.analyse_brief()?, None),
    };
    let images = Images::alone(own).with(&typed.images, |program| {
        Ok(Wanted::of_file(program, &typed.closure, [])?.for_start())
    })?;
    let chosen = match given {
        Some(source) => Chosen::of(source)?,
        None => Chosen::derived(derived(&images, typed.phases)),
    };
    if let (Some(wanted), Some(file)) = (typed.require_ramp, &typed.policy) {
        Ramp::require(chosen.policy.ramp, wanted)
            .with_context(|| neutral::path(file).into_owned())?;
    }
    let chosen = chosen.with(&typed.allow)?;
    let analysed = given.is_none() && compatible.is_none() && !typed.observe;
    let gains = match analysed && directories.is_empty() {
        true => fixed::obstacle(images.sets()),
        false => Some("what the program does was not all analysed before the start"),
    };
    let set = images.first;
    let mode = if typed.observe {
        Mode::Observe
    } else {
        Mode::Enforce
    };
    let loads = loads_modules(&set) || !directories.is_empty();
    let traced = loads && mode == Mode::Enforce && !typed.no_late;
    let chosen = chosen.within(&typed.confinement, traced);
    let map = filter::map(Arch::NATIVE, mode, traced);
    let file = set.objects.first().map(|object| object.sha256);
    let mut policy = chosen.policy.clone().with_launch();
    let phases = {
        let loaded = policy.clone().with_phase_rule().mapped(&map);
        Phases::of(&chosen.policy, &loaded, file, mode, typed.require_phases)?
    };
    if phases.is_some() {
        policy = policy.with_phase_rule();
    }
    let mut spec = spec(typed, &set, &policy, mode, traced)?;
    spec.confinement.fixed_code = gains.is_none();
    if given.is_some() {
        spec.unlisted = Unlisted::Allow;
    }
    if let Some(arch) = compatible {
        // Its loader has no analysis either, and neither of them gets to make a call.
        spec.unlisted = Unlisted::Allow;
        say(&format!(
            "{} is a program of {arch}: all that it calls is foreign, and is denied",
            neutral::path(program)
        ));
    }
    let features = Features::probe();
    // The kernel makes a thread for its answer, which is there by the time that it is needed.
    let asked = Audit::ask();
    let plan = Plan::new(spec, &features)?;
    say_before(&set, &plan);
    if typed.dry_run {
        output::Output::Stdout.write_text(&plan.to_string())?;
        return Ok(Exit::Success);
    }
    if typed.prove {
        prove::before(&plan, &features, &policy, !typed.closure.no_cache)?;
    }
    let late = traced.then(|| {
        let modules = plan.modules(late::directories(directories.into_iter()));
        Late::new(&wanted, &set, modules)
    });
    let audit = OnceCell::new();
    let mut tracing = Tracing::new(&chosen.policy, mode, late, &audit, phases.as_ref());
    let mut template = None;
    let last = || {
        let audited = audit.get_or_init(|| asked.open()).is_ok();
        let secret = phases.as_ref().map(Phases::secret);
        let (filter, kept) = filter::armed(&policy, &map, secret, !typed.closure.no_cache)?;
        if let Some(phases) = &phases {
            phases.prove(&kept)?;
        }
        template = Some(kept);
        Ok(Last { filter, audited })
    };
    let verdict = launch(&plan, last, &mut tracing)?;
    let template = template.context("a program was started without a filter")?;
    let late = tracing.late().map(|late| late.told());
    let unread = audit.get().and_then(|audit| audit.as_ref().err());
    let (kept, mut lost) = match &phases {
        Some(phases) => phases.told(&verdict.report.phases),
        None => (Vec::new(), Vec::new()),
    };
    lost.extend(fixed::missing(&plan, gains));
    let document = |named| {
        let filter = (&template, &map);
        let about = (&set, &chosen, &plan, phases.as_ref());
        let mut document =
            document::document(about, filter, &verdict, late.as_ref(), unread, named);
        document.enforced.extend(kept.iter().cloned());
        document.not_enforced.extend(lost.iter().cloned());
        document
    };
    // Whatever the files of the program do to who reads them for names, the verdict is there.
    if let Some(file) = &mut verdict_file
        && !verdict.report.denials.is_empty()
    {
        write(file, &document(false))?;
    }
    let document = document(true);
    output::say_block(&text::verdict::late(&document));
    output::say_block(&text::verdict::denials(&document));
    output::say_block(&text::verdict::patch(&document));
    if let Some(file) = &mut verdict_file {
        write(file, &document)?;
    }
    Ok(exit(&verdict))
}

/// The policy of programs. What the program may start may be anything at any point of it.
fn derived(images: &Images, phases: bool) -> Policy {
    let mut policy = Policy::from_scans(&images.first, &images.others);
    if phases {
        let others = images.others.iter().flat_map(|set| &set.syscalls);
        let others: Vec<Sysno> = others.map(|call| call.number).collect();
        policy.phases = Policy::with_phases(&images.first).phases;
        for phase in &mut policy.phases {
            phase.calls.extend(&others);
        }
    }
    policy
}

/// Opens the file of a verdict. What was confined in its directory before may have left a link there, which would
/// lead to another file of the user's, or a pipe, in which the launcher would wait for a reader. Descriptors are
/// links by nature.
fn verdict_at(path: &Path) -> Result<File> {
    let descriptor = path.starts_with("/dev") || path.starts_with("/proc");
    let flags = match descriptor {
        true => OFlags::empty(),
        false => OFlags::NOFOLLOW | OFlags::NONBLOCK,
    };
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    options.custom_flags(flags.bits().cast_signed());
    const LEFT: &str = "which a program that could write there may have left: name another file";
    let opened = options.open(path);
    let opened = opened.map_err(|e| match Errno::from_io_error(&e) {
        Some(Errno::LOOP) => anyhow!("it is a symbolic link, {LEFT}"),
        Some(Errno::NXIO) => anyhow!("it is a named pipe from which nobody reads, {LEFT}"),
        _ => e.into(),
    })?;
    let waits = fcntl_getfl(&opened)? - OFlags::NONBLOCK;
    fcntl_setfl(&opened, waits)?;
    Ok(opened)
}

/// Puts a verdict into its file, in place of what is there.
fn write(file: &mut File, document: &Document) -> Result<()> {
    let text = output::json_document(document)?;
    // The program may have written to it. A pipe or a terminal has neither length nor place.
    let _ = file.set_len(0);
    let _ = file.rewind();
    file.write_all(text.as_bytes())
        .context("writing the verdict")
}

/// A program that no kernel of this architecture runs.
fn not_for_here(program: &Path, arch: Arch) -> Error {
    Error::NotExecutable {
        path: program.to_owned(),
        reason: format!(
            "it is a program of {arch}, and this machine is {}",
            Arch::NATIVE
        ),
    }
}

/// Whether the kernel knows no way to execute the file.
fn is_unknown_format(error: &Error) -> bool {
    let Error::Child { reason, .. } = error else {
        return false;
    };
    // ENOEXEC has no kind of its own.
    reason.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error())
}

fn exit(verdict: &Verdict<Record>) -> Exit {
    if let portcullis_sandbox::Outcome::Failed(reason) = &verdict.outcome {
        say(&format!("the program was ended: {reason}"));
        return Exit::RunFailed;
    }
    if verdict.outcome == portcullis_sandbox::Outcome::Unbounded {
        say(&format!("the program was ended: {}", document::UNBOUNDED));
    }
    if let portcullis_sandbox::Outcome::Limit(limit) = &verdict.outcome {
        say(&format!(
            "the program was ended: it is over its limit of {limit}"
        ));
    }
    Exit::Program(u8::try_from(verdict.exit_code() & 0xff).unwrap_or(u8::MAX))
}

/// Whether the program can load libraries that the scan does not know.
fn loads_modules(set: &SyscallSet) -> bool {
    set.residuals.iter().any(|r| r.kind == ResidualKind::Module)
}

fn spec(
    typed: &RunArgs,
    set: &SyscallSet,
    policy: &Policy,
    mode: Mode,
    traced: bool,
) -> Result<Spec> {
    // A script is started as its interpreter.
    let file = Path::new(&set.binary.path);
    let mut arguments: Vec<OsString> = Vec::new();
    match &set.binary.script {
        Some((script, argument)) => {
            arguments.push(set.binary.path.clone().into());
            arguments.extend(argument.clone().map(OsString::from));
            arguments.push(script.clone().into());
        }
        None => arguments.push(typed.command[0].clone()),
    }
    arguments.extend(typed.command[1..].iter().cloned());
    let environment = std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        name
    });
    Ok(Spec {
        program: Program::open(file)?,
        arguments,
        environment: environment.collect(),
        mode,
        traced,
        allowed: policy.rules().filter(|r| r.action.permits()).count(),
        mapped: mapped(set)?,
        unlisted: if loads_modules(set) || !typed.closure.plugins.is_empty() {
            Unlisted::Allow
        } else {
            Unlisted::Refuse
        },
        keep: Vec::new(),
        standard: [const { None }; 3],
        confinement: confinement::wanted(typed, set)?,
    })
}

/// The files that were scanned, as they are now.
pub(super) fn mapped(set: &SyscallSet) -> Result<Vec<MappedFile>> {
    let mapped = set.objects.iter().map(|object| {
        let path = PathBuf::from(&object.path);
        let identity = Identity::of_path(&path)
            .with_context(|| format!("looking at {} again", neutral::path(&path)))?;
        Ok(MappedFile { path, identity })
    });
    mapped.collect()
}

/// What the user must know before the program runs: what is not enforced, and what is not known.
fn say_before(set: &SyscallSet, plan: &Plan) {
    let missing = plan.not_enforced();
    let missing: Vec<&str> = missing
        .iter()
        .filter(|m| m.surprises)
        .map(|m| m.layer)
        .collect();
    if !missing.is_empty() {
        say(&format!("not enforced: {}", missing.join(", ")));
    }
    if let Some(counts) = text::scan::residual_counts(set) {
        say(&format!("the analysis could not tell: {counts}"));
    }
    for stale in set.warnings.iter().filter(|w| w.code == "PC0205") {
        say(&neutral::text(&stale.message));
    }
    if let Some((script, _)) = &set.binary.script {
        say(&format!(
            "{} is a script: the set is that of {}",
            neutral::text(script),
            neutral::bytes(set.binary.path.as_bytes())
        ));
    }
}
