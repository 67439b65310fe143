//! How each limit is kept: a mechanism with a scope. One that binds each process is no substitute for one that
//! binds all of them together, unless there can be only one.

use std::time::Duration;

use portcullis_sys::limit::Resource;
use portcullis_sys::namespace::Namespaces;

use crate::cgroup::{Controller, Place};
use crate::confinement::Confinement;
use crate::error::Error;
use crate::help;
use crate::layer::LayerName;
use crate::limits::Limits;
use crate::users::Users;
use crate::verdict::Layer;

/// What the child bounds itself, what its group is bounded to, and what the launcher watches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bounds {
    /// Of the program's process, inherited by what it starts.
    pub(crate) resources: Vec<(Resource, u64)>,
    /// Of its group.
    pub(crate) groups: Vec<(Place, Option<u64>)>,
    pub(crate) cpu: Option<Duration>,
    pub(crate) wall: Option<Duration>,
    /// Of its standard output and error together, in bytes.
    pub(crate) output: Option<u64>,
    /// What it forks is in a group of its own.
    pub(crate) forks: bool,
    layers: Vec<Layer>,
}

/// All of the run's processes together.
const ALL: &str = "all processes together";
/// Said where only the one process that is allowed can be meant.
const ONE: &str = "the one process that there can be";

impl Bounds {
    /// A mechanism for each limit of `wanted`, or which one has none here.
    pub(crate) fn new(
        wanted: &Confinement,
        users: &Users,
        namespaces: Namespaces,
    ) -> Result<Bounds, Error> {
        let limits = &wanted.limits;
        let mut bounds = Bounds::default();
        if !wanted.has(LayerName::Limits) {
            return match limits.is_empty() {
                true => Ok(bounds),
                false => Err(Error::Invalid(
                    "limits are asked for and left out at the same time".to_owned(),
                )),
            };
        }
        if let Some(wall) = limits.wall {
            bounds.wall = Some(wall);
            bounds.tell("a clock of the launcher", ALL, format!("wall {wall:?}"));
        }
        // What has no bounds is no reason to divide the group of the launcher.
        let forks = wanted.forks.is_some() && limits.memory.is_some();
        let forks = forks && namespaces != Namespaces::NONE;
        let places = places(limits, forks);
        let place = |wanted| places.iter().find(|p| p.controller == wanted).cloned();
        if let Some(most) = limits.processes {
            bounds.processes(most, place(Controller::Processes), users, namespaces)?;
        }
        let single = limits.processes == Some(1);
        if let Some(cpu) = limits.cpu {
            bounds.cpu(cpu, place(Controller::Cpu), single)?;
        }
        if let Some(most) = limits.memory {
            bounds.memory(most, place(Controller::Memory), single)?;
        }
        if forks {
            bounds.forks(limits, &places);
        }
        if let Some(most) = limits.files {
            bounds.resources.push((Resource::Files, most));
            bounds.tell("RLIMIT_NOFILE", "each process", format!("files {most}"));
        }
        if let Some(most) = limits.file_size {
            bounds.resources.push((Resource::FileSize, most));
            let detail = format!("file-size {most} bytes");
            bounds.tell("RLIMIT_FSIZE", "each file", detail);
        }
        if let Some(most) = limits.output {
            bounds.output = Some(most);
            let detail = format!("output {most} bytes");
            bounds.tell("pipes that the launcher empties and counts", ALL, detail);
        }
        Ok(bounds)
    }

    fn processes(
        &mut self,
        most: u64,
        place: Option<Place>,
        users: &Users,
        namespaces: Namespaces,
    ) -> Result<(), Error> {
        let detail = format!("processes {most}");
        // The init counts with the program's.
        let with_init = most.saturating_add(1);
        if let Some(place) = place {
            self.tell(mechanism(&place), ALL, detail);
            self.groups.push((place, Some(with_init)));
            return Ok(());
        }
        // In a user namespace of its own the user's tasks are counted apart from those outside (Linux 5.14,
        // `UCOUNT_RLIMIT_NPROC`); root's are not bounded at all (`copy_process`).
        if !users.root && namespaces.has(Namespaces::USER) && is_at_least((5, 14)) {
            self.resources.push((Resource::Processes, with_init));
            self.tell("RLIMIT_NPROC in a user namespace of its own", ALL, detail);
            return Ok(());
        }
        Err(no_mechanism(
            "processes",
            "RLIMIT_NPROC binds an ordinary user in a namespace of his own, from Linux 5.14 on",
        ))
    }

    fn cpu(&mut self, most: Duration, place: Option<Place>, single: bool) -> Result<(), Error> {
        let detail = format!("cpu {most:?}");
        if let Some(place) = place {
            self.tell(mechanism(&place), ALL, detail);
            self.groups.push((place, None));
            self.cpu = Some(most);
        } else if single {
            // In whole seconds, at least one (setrlimit(2)).
            let seconds = most.as_millis().div_ceil(1000).max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            self.resources.push((Resource::Cpu, seconds));
            self.tell("RLIMIT_CPU", ONE, format!("cpu {seconds}s"));
        } else {
            return Err(no_mechanism("cpu", PER_PROCESS));
        }
        Ok(())
    }

    fn memory(&mut self, most: u64, place: Option<Place>, single: bool) -> Result<(), Error> {
        let detail = format!("memory {most} bytes");
        if let Some(place) = place {
            self.tell(mechanism(&place), ALL, detail);
            self.groups.push((place, Some(most)));
        } else if single {
            self.resources.push((Resource::AddressSpace, most));
            self.tell(
                "RLIMIT_AS",
                ONE,
                format!("{detail} of address space; files in private places are not counted"),
            );
        } else {
            return Err(no_mechanism("memory", PER_PROCESS));
        }
        Ok(())
    }

    /// Of a program that forks one process at a time, what can be had here: its tasks are bounded, and what it forks is in a
    /// group of its own.
    fn forks(&mut self, limits: &Limits, places: &[Place]) {
        let place = |wanted| places.iter().find(|p| p.controller == wanted).cloned();
        let tasks = place(Controller::Processes).filter(|_| limits.processes.is_none());
        if let Some(place) = tasks {
            self.tell(mechanism(&place), ALL, "processes 2".to_owned());
            // And the init.
            self.groups.push((place, Some(3)));
        }
        // Version 2 counts processor time wherever it is.
        if let Some(place) = place(Controller::Cpu).filter(|place| place.unified) {
            self.forks = true;
            if limits.cpu.is_none() {
                self.groups.push((place, None));
            }
        }
    }

    fn tell(&mut self, mechanism: &'static str, scope: &'static str, detail: String) {
        self.layers.push(Layer {
            layer: LayerName::Limits.name(),
            mechanism,
            scope,
            detail,
        });
    }

    /// Whether what the run has of `controller` is counted all together, and not that of a process alone.
    pub(crate) fn counts(&self, controller: Controller) -> bool {
        let mut groups = self.groups.iter();
        groups.any(|(place, _)| place.controller == controller)
    }

    /// For the verdict.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        self.layers.clone()
    }
}

/// Where groups can be made for those of the limits that are kept by one, and with `forks` for what is forked.
fn places(limits: &Limits, forks: bool) -> Vec<Place> {
    let wanted = [
        (Controller::Processes, forks || limits.processes.is_some()),
        (Controller::Cpu, forks || limits.cpu.is_some()),
        (Controller::Memory, limits.memory.is_some()),
    ];
    let wanted = wanted.iter().filter(|(_, wanted)| *wanted);
    let wanted: Vec<Controller> = wanted.map(|(controller, _)| *controller).collect();
    match wanted.is_empty() {
        true => Vec::new(),
        false => Place::find(&wanted),
    }
}

const PER_PROCESS: &str =
    "a limit of each process alone would let many have more; with processes=1 it is used";

fn mechanism(place: &Place) -> &'static str {
    match place.unified {
        true => "cgroup v2",
        false => "cgroup v1",
    }
}

fn no_mechanism(limit: &str, why: &str) -> Error {
    Error::Layer {
        layer: LayerName::Limits,
        reason: format!(
            "nothing here keeps {limit}: no cgroup with that controller can be made by this user, and {why}"
        ),
        help: help::with_group(
            match limit {
                "processes" => "pids",
                other => other,
            },
            rustix::process::geteuid().is_root(),
        ),
    }
}

/// Whether the kernel's release is at least this.
fn is_at_least(version: (u32, u32)) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    (next(), next()) >= version
}
