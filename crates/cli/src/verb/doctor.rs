//! `portcullis doctor`: what this machine can enforce, by trying it as the user who asks.
//!
//! What is tried is what `run` does, up to where the program would begin; the child is then killed.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Result;
use portcullis_sandbox::{
    Confinement, Error, Features, LayerName, Network, Plan, Program, Spec, prove, rehearse,
};
use rustix::fs::{MemfdFlags, Mode, SealFlags, fcntl_add_seals, memfd_create};

use crate::args::{DoctorArgs, Format, LevelArg};
use crate::exit::Exit;
use crate::json::doctor::{Check, Document};
use crate::output::Output;
use crate::{machine, neutral};

/// Runs the verb.
pub(crate) fn doctor(typed: DoctorArgs) -> Result<Exit> {
    let document = examine(typed.level)?;
    match typed.format {
        Format::Text => Output::Stdout.write_text(&text(&document))?,
        Format::Json => Output::Stdout.write_json(&document)?,
    }
    Ok(match document.reachable {
        true => Exit::Success,
        false => Exit::Findings,
    })
}

fn examine(asked: LevelArg) -> Result<Document> {
    let features = Features::probe();
    let refusal = machine::refusal();
    let mut checks = vec![
        Check {
            layer: "seccomp",
            level: LevelArg::Filter.name(),
            tried: "a filter that kills",
            works: refusal.is_none(),
            needed: true,
            changes: Vec::new(),
            detail: refusal.unwrap_or_else(|| "the kernel takes it".to_owned()),
        },
        tracing(&features),
    ];
    let root = rustix::process::geteuid().is_root();
    for trial in TRIALS {
        checks.push(match trial.layer {
            LayerName::Ids if !root => ids_of_workers(&features),
            _ => trial.check(&features)?,
        });
    }
    let landlock = match features.landlock() {
        Ok(abi) => Ok(format!("ABI {abi}")),
        Err(error) => Err(error),
    };
    let newest = "its newest ABI";
    checks.push(check(
        LayerName::Landlock.name(),
        LevelArg::Default,
        newest,
        landlock,
    ));
    checks.push(fixed_code(&features));
    checks.push(noexec());
    let name = rustix::system::uname();
    let reaches = |level: LevelArg| {
        let mut below = checks.iter().filter(|check| !check.works);
        !below.any(|check| level.has(check))
    };
    Ok(Document {
        schema: "portcullis.doctor",
        version: 1,
        kernel: name.release().to_string_lossy().into_owned(),
        root,
        default: reaches(LevelArg::Default),
        level: asked.name(),
        reachable: reaches(asked),
        checks,
    })
}

impl LevelArg {
    fn name(self) -> &'static str {
        match self {
            LevelArg::Filter => "filter",
            LevelArg::Default => "default",
            LevelArg::Full => "full",
        }
    }

    /// Whether `check` is part of it.
    fn has(self, check: &Check) -> bool {
        let levels = [LevelArg::Filter, LevelArg::Default, LevelArg::Full];
        let mut own = levels.into_iter().filter(|level| *level <= self);
        own.any(|level| level.name() == check.level)
    }
}

/// What came of something that was tried: how it works, or why it does not.
fn check(
    layer: &'static str,
    level: LevelArg,
    tried: &'static str,
    came: Result<String, Error>,
) -> Check {
    Check {
        layer,
        level: level.name(),
        tried,
        works: came.is_ok(),
        needed: level <= LevelArg::Default,
        changes: came.as_ref().err().map_or(Vec::new(), |error| {
            error.help().map(str::to_owned).collect()
        }),
        detail: came.unwrap_or_else(|error| error.reason()),
    }
}

/// A program is traced while it runs: its denials are met at its stops, and its file is compared at its start.
fn tracing(features: &Features) -> Check {
    let traced = try_it(Confinement::none(), features).map(|_| "the kernel lets it be".to_owned());
    check(
        "tracing",
        LevelArg::Filter,
        "a child that is traced",
        traced,
    )
}

/// Whether the kernel keeps memory from becoming executable (`mdwe` in verdicts), tried as the break-out test does.
fn fixed_code(features: &Features) -> Check {
    let mut wanted = Confinement::none();
    wanted.fixed_code = true;
    let tried = plan(wanted, features).and_then(|plan| match plan.fixes_code() {
        true => prove(&plan, features, None).map(|tried| tried.surprises.join("; ")),
        false => Ok("this kernel does not (Linux 6.3 does)".to_owned()),
    });
    let wrong = tried.unwrap_or_else(|error| error.reason());
    Check {
        layer: "mdwe",
        level: "",
        tried: "no memory becomes executable",
        works: wrong.is_empty(),
        needed: false,
        changes: Vec::new(),
        detail: match wrong.is_empty() {
            true => "what tries it is refused".to_owned(),
            false => wrong,
        },
    }
}

/// Where no program can be started from, because the mount says so. Confined programs have places of their own
/// that are not so.
fn noexec() -> Check {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let working = std::env::current_dir().ok();
    let places = [working, home, Some("/tmp".into()), Some("/dev/shm".into())];
    let mut found: Vec<String> = Vec::new();
    for place in places.into_iter().flatten() {
        let flags = rustix::fs::statvfs(&place).map(|told| told.f_flag);
        let forbids = flags.is_ok_and(|f| f.contains(rustix::fs::StatVfsMountFlags::NOEXEC));
        let shown = neutral::path(&place).into_owned();
        if forbids && !found.contains(&shown) {
            found.push(shown);
        }
    }
    Check {
        layer: "programs",
        level: "",
        tried: "starting from the usual places",
        works: found.is_empty(),
        needed: false,
        changes: found
            .iter()
            .map(|place| format!("to start programs from {place}: mount -o remount,exec it"))
            .collect(),
        detail: match found.is_empty() {
            true => "none is mounted noexec".to_owned(),
            false => format!("mounted noexec: {}", found.join(", ")),
        },
    }
}

/// A layer that is made as for a run, alone as far as that can be.
struct Trial {
    layer: LayerName,
    tried: &'static str,
    level: LevelArg,
    /// Layers that would hide why this one fails.
    without: &'static [LayerName],
    network: Network,
    limits: &'static str,
}

/// What is tried.
const TRIALS: [Trial; 9] = [
    Trial::of(
        LayerName::Namespaces,
        "user, pid, mount, ipc, uts and cgroup",
    ),
    Trial::of(LayerName::Ids, "ids that own nothing, for what root starts"),
    Trial::of(LayerName::Network, "a network namespace"),
    Trial {
        level: LevelArg::Full,
        network: Network::Loopback,
        ..Trial::of(LayerName::Network, "a loopback device of its own")
    },
    Trial::of(LayerName::Filesystem, "mounts, read back from mountinfo"),
    Trial::of_limit("wall time", "wall=60s"),
    Trial::of_limit("processor time of all processes", "cpu=60s"),
    Trial::of_limit("memory of all processes", "memory=1G"),
    Trial::of_limit("processes", "processes=64"),
];

impl Trial {
    const fn of(layer: LayerName, tried: &'static str) -> Trial {
        Trial {
            layer,
            tried,
            level: LevelArg::Default,
            without: match layer {
                LayerName::Filesystem => &[LayerName::Network],
                LayerName::Network => &[LayerName::Filesystem],
                _ => &[LayerName::Filesystem, LayerName::Network],
            },
            network: Network::None,
            limits: "",
        }
    }

    const fn of_limit(tried: &'static str, limits: &'static str) -> Trial {
        Trial {
            level: LevelArg::Full,
            limits,
            ..Trial::of(LayerName::Limits, tried)
        }
    }

    /// Tries it.
    fn check(&self, features: &Features) -> Result<Check> {
        let mut wanted = Confinement::new(PathBuf::from("/"));
        wanted.without = self.without.iter().copied().collect();
        // Whether the kernel has it is asked apart; here it would hide what else fails.
        wanted.without.insert(LayerName::Landlock);
        if self.layer != LayerName::Ids {
            wanted.without.insert(LayerName::Ids);
        }
        wanted.network = self.network;
        if !self.limits.is_empty() {
            wanted.limits = self.limits.parse().map_err(anyhow::Error::msg)?;
        }
        let came = try_it(wanted, features).map(|mechanism| match self.layer {
            LayerName::Limits => mechanism,
            _ => "made and taken down again".to_owned(),
        });
        Ok(check(self.layer.name(), self.level, self.tried, came))
    }
}

/// What an ordinary user starts has his id; workers of jobs, which need none of his files, others that are his to give.
fn ids_of_workers(features: &Features) -> Check {
    let mut wanted = Confinement::new(PathBuf::from("/"));
    wanted.empty = true;
    // Made or asked apart.
    wanted
        .without
        .extend([LayerName::Network, LayerName::Landlock]);
    let came = sealed().and_then(|program| {
        let plan = Plan::new(Spec::new(program, wanted), features)?;
        rehearse(&plan)
    });
    Check {
        level: "",
        needed: false,
        ..check(
            LayerName::Ids.name(),
            LevelArg::Default,
            "ids of their own for workers of jobs",
            came.map(|()| "made and taken down again".to_owned()),
        )
    }
}

/// A program that is sealed in memory, as a worker's is; it never begins.
fn sealed() -> Result<Program, Error> {
    let name = "program";
    let failed = |e: rustix::io::Errno| Error::Read {
        path: name.into(),
        reason: e.into(),
    };
    let memory = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
    let memory = File::from(memory.map_err(failed)?);
    rustix::fs::fchmod(&memory, Mode::from_raw_mode(0o555)).map_err(failed)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
    fcntl_add_seals(&memory, seals).map_err(failed)?;
    Program::from_file(memory, Path::new(name))
}

/// Makes `wanted` for a program that never begins; how its limits are kept.
fn try_it(wanted: Confinement, features: &Features) -> Result<String, Error> {
    let plan = plan(wanted, features)?;
    rehearse(&plan)?;
    let layers = plan.enforced();
    let limits = layers
        .iter()
        .filter(|l| l.layer == LayerName::Limits.name());
    Ok(limits
        .map(|l| format!("{} ({})", l.mechanism, l.scope))
        .collect())
}

fn plan(confinement: Confinement, features: &Features) -> Result<Plan, Error> {
    let itself = PathBuf::from("/proc/self/exe");
    let program = std::fs::canonicalize(&itself).unwrap_or(itself);
    let spec = Spec::new(Program::open(&program)?, confinement);
    Plan::new(spec, features)
}

fn text(document: &Document) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let who = if document.root {
        "root"
    } else {
        "an ordinary user"
    };
    let kernel = neutral::text(&document.kernel);
    let _ = writeln!(out, "Linux {kernel}, as {who}");
    for check in &document.checks {
        let mark = match (check.works, check.needed) {
            (true, _) => "works",
            (false, true) => "FAILS",
            (false, false) => "no",
        };
        let detail = neutral::text(&check.detail);
        let _ = writeln!(
            out,
            "{mark:<6} {:<11} {}: {detail}",
            check.layer, check.tried
        );
        for change in &check.changes {
            let _ = writeln!(out, "       would help: {}", neutral::text(change));
        }
    }
    let level = match (document.reachable, document.level) {
        (true, "default") => "`run` can give every layer of its default",
        (true, _) => "the level that was asked for can be reached",
        (false, "default") => {
            "`run` will refuse: a layer of its default cannot be had (--allow-insecure LAYER leaves it out)"
        }
        (false, _) => "the level that was asked for cannot be reached",
    };
    let _ = writeln!(out, "{level}");
    out
}
