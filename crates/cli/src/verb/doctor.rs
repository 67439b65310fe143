//! `portcullis doctor`: what this machine can enforce, by trying it as the user who asks.
//!
//! What is tried is what `run` does, up to where the program would begin; the child is then killed.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use portcullis_sandbox::{
    Confinement, Error, Features, LayerName, Mode, Network, Plan, Program, Spec, Unlisted, rehearse,
};

use crate::args::{DoctorArgs, Format};
use crate::exit::Exit;
use crate::json::doctor::{Check, Document};
use crate::output::Output;
use crate::{machine, neutral};

/// Runs the verb.
pub(crate) fn doctor(typed: DoctorArgs) -> Result<Exit> {
    let document = examine()?;
    match typed.format {
        Format::Text => Output::Stdout.write_text(&text(&document))?,
        Format::Json => Output::Stdout.write_json(&document)?,
    }
    Ok(match document.default {
        true => Exit::Success,
        false => Exit::Findings,
    })
}

fn examine() -> Result<Document> {
    let features = Features::probe();
    let refusal = machine::refusal();
    let landlock = features.landlock();
    let mut checks = vec![
        Check {
            layer: "seccomp",
            tried: "a filter that kills",
            works: refusal.is_none(),
            needed: true,
            detail: refusal.unwrap_or_else(|| "the kernel takes it".to_owned()),
        },
        Check {
            layer: LayerName::Landlock.name(),
            tried: "its newest ABI",
            works: landlock.is_ok(),
            needed: true,
            detail: match landlock {
                Ok(abi) => format!("ABI {abi}"),
                Err(error) => reason(&error),
            },
        },
    ];
    for trial in TRIALS {
        checks.push(trial.check(&features)?);
    }
    let name = rustix::system::uname();
    Ok(Document {
        schema: "portcullis.doctor",
        version: 1,
        kernel: name.release().to_string_lossy().into_owned(),
        root: rustix::process::geteuid().is_root(),
        default: checks.iter().all(|check| check.works || !check.needed),
        checks,
    })
}

/// A layer that is made as for a run, alone as far as that can be.
struct Trial {
    layer: LayerName,
    tried: &'static str,
    needed: bool,
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
        needed: false,
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
            needed: true,
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
            needed: false,
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
        let tries = try_it(wanted, features);
        Ok(Check {
            layer: self.layer.name(),
            tried: self.tried,
            works: tries.is_ok(),
            needed: self.needed,
            detail: match tries {
                Ok(mechanism) if self.layer == LayerName::Limits => mechanism,
                Ok(_) => "made and taken down again".to_owned(),
                Err(error) => reason(&error),
            },
        })
    }
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
    let spec = Spec {
        program: Program::open(&program)?,
        arguments: vec![OsString::from("portcullis")],
        environment: Vec::new(),
        mode: Mode::Enforce,
        traced: false,
        allowed: 0,
        mapped: Vec::new(),
        unlisted: Unlisted::Allow,
        keep: Vec::new(),
        confinement,
        audited: false,
    };
    Plan::new(spec, features)
}

/// Why, without the advice to go without.
fn reason(error: &Error) -> String {
    match error {
        Error::Layer { reason, help, .. } => format!("{reason}{help}"),
        other => other.to_string(),
    }
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
    }
    let level = match document.default {
        true => "`run` can give every layer of its default",
        false => {
            "`run` will refuse: a layer of its default cannot be had (--allow-insecure LAYER leaves it out)"
        }
    };
    let _ = writeln!(out, "{level}");
    out
}
