//! Which layers of a plan would refuse something, whatever the filter says of the call.
//!
//! Answered only where the plan alone decides. What depends on more (the rights of users, what a path leads to at that
//! moment, how a socket was made) is not told.

use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use portcullis_sys::namespace::Namespaces;

use crate::confinement::Network;
use crate::layer::LayerName;
use crate::plan::Plan;
use crate::view::{Mount, View, What};

/// What a call asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish<'a> {
    /// To read at this path, which is absolute and goes through no link.
    Read(&'a Path),
    /// To change or make the file or directory there.
    Write(&'a Path),
    /// To change what is said of it: mode, owner, times, attributes.
    Describe(&'a Path),
    /// To reach this address by a socket that was made inside.
    Reach(IpAddr),
    /// To make a socket.
    Socket,
    /// Something for which the kernel wants a capability over the machine.
    Machine,
}

/// A layer's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Objection {
    /// The layer's name.
    pub layer: &'static str,
    /// The error that the call would get.
    pub errno: u16,
    /// Why.
    pub reason: String,
}

/// What one layer says.
enum Says {
    Nothing,
    No(u16, String),
    /// The plan does not decide it.
    Unknown,
}

impl Plan {
    /// The layers that would refuse `wish`; `None` when the plan alone does not decide that.
    pub fn objections(&self, wish: &Wish<'_>) -> Option<Vec<Objection>> {
        let said = [
            (LayerName::Namespaces, self.namespaces_say(wish)),
            (LayerName::Filesystem, self.filesystem_says(wish)),
            (LayerName::Network, self.network_says(wish)),
            (LayerName::Landlock, self.landlock_says(wish)),
        ];
        let mut all = Vec::new();
        let mut unknown = false;
        for (layer, says) in said {
            match says {
                Says::Nothing => {}
                Says::Unknown => unknown = true,
                Says::No(errno, reason) => all.push(Objection {
                    layer: layer.name(),
                    errno,
                    reason,
                }),
            }
        }
        // One layer that refuses is told even when another one is not known; that none does is not.
        (!unknown || !all.is_empty()).then_some(all)
    }

    fn namespaces_say(&self, wish: &Wish<'_>) -> Says {
        match wish {
            Wish::Machine if self.namespaces.has(Namespaces::USER) => Says::No(
                libc::EPERM as u16,
                "the program has no capability over the machine".to_owned(),
            ),
            Wish::Machine => Says::Unknown,
            _ => Says::Nothing,
        }
    }

    fn filesystem_says(&self, wish: &Wish<'_>) -> Says {
        let (path, writes) = match wish {
            Wish::Read(path) => (path, false),
            Wish::Write(path) | Wish::Describe(path) => (path, true),
            _ => return Says::Nothing,
        };
        let Some(view) = self.mounted() else {
            return Says::Nothing;
        };
        // Its own: partly written, partly covered.
        if path.starts_with("/proc") {
            return Says::Unknown;
        }
        let read_only = || Says::No(libc::EROFS as u16, format!("{path:?} is read-only"));
        let hidden = |errno: i32| {
            let reason = format!("{path:?} is hidden from the program");
            Says::No(errno as u16, reason)
        };
        let Some(mount) = above(view, path) else {
            return if writes { read_only() } else { Says::Nothing };
        };
        let itself = mount.at.as_bytes() == path.as_os_str().as_bytes();
        match &mount.what {
            What::EmptyDirectory if !itself => hidden(libc::ENOENT),
            What::EmptyFile if !itself => hidden(libc::ENOTDIR),
            _ if writes && (mount.sealed || !mount.what.writable()) => read_only(),
            // What the program made there leads where it likes.
            What::Fresh { .. } if !mount.sealed => Says::Unknown,
            _ => Says::Nothing,
        }
    }

    fn landlock_says(&self, wish: &Wish<'_>) -> Says {
        let Some(rules) = &self.landlock else {
            return Says::Nothing;
        };
        match wish {
            Wish::Write(path) if !rules.allow_writing(path) => Says::No(
                libc::EACCES as u16,
                format!("no rule allows to write {path:?}"),
            ),
            _ => Says::Nothing,
        }
    }

    fn network_says(&self, wish: &Wish<'_>) -> Says {
        let Wish::Reach(address) = wish else {
            return Says::Nothing;
        };
        if self.has_ports() {
            // Which port it is decides.
            return Says::Unknown;
        }
        if !self.namespaces.has(Namespaces::NET) {
            return Says::Nothing;
        }
        let unreachable = |what: &str| Says::No(libc::ENETUNREACH as u16, what.to_owned());
        match (self.confinement.network, address) {
            (Network::None, IpAddr::V4(_)) => unreachable("no network device is up"),
            (Network::Loopback, IpAddr::V4(v4)) if !v4.is_loopback() && !v4.is_unspecified() => {
                unreachable("only a loopback device of its own is up")
            }
            (Network::Loopback, address) if address.is_loopback() => Says::Nothing,
            // Refused as well; with which error depends on the address.
            _ => Says::Unknown,
        }
    }
}

/// The nearest mount of a view at or above `path`.
fn above<'a>(view: &'a View, path: &Path) -> Option<&'a Mount> {
    let at = |mount: &&Mount| path.starts_with(std::ffi::OsStr::from_bytes(mount.at.as_bytes()));
    // Parents come before children.
    view.mounts.iter().rfind(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confinement::Confinement;
    use crate::features::Features;
    use crate::identity::Program;
    use crate::plan::Spec;

    fn plan(confinement: Confinement) -> Plan {
        let program = std::env::current_exe().unwrap();
        let spec = Spec::new(Program::open(&program).unwrap(), confinement);
        Plan::new(spec, &Features::probe()).unwrap()
    }

    fn layers(plan: &Plan, wish: &Wish<'_>) -> Option<Vec<(&'static str, i32)>> {
        let all = plan.objections(wish)?;
        Some(all.iter().map(|o| (o.layer, o.errno.into())).collect())
    }

    /// What the default gives, without the layers that a machine may lack.
    fn usual() -> Confinement {
        let mut wanted = Confinement::new("/".into());
        if Features::probe().landlock().is_err() {
            wanted.without.insert(LayerName::Landlock);
        }
        wanted
    }

    #[test]
    fn what_is_read_only_is_refused_by_mounts_and_rules() {
        let tree = tempfile::tempdir_in("/tmp").unwrap();
        let tree = tree.path().canonicalize().unwrap();
        let mut wanted = usual();
        wanted.write = vec![tree.clone()];
        let has_landlock = wanted.has(LayerName::Landlock);
        let plan = plan(wanted);
        let mut both = vec![("filesystem", libc::EROFS)];
        both.extend(has_landlock.then_some(("landlock", libc::EACCES)));
        let etc = Path::new("/etc/hostname");
        assert_eq!(layers(&plan, &Wish::Write(etc)), Some(both));
        // Landlock does not see it.
        let mounts = vec![("filesystem", libc::EROFS)];
        assert_eq!(layers(&plan, &Wish::Describe(etc)), Some(mounts));
        assert_eq!(layers(&plan, &Wish::Read(etc)), Some(Vec::new()));
        assert_eq!(
            layers(&plan, &Wish::Write(&tree.join("x"))),
            Some(Vec::new())
        );
        // What is private the program fills, with links too.
        assert_eq!(
            layers(&plan, &Wish::Write(&Path::new("/tmp").join("x"))),
            None
        );
        assert_eq!(layers(&plan, &Wish::Read(Path::new("/proc/1/x"))), None);
    }

    #[test]
    fn what_is_hidden_is_not_there() {
        let home =
            tempfile::tempdir_in("/var/lib").unwrap_or_else(|_| tempfile::tempdir().unwrap());
        let home = home.path().canonicalize().unwrap();
        std::fs::create_dir(home.join(".ssh")).unwrap();
        let mut wanted = usual();
        wanted.homes = vec![home.clone()];
        wanted.read = vec![home.clone()];
        let plan = plan(wanted);
        let key = home.join(".ssh/id");
        let hidden = vec![("filesystem", libc::ENOENT)];
        assert_eq!(layers(&plan, &Wish::Read(&key)), Some(hidden));
    }

    #[test]
    fn nothing_is_reached_without_a_network_and_with_one_the_plan_says_nothing() {
        let address = Wish::Reach([127, 0, 0, 1].into());
        let far = Wish::Reach([192, 0, 2, 1].into());
        let unreachable = Some(vec![("network", libc::ENETUNREACH)]);
        let none = plan(usual());
        assert_eq!(layers(&none, &address), unreachable);
        assert_eq!(layers(&none, &Wish::Socket), Some(Vec::new()));
        let with = |network| {
            let mut wanted = usual();
            wanted.network = network;
            plan(wanted)
        };
        assert_eq!(layers(&with(Network::Loopback), &far), unreachable);
        assert_eq!(layers(&with(Network::Loopback), &address), Some(Vec::new()));
        assert_eq!(layers(&with(Network::Host), &far), Some(Vec::new()));
    }

    #[test]
    fn without_its_layers_a_plan_objects_to_nothing() {
        let plan = plan(Confinement::none());
        let wish = Wish::Write(Path::new("/etc/hostname"));
        assert_eq!(layers(&plan, &wish), Some(Vec::new()));
        assert_eq!(layers(&plan, &Wish::Machine), None);
    }
}
