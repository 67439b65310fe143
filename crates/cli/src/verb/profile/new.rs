//! `profile new -- PROGRAM ARGS`: a profile for a program, from one run of it.
//!
//! The program runs as it is, recorded at every call: which files it opened and changed, which programs it
//! started, which sockets it made, what it consumed. What of that a confined run would lack is in the profile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use portcullis_sandbox::{Confinement, Features, Limits, Plan, Program, Shown, Spec};
use portcullis_sys::wait::End;
use portcullis_watch::record::{self, Ending, Fact, Full, Sink, Touched};

use crate::analysis::Wanted;
use crate::args::{ClosureArgs, NetworkArg, NewArgs};
use crate::exit::Exit;
use crate::output::{Output, say};
use crate::profile::{self, Profile};
use crate::{neutral, program};

/// Files that are kept of one run; a program that touches more is better described by its directories.
const MOST_FILES: usize = 1 << 16;
/// What is allowed of time and memory is so many times what was used: another run has other input.
const ROOM: u64 = 4;
/// The least that is allowed, for programs that used next to nothing.
const LEAST_CPU: Duration = Duration::from_secs(10);
const LEAST_MEMORY: u64 = 64 << 20;
const LEAST_PROCESSES: u64 = 16;
const LEAST_FILES: u64 = 64;

/// What one run showed.
#[derive(Default)]
struct Seen {
    /// Each file, and the most that was done to it.
    files: BTreeMap<PathBuf, Touched>,
    /// The programs that were started, the first one among them.
    programs: BTreeSet<PathBuf>,
    /// It made sockets of the network.
    network: Option<NetworkArg>,
    /// The highest descriptor.
    descriptor: u32,
    /// There were more files than are kept.
    cut: bool,
}

impl Sink for Seen {
    fn fact(&mut self, fact: Fact<'_>) {
        match fact {
            Fact::Image { path, .. } => {
                self.programs.insert(path.to_owned());
            }
            Fact::Call { made, .. } => {
                let family = made.arguments().next().map(|(_, value)| value);
                // AF_INET and AF_INET6 (address_families(7)). Whether who answers is of the machine or of the
                // program itself, the addresses do not tell.
                if made.name() == Some("socket") && matches!(family, Some(2 | 10)) {
                    self.network = Some(NetworkArg::Host);
                }
            }
            Fact::Touched(file) => {
                self.descriptor = self.descriptor.max(file.descriptor.unwrap_or(0));
                let room = self.files.len() < MOST_FILES;
                match self.files.get_mut(&file.path) {
                    Some(known) => {
                        known.written |= file.written;
                        known.made |= file.made;
                    }
                    None if room => {
                        self.files.insert(file.path.clone(), file);
                    }
                    None => self.cut = true,
                }
            }
            _ => {}
        }
    }
}

/// Runs the verb.
pub(super) fn new(typed: &NewArgs) -> Result<Exit> {
    let file = program::find(&typed.command[0]).map_err(|e| anyhow::anyhow!("{e}"))?;
    let mut seen = Seen::default();
    let spec = record::Spec {
        program: file.clone(),
        arguments: typed.command.clone(),
        files: true,
    };
    say("the program runs unconfined, once, to be looked at");
    let ending = record::record(&spec, None, &mut Full, &mut seen)?;
    match ending.end {
        End::Exited(0) => {}
        End::Exited(code) => say(&format!(
            "it ended with {code}: what it did until then counts"
        )),
        // Servers are ended so.
        End::Signaled(signal) => say(&format!(
            "signal {signal} ended it: what it did until then counts"
        )),
    }
    if seen.cut {
        say("it touched more files than are kept: the others are missing");
    }
    let profile = drawn_up(typed, &file, &seen, &ending)?;
    let text = profile::write(&profile);
    Output::from_option(typed.output.clone()).write_text(&text)?;
    Ok(Exit::Success)
}

fn drawn_up(typed: &NewArgs, file: &Path, seen: &Seen, ending: &Ending) -> Result<Profile> {
    let name = neutral::bytes(typed.command[0].as_encoded_bytes()).into_owned();
    let closure = ClosureArgs {
        plugins: Vec::new(),
        nsswitch: None,
        assume: Vec::new(),
        no_cache: false,
        unconfined: false,
        analysis_memory: None,
    };
    let set = Wanted::of_file(file, &closure, [])?.analyse()?.set;
    let own: BTreeSet<PathBuf> = set
        .objects
        .iter()
        .filter_map(|object| std::fs::canonicalize(&object.path).ok())
        .collect();
    let places = Places::look()?;
    let plan = plan(&places, file)?;
    let mut profile = Profile {
        about: format!("{name}, made of one run"),
        net: seen.network.clone(),
        limits: limits(seen, ending, file, &places),
        ..Profile::default()
    };
    for program in &seen.programs {
        if !own.contains(program) {
            profile.exec.push(places.named(program));
        }
    }
    for touched in seen.files.values().filter(|t| counts(&t.path)) {
        let path = real(&touched.path);
        let shown = plan.shown(&path);
        match (touched.written, shown) {
            (_, Shown::Machine { writable: true }) | (false, Shown::Machine { .. }) => {}
            (true, Shown::Private) if touched.made => {}
            (_, Shown::Hidden) => say(&format!(
                "{} is hidden from a confined program, and this one opened it: add it to `read` if it may have it",
                neutral::path(&path)
            )),
            (false, Shown::Private) if touched.made || !path.exists() => {}
            (false, Shown::Private) => add(&mut profile.read, places.named(&path)),
            (true, _) => add(
                &mut profile.write,
                places.named(&places.written(&path, touched)?),
            ),
        }
        if !touched.written && !own.contains(&path) && is_library(&path) && !places.of_system(&path)
        {
            add(&mut profile.plugins, places.named(&path));
        }
    }
    let roots: Vec<PathBuf> = profile.write.clone();
    profile.write.retain(|path| {
        !roots
            .iter()
            .any(|root| root != path && path.starts_with(root))
    });
    profile
        .read
        .retain(|path| !roots.iter().any(|root| path.starts_with(root)));
    Ok(profile)
}

fn add(all: &mut Vec<PathBuf>, path: PathBuf) {
    if !all.contains(&path) {
        all.push(path);
    }
}

/// Devices and the kernel's own files are the same in a confined run.
fn counts(path: &Path) -> bool {
    let own = ["/proc", "/dev", "/sys"]
        .iter()
        .any(|own| path.starts_with(own));
    !own || path.starts_with("/dev/shm")
}

/// Without symbolic links, as far as it is still there.
fn real(path: &Path) -> PathBuf {
    let above = path
        .ancestors()
        .find_map(|above| Some((above, above.canonicalize().ok()?)));
    match above {
        Some((above, real)) => match path.strip_prefix(above) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
        None => path.to_owned(),
    }
}

/// Whether it is an ELF file for a loader.
fn is_library(path: &Path) -> bool {
    const ET_DYN: [u8; 2] = [3, 0];
    let mut head = [0; 18];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head.starts_with(b"\x7fELF") && head[16..] == ET_DYN
}

/// From where paths of a profile are told.
struct Places {
    working: PathBuf,
    home: Option<PathBuf>,
}

impl Places {
    fn look() -> Result<Places> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        Ok(Places {
            working: std::env::current_dir().context("finding the working directory")?,
            home: home.and_then(|home| home.canonicalize().ok()),
        })
    }

    /// As a profile has it: from the working directory, from the home directory or from the root.
    fn named(&self, path: &Path) -> PathBuf {
        if path == self.working {
            return ".".into();
        }
        if let Ok(below) = path.strip_prefix(&self.working) {
            return Path::new(".").join(below);
        }
        match self.home.as_ref().map(|home| path.strip_prefix(home)) {
            Some(Ok(below)) if !below.as_os_str().is_empty() => Path::new("~").join(below),
            _ => path.to_owned(),
        }
    }

    /// What must be writable so that `path` can be: a file that is there and stays, or its directory.
    fn written(&self, path: &Path, touched: &Touched) -> Result<PathBuf> {
        if !touched.made && path.is_file() {
            return Ok(path.to_owned());
        }
        let mut above = path.ancestors().skip(1);
        let directory = above.find(|above| above.is_dir());
        let directory = directory.unwrap_or(Path::new("/"));
        if directory == Path::new("/") || self.home.as_deref() == Some(directory) {
            let shown = neutral::path(directory);
            match directory == Path::new("/") {
                true => bail!(
                    "it made {} in {shown}, which a confined program cannot",
                    neutral::path(path)
                ),
                false => say(&format!(
                    "it made {} in {shown} itself, so that all of the home directory can be written: narrow it",
                    neutral::path(path)
                )),
            }
        }
        Ok(directory.to_owned())
    }

    /// Libraries of the system count by themselves.
    fn of_system(&self, path: &Path) -> bool {
        ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"]
            .iter()
            .any(|system| path.starts_with(system))
    }
}

/// What a confined run without any option would see.
fn plan(places: &Places, file: &Path) -> Result<Plan> {
    of(Confinement::new(places.working.clone()), places, file)
}

fn of(mut wanted: Confinement, places: &Places, file: &Path) -> Result<Plan> {
    wanted.homes = places.home.iter().cloned().collect();
    wanted.runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let spec = Spec::new(Program::open(file)?, wanted);
    Ok(Plan::new(spec, &Features::probe())?)
}

/// Bounds with room for another run, as far as this machine can keep them.
fn limits(seen: &Seen, ending: &Ending, file: &Path, places: &Places) -> Limits {
    let cpu = Duration::from_nanos(ending.usage.cpu_ns.saturating_mul(ROOM));
    let seconds = Duration::from_secs(cpu.as_secs() + 1);
    let memory = ending
        .usage
        .peak_memory_bytes
        .saturating_mul(ROOM)
        .saturating_mul(ending.tasks.clamp(1, 8));
    let tasks = ending.tasks.saturating_mul(ROOM);
    let files = u64::from(seen.descriptor).saturating_mul(ROOM);
    let asked = [
        Limits {
            cpu: Some(seconds.max(LEAST_CPU)),
            ..Limits::default()
        },
        Limits {
            memory: Some(memory.max(LEAST_MEMORY).next_multiple_of(1 << 20)),
            ..Limits::default()
        },
        Limits {
            processes: Some(tasks.max(LEAST_PROCESSES)),
            ..Limits::default()
        },
        Limits {
            files: Some(files.max(LEAST_FILES)),
            ..Limits::default()
        },
    ];
    let mut limits = Limits::default();
    for one in asked {
        let mut wanted = Confinement::new(places.working.clone());
        wanted.limits = one;
        match of(wanted, places, file) {
            Ok(_) => limits.merge(one),
            Err(error) => say(&format!("a limit is left out: {error}")),
        }
    }
    limits
}
