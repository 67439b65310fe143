//! What the program is given of the machine, from what was typed and what it consists of.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::SyscallSet;
use portcullis_policy::Policy;
use portcullis_sandbox::{Confinement, LayerName, Limits, Network};

use crate::args::{ConfinementArgs, NetworkArg, RunArgs};
use crate::cache::store;
use crate::neutral;

/// The wishes.
pub(super) fn wanted(typed: &RunArgs, set: &SyscallSet) -> Result<Confinement> {
    let options = &typed.confinement;
    let directory = std::env::current_dir().context("finding the working directory")?;
    let script = set
        .binary
        .script
        .iter()
        .map(|(script, _)| PathBuf::from(script));
    let objects = set.objects.iter().map(|object| PathBuf::from(&object.path));
    let mut wanted = Confinement::new(directory);
    wanted.without = options.allow_insecure.iter().copied().collect();
    wanted.read = options.read.clone();
    wanted.write = options.write.clone();
    wanted.hide = options.hide.clone();
    wanted.parts = script.chain(objects).collect();
    wanted.parts.extend(typed.images.exec.iter().cloned());
    wanted.parts.extend(typed.closure.plugins.iter().cloned());
    wanted.homes = homes();
    wanted.runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    (wanted.network, wanted.ports) = network(options);
    let mut limits = Limits::default();
    options.limit.iter().for_each(|more| limits.merge(*more));
    wanted.limits = limits;
    // Another start would believe what the program put into the cache, and it could read there what others
    // run.
    if let Some(cache) = store::directory().filter(|cache| cache.exists()) {
        wanted.hide.push(cache);
    }
    for tree in &options.write {
        outside(tree, typed)?;
    }
    Ok(wanted)
}

/// The user's home directories: `$HOME`, which may be another for a while, and what passwd(5) has. Users of other
/// services are known by the variable alone: to ask those takes sockets, and in a static command libraries.
fn homes() -> Vec<PathBuf> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = rustix::process::getuid().as_raw().to_string();
    let of_own = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let &[_, _, uid, _, _, home, _] = fields.as_slice() else {
            return None;
        };
        (uid == own).then(|| PathBuf::from(home))
    };
    let variable = std::env::var_os("HOME").map(PathBuf::from);
    let mut homes: Vec<PathBuf> = variable.into_iter().collect();
    homes.extend(users.lines().filter_map(of_own));
    homes.retain(|home| home.is_absolute());
    homes.dedup();
    homes
}

/// The network, and the ports to which it leads.
fn network(options: &ConfinementArgs) -> (Network, Vec<u16>) {
    match &options.net {
        None => (Network::None, Vec::new()),
        Some(NetworkArg::Loopback) => (Network::Loopback, Vec::new()),
        Some(NetworkArg::Ports(ports)) => (Network::Ports, ports.clone()),
        Some(NetworkArg::Host) => (Network::Host, Vec::new()),
    }
}

/// The verdict is not where the program can write.
fn outside(tree: &Path, typed: &RunArgs) -> Result<()> {
    let tree = tree
        .canonicalize()
        .with_context(|| format!("--write {}", neutral::path(tree)))?;
    let verdict = typed
        .verdict
        .as_ref()
        .and_then(|path| path.canonicalize().ok());
    ensure!(
        !verdict.is_some_and(|path| path.starts_with(&tree)),
        "the verdict would be below --write {}, where the program could replace it: name another place",
        neutral::path(&tree)
    );
    Ok(())
}

/// `policy`, in which a program makes only sockets of the network that it is given. `traced`: libraries that
/// are loaded later may add calls that the policy does not allow yet.
pub(super) fn with_sockets(policy: Policy, options: &ConfinementArgs, traced: bool) -> Policy {
    if options.allow_insecure.contains(&LayerName::Network) {
        return policy;
    }
    network(options).0.narrow(policy, traced)
}
