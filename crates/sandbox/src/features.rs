//! What this machine can enforce.

use portcullis_sys::{landlock, namespace, process};

use crate::error::Error;
use crate::help;
use crate::layer::LayerName;

/// What was found by asking the kernel. Whether namespaces and mounts are permitted shows when they are made;
/// a refusal is then an error of the launch that names the layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Features {
    landlock: Result<u32, (String, i32)>,
    /// Clocks of a namespace.
    pub(crate) clocks: bool,
    /// Memory that does not become executable.
    pub(crate) fixed_code: bool,
}

impl Features {
    /// Asks.
    pub fn probe() -> Features {
        Features {
            landlock: landlock::abi().map_err(|e| (e.to_string(), e.errno())),
            clocks: namespace::has_clocks(),
            fixed_code: process::can_refuse_executable_gain(),
        }
    }

    /// The newest ABI of Landlock.
    pub fn landlock(&self) -> Result<u32, Error> {
        self.landlock
            .clone()
            .map_err(|(reason, errno)| Error::Layer {
                layer: LayerName::Landlock,
                reason,
                help: help::with(LayerName::Landlock, errno, false),
            })
    }
}
