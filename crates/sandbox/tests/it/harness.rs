//! Builds a C program, starts it as a case says, and gives what came of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis_sandbox::{
    ArmedFilter, Confinement, Cookie, Error, Features, Followed, MappedFile, Mode, Observer, Plan,
    Program, Root, Spec, Unlisted, Verdict, launch,
};
use portcullis_watch::{self as watch, Record};
use tempfile::TempDir;

use crate::filter::Denied;

/// Launches change the process's signal handlers, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory with a built program in it.
pub(crate) struct Built {
    pub(crate) directory: TempDir,
    pub(crate) path: PathBuf,
}

/// The flags of all programs, then every call of [`build`], one a line: for machines without a compiler they
/// are made elsewhere.
const BUILDS: &str = include_str!("programs/builds");
/// Names the directory where they are then, each called as its line.
const PREBUILT: &str = "PORTCULLIS_PREBUILT";

/// Compiles `programs/NAME.c`, or takes what was compiled elsewhere.
pub(crate) fn build(name: &str, flags: &[&str]) -> Built {
    build_in(TempDir::new().unwrap(), name, flags)
}

/// The same in a directory that has what it is linked with.
pub(crate) fn build_in(directory: TempDir, name: &str, flags: &[&str]) -> Built {
    let line = [&[name], flags].concat().join(" ");
    assert!(
        BUILDS.lines().skip(1).any(|known| known == line),
        "{line:?} is missing in programs/builds"
    );
    let path = directory.path().join(name);
    match std::env::var_os(PREBUILT) {
        Some(from) => copy(&Path::new(&from).join(line), &path),
        None => compile(name, flags, &path),
    }
    Built { directory, path }
}

/// Compiles `programs/NAME.c`; a name with `.so` is a library's.
fn compile(name: &str, flags: &[&str], path: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/programs")
        .join(name)
        .with_extension("c");
    let shared: &[&str] = match name.ends_with(".so") {
        true => &["-shared", "-fPIC"],
        false => &[],
    };
    let output = Command::new("gcc")
        .args(BUILDS.lines().take(1).flat_map(str::split_whitespace))
        .args(shared)
        .arg("-o")
        .arg(path)
        .arg(&source)
        .args(flags)
        .current_dir(path.parent().unwrap())
        .output()
        .expect("gcc is needed for these tests");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Puts `bytes` into an executable file through a process of its own: were it open for writing
/// here, a child that another test creates at that moment would hold it open over the exec
/// (ETXTBSY).
pub(crate) fn place(path: &Path, bytes: &[u8]) {
    let staged = path.with_extension("staged");
    std::fs::write(&staged, bytes).unwrap();
    copy(&staged, path);
}

/// Copies `from` to `to` likewise.
pub(crate) fn copy(from: &Path, to: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "harness::as_copier", "--ignored"])
        .env(FROM, from)
        .env(TO, to)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

const FROM: &str = "PORTCULLIS_TEST_FROM";
const TO: &str = "PORTCULLIS_TEST_TO";

/// Not a test: what [`copy`] starts. Without the variables there is nothing to copy.
#[test]
#[ignore = "started by other tests"]
fn as_copier() {
    if let (Some(from), Some(to)) = (std::env::var_os(FROM), std::env::var_os(TO)) {
        // A file that is there keeps its mode.
        let permissions = [&to, &from].map(|path| std::fs::metadata(path).map(|m| m.permissions()));
        let [there, given] = permissions;
        std::fs::write(&to, std::fs::read(from).unwrap()).unwrap();
        std::fs::set_permissions(to, there.or(given).unwrap()).unwrap();
    }
}

/// The tracer as the observer of a launch.
pub(crate) struct Tracing<'a> {
    pub(crate) mode: watch::Mode,
    pub(crate) denied: &'a Denied,
}

impl Observer for Tracing<'_> {
    type Report = Record;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Record>, portcullis_sys::Error> {
        let start = watch::Start {
            pid: root.pid,
            entry: root.entry,
            check: root.check,
            audit: None,
            phases: None,
        };
        let denied = self.denied;
        let record = watch::follow(start, self.mode, &|call: &watch::Call| denied.decide(call))?;
        Ok(Followed {
            end: record.end,
            denied: record.denied,
            own_filter: record.own_filter,
            refused: record.refused.clone(),
            usage: record.usage,
            report: record,
        })
    }
}

/// A start with everything but the program at its usual value.
pub(crate) struct Case<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) environment: &'a [&'a str],
    pub(crate) denied: Denied,
    pub(crate) mode: Mode,
    pub(crate) mapped: Vec<MappedFile>,
    pub(crate) unlisted: Unlisted,
    pub(crate) keep: Vec<i32>,
    pub(crate) confinement: Confinement,
}

impl<'a> Case<'a> {
    pub(crate) fn new(program: &'a Path, denied: Denied) -> Case<'a> {
        Case {
            program,
            arguments: &[],
            environment: &[],
            denied,
            mode: Mode::Enforce,
            mapped: Vec::new(),
            unlisted: Unlisted::Allow,
            keep: Vec::new(),
            confinement: Confinement::none(),
        }
    }

    pub(crate) fn arguments(mut self, arguments: &'a [&'a str]) -> Case<'a> {
        self.arguments = arguments;
        self
    }

    pub(crate) fn observe(mut self) -> Case<'a> {
        self.mode = Mode::Observe;
        self
    }

    pub(crate) fn plan(&self, program: Program) -> Result<Plan, Error> {
        let mut arguments: Vec<OsString> = vec![self.program.into()];
        arguments.extend(self.arguments.iter().map(OsString::from));
        let spec = Spec {
            program,
            arguments,
            environment: self.environment.iter().map(OsString::from).collect(),
            mode: self.mode,
            traced: false,
            allowed: 0,
            mapped: self.mapped.clone(),
            unlisted: self.unlisted,
            keep: self.keep.clone(),
            standard: [const { None }; 3],
            confinement: self.confinement.clone(),
        };
        Plan::new(spec, &Features::probe())
    }

    pub(crate) fn run(&self) -> Result<Verdict<Record>, Error> {
        self.run_opened(Program::open(self.program)?)
    }

    pub(crate) fn run_opened(&self, program: Program) -> Result<Verdict<Record>, Error> {
        let cookie = Cookie::random()?;
        let filter = self.denied.program(cookie.value());
        self.run_with(program, ArmedFilter::new(filter, cookie)?)
    }

    pub(crate) fn run_with(
        &self,
        program: Program,
        filter: ArmedFilter,
    ) -> Result<Verdict<Record>, Error> {
        let _turn = turn();
        self.launch(program, filter)
    }

    /// The same for who has the turn.
    pub(crate) fn run_in_turn(&self) -> Result<Verdict<Record>, Error> {
        let cookie = Cookie::random()?;
        let filter = self.denied.program(cookie.value());
        let filter = ArmedFilter::new(filter, cookie)?;
        self.launch(Program::open(self.program)?, filter)
    }

    fn launch(&self, program: Program, filter: ArmedFilter) -> Result<Verdict<Record>, Error> {
        let mut observer = Tracing {
            mode: match self.mode {
                Mode::Enforce => watch::Mode::Enforce,
                Mode::Observe => watch::Mode::Observe,
            },
            denied: &self.denied,
        };
        launch(&self.plan(program)?, || Ok(filter), &mut observer)
    }
}

/// The version of the kernel, as far as its second number.
pub(crate) fn release() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_str().unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().unwrap().parse().unwrap();
    (next(), next())
}
