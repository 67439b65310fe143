//! Running steps: in an emulated machine, or here.
//!
//! The machine is emulated in software: no other way works everywhere that tests run. Its processor is a
//! fixed model, because kernels have failed on `-cpu max` (6.12 in `crng_reseed`).

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::Arch;
use tempfile::TempDir;

use super::environment::Variant;
use super::image::Image;
use super::initramfs::Files;
use super::report;
use super::step::{Ended, Seen, Step, Word};
use crate::process;

/// Memory of a machine: ten times what its kernel and programs take.
const MEGABYTES: &str = "768";
/// What a kernel would do against a processor that guesses is of no use on one that does not, and it is dear: on aarch64 the
/// page tables change at each entry (`kpti`, which addresses at random would turn on again): beside other work, all suites of a
/// machine took 160 s with it and 98 s without.
const UNGUARDED: &str = "mitigations=off nokaslr";
/// A machine that runs longer has failed: ten times what the slowest takes when nothing else runs.
const LIMIT: Duration = Duration::from_secs(900);
/// What a machine may tell.
const MOST_TOLD: u64 = 64 << 20;
/// Lines of its console that a failure shows.
const SHOWN: usize = 12;

/// What came of a machine: what was seen of each step, and how long it ran from its start to its end.
pub(crate) struct Run {
    pub(crate) seen: Vec<Seen>,
    pub(crate) took: Duration,
}

/// Boots a machine with `files` and runs the steps in it.
pub(crate) fn boot(
    image: &Image,
    arch: Arch,
    variant: Variant,
    mut files: Files,
    steps: &[(u32, Step)],
) -> Result<Run> {
    let mut plan = format!("cgroup\t{}\n", variant.cgroups());
    for (uid, step) in steps {
        plan.push_str(&step.plan(*uid)?);
        plan.push('\n');
    }
    files.add("plan", plan);
    let archive = tempfile::NamedTempFile::new().context("make a file for the initramfs")?;
    fs::write(&archive, files.archive()?).context("write the initramfs")?;
    let (program, console, model): (_, _, &[&str]) = match arch {
        Arch::X86_64 => (
            "qemu-system-x86_64",
            "ttyS0",
            &["-M", "q35", "-cpu", "qemu64"],
        ),
        _ => (
            "qemu-system-aarch64",
            "ttyAMA0",
            &["-M", "virt", "-cpu", "cortex-a57"],
        ),
    };
    let mut qemu = Command::new(program);
    qemu.args(model)
        .args([
            "-accel",
            "tcg",
            "-m",
            MEGABYTES,
            "-no-reboot",
            "-nodefaults",
        ])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(&image.file)
        .arg("-initrd")
        .arg(archive.path())
        .arg("-append")
        .arg(format!(
            "console={console} quiet panic=-1 {UNGUARDED} {}",
            variant.parameters()
        ));
    let start = Instant::now();
    let (console, ended) = console_of(&mut qemu)?;
    let took = start.elapsed();
    let told = ended.and_then(|()| report::read(&console, steps.len()));
    let seen = told.with_context(|| {
        let text = String::from_utf8_lossy(&console);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(SHOWN);
        let line = |line: &&str| line.escape_debug().to_string();
        let last: Vec<String> = lines[from..].iter().map(line).collect();
        format!("its console ended with\n    {}", last.join("\n    "))
    })?;
    Ok(Run { seen, took })
}

/// Everything that a machine says, and whether it ended by itself.
fn console_of(qemu: &mut Command) -> Result<(Vec<u8>, Result<()>)> {
    let line = process::line_of(qemu);
    let mut child = qemu
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {line}"))?;
    let stdout = child.stdout.take().context("no console")?;
    let reader = thread::spawn(move || {
        let mut console = Vec::new();
        // What came before an error, or before there was too much, is judged and found to be cut short.
        let _ = stdout.take(MOST_TOLD).read_to_end(&mut console);
        console
    });
    let ended = process::wait(&mut child, LIMIT).and_then(|status| {
        ensure!(status.success(), "{line}: {status}");
        Ok(())
    });
    let console = reader.join().unwrap_or_default();
    Ok((console, ended))
}

/// Runs the steps on this machine's own kernel, each in a directory of its user.
pub(crate) fn here(files: &Files, steps: &[(u32, Step)]) -> Result<Run> {
    let programs = directory(files)?;
    let start = Instant::now();
    let mut seen = Vec::new();
    for (uid, step) in steps {
        let ran = step_here(programs.path(), *uid, step);
        seen.push(ran.with_context(|| step.program.clone())?);
    }
    let took = start.elapsed();
    Ok(Run { seen, took })
}

/// A directory with the files, where everybody may execute them.
fn directory(files: &Files) -> Result<TempDir> {
    let directory = tempfile::Builder::new()
        .prefix("portcullis-")
        .tempdir()
        .context("make a directory for temporary files")?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
    for (name, content) in files.iter() {
        let file = directory.path().join(name);
        if let Some(parent) = file.parent().filter(|parent| !parent.is_dir()) {
            fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        }
        fs::write(&file, content).with_context(|| format!("write {}", file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(directory)
}

fn step_here(programs: &Path, uid: u32, step: &Step) -> Result<Seen> {
    let home = programs.join(uid.to_string());
    if !home.is_dir() {
        fs::create_dir(&home).with_context(|| format!("create {}", home.display()))?;
        std::os::unix::fs::chown(&home, Some(uid), None)?;
    }
    let text = |word: &Word| match word {
        Word::Text(text) => OsString::from(text),
        Word::File(name) => programs.join(name).into(),
    };
    let variables = step.environment.iter();
    let mut command = Command::new(programs.join(&step.program));
    command
        .args(step.arguments.iter().map(text))
        .current_dir(&home)
        .env_clear()
        .envs([("PATH", "/"), ("LANG", "C")])
        .env("HOME", &home)
        .envs(variables.map(|(name, value)| (name, text(value))));
    if rustix::process::geteuid().is_root() {
        // The standard library gives up root's groups when it changes the user.
        command.uid(uid).gid(uid);
    }
    let start = Instant::now();
    let outcome = process::take(&mut command, b"", Duration::from_secs(step.seconds.into()))?;
    let code = outcome.status.code().map(Ended::Exit);
    let ended = code.or(outcome.status.signal().map(Ended::Signal));
    Ok(Seen {
        stdout: outcome.stdout,
        stderr: outcome.stderr,
        ended: ended.context("it neither ended nor was killed")?,
        took: start.elapsed(),
    })
}
