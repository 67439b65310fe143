//! What of the machine the program is given: the wishes, before they are compared with what there is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::layer::LayerName;
use crate::limits::Limits;

/// What the program may see and use beyond its system calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confinement {
    /// Layers that are left out because the user said so.
    pub without: BTreeSet<LayerName>,
    /// Nothing of the machine's files: the root is empty and cannot be written, and there are no process files.
    /// The program is sealed in memory (memfd_create(2)); the trees below are then not looked at. An ordinary user's is then
    /// another user outside, because it needs nothing of his.
    pub empty: bool,
    /// Trees that can be read although they would be hidden or private.
    pub read: Vec<PathBuf>,
    /// Trees that can be written.
    pub write: Vec<PathBuf>,
    /// Trees and files that cannot be seen.
    pub hide: Vec<PathBuf>,
    /// The working directory.
    pub directory: PathBuf,
    /// Files that the program consists of, and is started from.
    pub parts: Vec<PathBuf>,
    /// Home directories of the user.
    pub homes: Vec<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime: Option<PathBuf>,
    /// The network.
    pub network: Network,
    /// Of [`Network::Ports`]: those to which it may connect.
    pub ports: Vec<u16>,
    /// Bounds on what it consumes.
    pub limits: Limits,
    /// It is in a session of its own. A signal to the caller's own process group (kill(2), `0`) reaches its members outside of
    /// the namespaces as well, when they have the same user and Landlock does not scope signals (before Linux 6.12); who
    /// does not share a terminal with what he starts need not be in one group with it.
    pub session: bool,
    /// It forks one process at a time, which can be in a control group of its own: where there is one (version 2), the program
    /// is given that group's directory, and nothing that leads further, in the place of this descriptor, which is among those
    /// that it inherits. Nothing of it makes a user namespace then, whatever clone3(2) is asked, whose flags no filter sees.
    pub forks: Option<i32>,
    /// Nothing that it runs needs memory that becomes executable: where the kernel can (Linux 6.3), none does.
    pub fixed_code: bool,
}

/// Which network the program has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Network {
    /// None: not even the loopback device is up.
    #[default]
    None,
    /// A loopback device of its own.
    Loopback,
    /// Of the machine's, connections by TCP to some ports, at every address, and nothing else. The filter has to stop
    /// what Landlock does not see: its policy is one of [`Network::narrow`].
    Ports,
    /// The machine's.
    Host,
}

impl Confinement {
    /// Nothing but the filter: every other layer left out.
    pub fn none() -> Confinement {
        Confinement {
            without: LayerName::ALL.into(),
            ..Confinement::new(PathBuf::from("/"))
        }
    }

    /// The default, for a program that works in `directory`.
    pub fn new(directory: PathBuf) -> Confinement {
        Confinement {
            without: BTreeSet::new(),
            empty: false,
            read: Vec::new(),
            write: Vec::new(),
            hide: Vec::new(),
            directory,
            parts: Vec::new(),
            homes: Vec::new(),
            runtime: None,
            network: Network::None,
            ports: Vec::new(),
            limits: Limits::default(),
            session: false,
            forks: None,
            fixed_code: false,
        }
    }

    /// Whether `layer` is wanted.
    pub fn has(&self, layer: LayerName) -> bool {
        !self.without.contains(&layer)
    }
}
