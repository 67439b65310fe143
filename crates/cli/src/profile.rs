//! Profiles: options of `run` under a name, so that they can be kept, shared and put together.
//!
//! A profile only ever gives, or hides, what the command line could, and each key has the name of its option.
//! It is one of those that come with the command, or a file whose path holds a slash: a name alone is never
//! looked for in the working directory, where a program could have left one.

pub(crate) mod read;
mod shipped;
mod write;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_sandbox::Limits;

use crate::args::{NetworkArg, RunArgs};
use crate::filter_file::{self, mistaken};
use crate::neutral;

pub(crate) use shipped::{POLICIES, PROFILES};
pub(crate) use write::write;

/// What a profile sets. What it does not set is as without it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Profile {
    /// What it is for, in a line.
    pub(crate) about: String,
    pub(crate) read: Vec<PathBuf>,
    pub(crate) write: Vec<PathBuf>,
    pub(crate) hide: Vec<PathBuf>,
    pub(crate) net: Option<NetworkArg>,
    pub(crate) limits: Limits,
    pub(crate) exec: Vec<PathBuf>,
    pub(crate) follow_exec: bool,
    pub(crate) plugins: Vec<PathBuf>,
    pub(crate) allow: Vec<String>,
    pub(crate) policy: Option<PolicySource>,
}

/// Where a policy comes from that is not derived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PolicySource {
    /// A file.
    File(PathBuf),
    /// One that comes with the command.
    Shipped {
        /// Its name.
        name: &'static str,
        /// What it says.
        text: &'static str,
    },
}

/// The name of a profile, and what it says.
pub(crate) struct Named {
    /// As it was given.
    pub(crate) name: String,
    /// Read.
    pub(crate) profile: Profile,
}

/// The profile called `name`, or of the file at that path.
pub(crate) fn open(name: &OsStr) -> Result<Named> {
    let shown = neutral::bytes(name.as_bytes()).into_owned();
    if name.as_bytes().contains(&b'/') {
        let path = Path::new(name);
        let bytes = filter_file::bytes(path)?;
        let text = std::str::from_utf8(&bytes);
        let text =
            text.map_err(|e| anyhow::anyhow!("{shown}: byte {} is no text", e.valid_up_to()))?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        let profile = read::read(text, Some(directory)).map_err(|m| mistaken(path, text, &m))?;
        return Ok(Named {
            name: shown,
            profile,
        });
    }
    let found = PROFILES.iter().find(|(known, _)| name == OsStr::new(known));
    let Some((name, text)) = found else {
        let names: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
        bail!(
            "no profile is called {shown}; there are {}. One in a file is named by a path with a slash, ./{shown}",
            names.join(", ")
        );
    };
    let profile = read::read(text, None).map_err(|m| mistaken(Path::new(name), text, &m))?;
    Ok(Named {
        name: shown,
        profile,
    })
}

/// The profiles of these names put together: later ones add, and bound again what earlier ones bounded.
pub(crate) fn together(names: &[OsString]) -> Result<Profile> {
    let mut all = Profile::default();
    // Whose policy it is, and who wants programs to be analysed.
    let (mut policy, mut analyses): (Option<String>, Option<String>) = (None, None);
    for name in names {
        let Named { name, profile } = open(name)?;
        if let (Some(other), true) = (&policy, profile.policy.is_some()) {
            bail!("the profiles {other} and {name} each give a policy; a run has one");
        }
        if profile.policy.is_some() {
            policy = Some(name.clone());
        }
        if profile.analyses() {
            analyses = Some(name);
        }
        all.add(profile);
    }
    if let (Some(policy), Some(analyses)) = (policy, analyses) {
        bail!(
            "the profile {policy} gives a policy, and {analyses} names programs or libraries to derive one from: \
             only one of the two can be"
        );
    }
    Ok(all)
}

impl Profile {
    /// Whether it says what a derived policy is made of.
    fn analyses(&self) -> bool {
        !self.exec.is_empty() || self.follow_exec || !self.plugins.is_empty()
    }

    fn add(&mut self, other: Profile) {
        if !other.about.is_empty() {
            let and = if self.about.is_empty() { "" } else { "; " };
            self.about = format!("{}{and}{}", self.about, other.about);
        }
        for (own, other) in [
            (&mut self.read, other.read),
            (&mut self.write, other.write),
            (&mut self.hide, other.hide),
            (&mut self.exec, other.exec),
            (&mut self.plugins, other.plugins),
        ] {
            for path in other {
                if !own.contains(&path) {
                    own.push(path);
                }
            }
        }
        self.net = wider(self.net.take(), other.net);
        self.limits.merge(other.limits);
        self.follow_exec |= other.follow_exec;
        self.allow.extend(other.allow);
        self.policy = other.policy.or(self.policy.take());
    }
}

/// The wider network of two that may be there.
fn wider(one: Option<NetworkArg>, other: Option<NetworkArg>) -> Option<NetworkArg> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.wider(other)),
        (one, other) => one.or(other),
    }
}

/// Puts what the profiles of `typed` set below what was typed, which can widen it, and gives the policy that
/// takes the place of a derived one.
pub(crate) fn apply(typed: &mut RunArgs) -> Result<Option<PolicySource>> {
    let profile = together(&typed.profile)?;
    let options = &mut typed.confinement;
    // What was typed comes last, so that it decides where only one can be.
    let place = |paths: Vec<PathBuf>| paths.into_iter().map(|path| placed(&path));
    let all = |paths| place(paths).collect::<Result<Vec<PathBuf>>>();
    options.read.splice(0..0, all(profile.read)?);
    options.write.splice(0..0, all(profile.write)?);
    // What is not there needs no hiding.
    let hidden = all(profile.hide)?.into_iter().filter(|path| path.exists());
    options.hide.splice(0..0, hidden);
    options.net = wider(options.net.take(), profile.net);
    options.limit.insert(0, profile.limits);
    typed.allow.splice(0..0, profile.allow);
    if let Some(file) = &typed.policy {
        return Ok(Some(PolicySource::File(file.clone())));
    }
    let analyses = typed.images.follow_exec
        || !typed.images.exec.is_empty()
        || !typed.closure.plugins.is_empty();
    ensure!(
        profile.policy.is_none() || !analyses,
        "the profile gives a policy, so that nothing is derived from --exec, --follow-exec or --plugin"
    );
    typed.images.exec.splice(0..0, all(profile.exec)?);
    typed.images.follow_exec |= profile.follow_exec;
    typed.closure.plugins.splice(0..0, all(profile.plugins)?);
    Ok(profile.policy)
}

/// Where a path of a profile leads: from the home directory, from the working directory, or from the root.
fn placed(path: &Path) -> Result<PathBuf> {
    match path.strip_prefix("~") {
        Ok(below) => {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            let home = home.filter(|home| home.is_absolute());
            let home = home.with_context(|| format!("{}: HOME is not set", neutral::path(path)))?;
            Ok(match below.as_os_str().is_empty() {
                true => home,
                false => home.join(below),
            })
        }
        Err(_) => Ok(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_is_read_and_says_what_it_is_for() {
        for (name, _) in PROFILES {
            let profile = open(OsStr::new(name)).unwrap().profile;
            assert!(!profile.about.is_empty(), "{name}");
            let written = write(&profile);
            assert_eq!(
                read::read(&written, None).unwrap(),
                profile,
                "{name}\n{written}"
            );
        }
    }

    #[test]
    fn later_profiles_add() {
        let mut all = Profile {
            read: vec!["/a".into()],
            net: Some(NetworkArg::Host),
            limits: "files=9,wall=1s".parse().unwrap(),
            ..Profile::default()
        };
        all.add(Profile {
            read: vec!["/a".into(), "/b".into()],
            net: Some(NetworkArg::Loopback),
            limits: "files=5".parse().unwrap(),
            ..Profile::default()
        });
        assert_eq!(all.read, [Path::new("/a"), Path::new("/b")]);
        assert_eq!(all.net, Some(NetworkArg::Host));
        assert_eq!(all.limits, "files=5,wall=1s".parse().unwrap());
    }

    #[test]
    fn a_name_is_not_a_file_of_the_working_directory() {
        let error = open(OsStr::new("Cargo.toml")).err().unwrap().to_string();
        assert!(error.contains("./Cargo.toml"), "{error}");
    }
}
