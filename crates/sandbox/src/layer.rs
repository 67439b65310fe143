//! The layers, by the names under which they are reported and can be left out.

use std::fmt;
use std::str::FromStr;

/// A layer of the default.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LayerName {
    /// Processes, IPC, host name, cgroup root and capabilities of its own, under an init of its own.
    Namespaces,
    /// For what root starts, and what anybody starts in an empty root: ids that own nothing outside.
    Ids,
    /// A view of the files: read-only, private places, hidden secrets.
    Filesystem,
    /// No network, or its own.
    Network,
    /// The same rules of files again, decided without mounts.
    Landlock,
    /// Bounds on what it consumes.
    Limits,
}

impl LayerName {
    /// Every one, in the order in which they are reported.
    pub const ALL: [LayerName; 6] = [
        LayerName::Namespaces,
        LayerName::Ids,
        LayerName::Filesystem,
        LayerName::Network,
        LayerName::Landlock,
        LayerName::Limits,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            LayerName::Namespaces => "namespaces",
            LayerName::Ids => "ids",
            LayerName::Filesystem => "filesystem",
            LayerName::Network => "network",
            LayerName::Landlock => "landlock",
            LayerName::Limits => "limits",
        }
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LayerName {
    type Err = String;

    fn from_str(name: &str) -> Result<LayerName, String> {
        let known = LayerName::ALL
            .into_iter()
            .find(|layer| layer.name() == name);
        known.ok_or_else(|| {
            let names: Vec<&str> = LayerName::ALL.map(LayerName::name).into();
            format!("no layer has this name; they are {}", names.join(", "))
        })
    }
}
