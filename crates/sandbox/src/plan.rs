//! From what is wanted to what will be done: pure data, checked before anything exists.

use std::ffi::{CString, OsString};
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use portcullis_sys::namespace::Namespaces;

use crate::bounds::Bounds;
use crate::confinement::{Confinement, Network};
use crate::descriptors;
use crate::features::Features;
use crate::identity::Program;
use crate::layer::LayerName;
use crate::mapped::{MappedFile, Unlisted};
use crate::modules::{Directory, Modules};
use crate::rules::{PORTS, Rules};
use crate::users::Users;
use crate::verdict::{Layer, Missing};
use crate::view::{Shown, View};
use crate::{Error, Identity};

/// What is wanted.
#[derive(Debug)]
pub struct Spec {
    /// The file to execute, open.
    pub program: Program,
    /// The arguments, the program's name for itself first.
    pub arguments: Vec<OsString>,
    /// The environment, `NAME=value`.
    pub environment: Vec<OsString>,
    /// Whether the filter holds.
    pub mode: Mode,
    /// Whether an observer's answers to stopped calls belong to what is enforced.
    pub traced: bool,
    /// Calls that the filter allows, for the verdict.
    pub allowed: usize,
    /// The files that were analysed and may be mapped executable when the program's own code
    /// begins.
    pub mapped: Vec<MappedFile>,
    /// What to do with a file that is mapped and not among `mapped`.
    pub unlisted: Unlisted,
    /// Descriptors beyond 0, 1 and 2 that the program inherits.
    pub keep: Vec<i32>,
    /// Its standard input, output and error, where they are not this process's own.
    pub standard: [Option<OwnedFd>; 3],
    /// What of the machine it is given.
    pub confinement: Confinement,
}

impl Spec {
    /// `program` under its own name, with the standard streams of this process, no environment and nothing that was
    /// analysed: for a plan that is looked at or tried, and to begin with.
    pub fn new(program: Program, confinement: Confinement) -> Spec {
        Spec {
            arguments: vec![program.path().into()],
            program,
            environment: Vec::new(),
            mode: Mode::Enforce,
            traced: false,
            allowed: 0,
            mapped: Vec::new(),
            unlisted: Unlisted::Allow,
            keep: Vec::new(),
            standard: [const { None }; 3],
            confinement,
        }
    }
}

/// Whether calls outside the set are denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are let through and counted, but for the core that is never given.
    Observe,
}

/// What will be done. Printable: it never holds the cookie.
#[derive(Debug)]
pub struct Plan {
    pub(crate) program: Program,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) mode: Mode,
    pub(crate) traced: bool,
    pub(crate) allowed: usize,
    pub(crate) mapped: Vec<MappedFile>,
    pub(crate) unlisted: Unlisted,
    pub(crate) keep: Vec<i32>,
    pub(crate) standard: [Option<OwnedFd>; 3],
    pub(crate) confinement: Confinement,
    pub(crate) namespaces: Namespaces,
    /// Its clocks are its own.
    pub(crate) clocks: bool,
    pub(crate) fixed_code: bool,
    /// The program's files; the mounts are made when the file layer holds.
    pub(crate) view: Option<View>,
    pub(crate) landlock: Option<Rules>,
    pub(crate) users: Users,
    pub(crate) bounds: Bounds,
}

impl Plan {
    /// Checks `spec` against what this machine has. Fails for strings that no exec can take, for descriptors
    /// that cannot be, and for a layer that is wanted and cannot be had.
    pub fn new(spec: Spec, features: &Features) -> Result<Plan, Error> {
        if spec.arguments.is_empty() {
            return Err(Error::Invalid(
                "a program needs its own name as first argument".to_owned(),
            ));
        }
        if let Some(fd) = spec.keep.iter().find(|fd| **fd < 3) {
            return Err(Error::Invalid(format!(
                "descriptor {fd} cannot be named to be kept: 0, 1 and 2 always are"
            )));
        }
        let confinement = spec.confinement;
        if confinement.empty && !spec.program.is_sealed() {
            return Err(Error::Invalid(
                "in an empty root only a program can be started that is sealed in memory"
                    .to_owned(),
            ));
        }
        let users = Users::current(&confinement)?;
        let namespaces = namespaces(&confinement, &users)?;
        let mounts = confinement.has(LayerName::Filesystem);
        let view = match mounts || confinement.has(LayerName::Landlock) {
            true => Some(View::new(
                &confinement,
                spec.program.path(),
                users.reader(mounts),
            )?),
            false => None,
        };
        let descriptors = descriptors::of_program(&spec.keep, &spec.standard, mounts)?;
        let landlock = match &view {
            Some(view) if confinement.has(LayerName::Landlock) => {
                let rules = Rules::new(view, features.landlock()?, &descriptors);
                Some(match confinement.network {
                    Network::Ports => rules.with_ports(&confinement.ports),
                    _ => rules,
                })
            }
            _ => None,
        };
        if confinement.network == Network::Ports {
            ports(&confinement, spec.mode, features)?;
            descriptors::refuse_sockets(&spec.keep, &spec.standard)?;
        }
        Ok(Plan {
            bounds: Bounds::new(&confinement, &users, namespaces)?,
            fixed_code: confinement.fixed_code && features.fixed_code,
            confinement,
            clocks: namespaces != Namespaces::NONE && features.clocks,
            namespaces,
            view,
            landlock,
            users,
            arguments: strings(spec.arguments, "an argument")?,
            environment: strings(spec.environment, "a variable of the environment")?,
            program: spec.program,
            mode: spec.mode,
            traced: spec.traced,
            allowed: spec.allowed,
            mapped: spec.mapped,
            unlisted: spec.unlisted,
            keep: spec.keep,
            standard: spec.standard,
        })
    }

    /// The same for who follows the program, which has its streams by now.
    pub(crate) fn without_streams(mut self) -> Plan {
        self.standard = [const { None }; 3];
        self
    }

    /// The program's identity as it was opened.
    pub fn identity(&self) -> &Identity {
        self.program.identity()
    }

    /// What the program will have loaded beyond what was analysed; modules are expected below
    /// `directories`. Made before the launch, because it holds the time of the start.
    pub fn modules(&self, directories: impl IntoIterator<Item = Directory>) -> Modules {
        let known = self.mapped.iter().map(|file| file.identity);
        Modules::new(self.identity(), known, directories)
    }

    /// What will hold, layer by layer.
    pub fn enforced(&self) -> Vec<Layer> {
        let mut layers = vec![Layer {
            layer: "no_new_privs",
            mechanism: "prctl",
            scope: "process and its descendants",
            detail: "no exec raises privileges".to_owned(),
        }];
        if self.mode == Mode::Enforce {
            layers.push(Layer {
                layer: "seccomp",
                mechanism: if self.traced {
                    "seccomp+tracer"
                } else {
                    "seccomp"
                },
                scope: "process and its descendants",
                detail: format!("{} calls allowed, others denied", self.allowed),
            });
        }
        layers.extend(self.confining());
        layers
    }

    /// The layers beyond the filter that will hold.
    fn confining(&self) -> Vec<Layer> {
        const ALL: &str = "program and all that it starts";
        let mut layers = Vec::new();
        if self.namespaces != Namespaces::NONE {
            layers.push(Layer {
                layer: LayerName::Namespaces.name(),
                // One of clocks is not there where the kernel was built without (CONFIG_TIME_NS).
                mechanism: match (self.namespaces.has(Namespaces::CGROUP), self.clocks) {
                    (true, true) => "user, pid, mount, ipc, uts, cgroup and time namespaces",
                    (true, false) => "user, pid, mount, ipc, uts and cgroup namespaces",
                    (false, true) => "user, pid, mount, ipc, uts and time namespaces",
                    (false, false) => "user, pid, mount, ipc and uts namespaces",
                },
                scope: ALL,
                detail: format!("an init of its own; {}", self.users.detail()),
            });
        }
        if let Some(range) = self.users.range {
            layers.push(Layer {
                layer: LayerName::Ids.name(),
                mechanism: match self.mounted() {
                    Some(view) if view.mapped => "user namespace, idmapped mounts",
                    _ if self.users.root => "user namespace",
                    _ => "user namespace, newuidmap, newgidmap",
                },
                scope: ALL,
                detail: range.detail(),
            });
        }
        if let Some(view) = self.mounted() {
            layers.push(Layer {
                layer: LayerName::Filesystem.name(),
                mechanism: match view.over {
                    false => "mounts, proved from mountinfo",
                    true => "mounts and chroot, proved from mountinfo",
                },
                scope: ALL,
                detail: view.detail(),
            });
        }
        let network = match self.confinement.network {
            Network::None => "none",
            Network::Loopback => "a loopback device of its own",
            Network::Ports | Network::Host => "",
        };
        if self.has_ports() {
            layers.push(Layer {
                layer: LayerName::Network.name(),
                mechanism: "landlock, and kinds of sockets by seccomp",
                scope: ALL,
                detail: format!(
                    "the machine's, TCP connections to the ports {:?} alone",
                    self.confinement.ports
                ),
            });
        }
        if self.namespaces.has(Namespaces::NET) {
            layers.push(Layer {
                layer: LayerName::Network.name(),
                mechanism: match self.mode {
                    Mode::Enforce => "network namespace, socket families by seccomp",
                    Mode::Observe => "network namespace",
                },
                scope: ALL,
                detail: network.to_owned(),
            });
        }
        if let Some(rules) = &self.landlock {
            layers.push(Layer {
                layer: LayerName::Landlock.name(),
                mechanism: "landlock",
                scope: ALL,
                detail: rules.detail(),
            });
        }
        if self.fixed_code {
            layers.push(Layer {
                layer: "mdwe",
                mechanism: "prctl(PR_SET_MDWE)",
                scope: ALL,
                detail: "no memory becomes executable".to_owned(),
            });
        }
        layers.extend(self.bounds.layers());
        layers
    }

    /// Whether no memory of the program becomes executable, as it was wished.
    pub fn fixes_code(&self) -> bool {
        self.fixed_code
    }

    /// What the program finds at `path`, which is absolute and has no symbolic links.
    pub fn shown(&self, path: &Path) -> Shown {
        let as_it_is = Shown::Machine { writable: true };
        self.mounted().map_or(as_it_is, |view| view.shown(path))
    }

    /// It may connect to some ports, and do nothing else with the machine's network.
    pub(crate) fn has_ports(&self) -> bool {
        self.confinement.network == Network::Ports
    }

    /// What is mounted for the program.
    pub(crate) fn mounted(&self) -> Option<&View> {
        let view = self.view.as_ref();
        view.filter(|_| self.confinement.has(LayerName::Filesystem))
    }

    /// The layers of the default that will not hold, and why.
    pub fn not_enforced(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        if self.mode == Mode::Observe {
            missing.push(Missing {
                layer: "seccomp",
                reason: "--observe lets calls outside the set through".to_owned(),
                surprises: true,
            });
        }
        for layer in LayerName::ALL {
            let unbounded = self.confinement.limits.unbounded();
            let limits = format!("not bounded: {} (--limit)", unbounded.join(", "));
            let (reason, surprises) = match layer {
                // Nobody else has more than his own id, which his files are read by.
                LayerName::Ids if !self.users.root && !self.confinement.empty => continue,
                _ if !self.confinement.has(layer) => ("left out (--allow-insecure)", true),
                LayerName::Limits if unbounded.is_empty() => continue,
                LayerName::Limits => (limits.as_str(), false),
                LayerName::Network if self.confinement.network == Network::Host => {
                    ("--net shares the machine's", false)
                }
                _ => continue,
            };
            missing.push(Missing {
                layer: layer.name(),
                reason: reason.to_owned(),
                surprises,
            });
        }
        missing
    }
}

impl fmt::Display for Plan {
    /// One step per line; strings of the program are quoted and escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program      {:?}", self.program.path())?;
        writeln!(f, "arguments    {:?}", self.arguments)?;
        writeln!(f, "environment  {} variables", self.environment.len())?;
        writeln!(f, "descriptors  0 1 2 {:?}", self.keep)?;
        for layer in self.enforced() {
            writeln!(
                f,
                "enforced     {} by {} ({}): {}",
                layer.layer, layer.mechanism, layer.scope, layer.detail
            )?;
        }
        for layer in self.not_enforced() {
            writeln!(f, "not enforced {}: {}", layer.layer, layer.reason)?;
        }
        if let Some(view) = self.mounted() {
            match view.empty {
                true => writeln!(f, "mount        an empty / that is read-only")?,
                false => writeln!(f, "mount        a copy of / that is read-only, and on it")?,
            }
            for mount in &view.mounts {
                writeln!(f, "             {mount}")?;
            }
            writeln!(f, "directory    {:?}", view.directory)?;
        }
        writeln!(
            f,
            "then         exec by descriptor, compare the file again, compare {} mapped files",
            self.mapped.len()
        )
    }
}

/// Rules about ports are kept by Landlock, and by a filter for what that does not see.
fn ports(wanted: &Confinement, mode: Mode, features: &Features) -> Result<(), Error> {
    let refuse = |reason: &str| {
        Err(Error::Layer {
            layer: LayerName::Network,
            reason: format!("rules about ports {reason}"),
            help: String::new(),
        })
    };
    match wanted {
        _ if !wanted.has(LayerName::Network) => Err(Error::Invalid(
            "rules about ports are asked for and left out at the same time".to_owned(),
        )),
        _ if mode == Mode::Observe => refuse("need the filter, which observing leaves out"),
        _ if !wanted.has(LayerName::Landlock) => refuse("are made of Landlock, which was left out"),
        _ if features.landlock()? < PORTS => refuse("need Linux 6.7 (Landlock ABI 4)"),
        _ => Ok(()),
    }
}

/// The namespaces that `wanted` needs, or why that cannot be.
fn namespaces(wanted: &Confinement, users: &Users) -> Result<Namespaces, Error> {
    let apart = [Network::None, Network::Loopback].contains(&wanted.network);
    let network = wanted.has(LayerName::Network) && apart;
    if !wanted.has(LayerName::Namespaces) {
        let needs = [
            (users.range.is_some(), LayerName::Ids),
            (wanted.has(LayerName::Filesystem), LayerName::Filesystem),
            (network, LayerName::Network),
        ];
        return match needs.into_iter().find(|(wanted, _)| *wanted) {
            Some((_, layer)) => Err(Error::Layer {
                layer,
                reason: "it is made of namespaces, and these were left out".to_owned(),
                help: String::new(),
            }),
            None => Ok(Namespaces::NONE),
        };
    }
    let all = Namespaces::USER
        .and(Namespaces::PID)
        .and(Namespaces::MOUNT)
        .and(Namespaces::IPC)
        .and(Namespaces::UTS);
    // Its root would be the group in which the init begins (`cgroup_post_fork`), and where namespaces bound what is delegated
    // (`nsdelegate`) nobody in it forks into a group that is beside that one (`cgroup_procs_write_permission`).
    let all = match wanted.forks {
        Some(_) => all,
        None => all.and(Namespaces::CGROUP),
    };
    Ok(match network {
        true => all.and(Namespaces::NET),
        false => all,
    })
}

pub(crate) fn strings(given: Vec<OsString>, what: &str) -> Result<Vec<CString>, Error> {
    given
        .into_iter()
        .map(|s| {
            CString::new(s.into_vec())
                .map_err(|e| Error::Invalid(format!("{what} holds a NUL byte: {e}")))
        })
        .collect()
}
