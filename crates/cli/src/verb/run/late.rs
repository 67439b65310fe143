//! Libraries that the program loads while it runs, and what they add to what it may do.
//!
//! They are looked for when the program makes a call that its set lacks: who loads a library and
//! keeps to the set needs nothing. The libraries that may count ([`Modules`]) are then analysed as
//! part of the program, and the calls that this adds are allowed from then on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_abi::{ScannedObject, SyscallSet, Sysno};
use portcullis_sandbox::{Directory, Modules};
use sha2::{Digest as _, Sha256};

use crate::analysis::Wanted;
use crate::json::verdict as json;
use crate::neutral;
use crate::output::say;

/// Where the C library and distributions keep modules: below the directories that ld.so(8) searches.
const SYSTEM: [&str; 5] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// Libraries that may count, of one program: each batch costs an analysis.
const MOST_ACCEPTED: usize = 64;

/// What was loaded so far.
pub(super) struct Late<'a> {
    wanted: Wanted,
    /// The program without any of it.
    set: &'a SyscallSet,
    modules: Modules,
    accepted: Vec<PathBuf>,
    added: BTreeSet<Sysno>,
    told: Vec<json::Module>,
}

/// The directories below which modules may lie: the system's, and those that the user named.
pub(super) fn directories<'a>(named: impl Iterator<Item = &'a PathBuf>) -> Vec<Directory> {
    let system = SYSTEM.iter().map(|path| (Path::new(path), false));
    // Those that are named come first: what is said of them holds for what is in both.
    let all = named.map(|path| (path.as_path(), true)).chain(system);
    let directory = |(path, named)| {
        let path = std::fs::canonicalize(path).ok()?;
        Some(Directory { path, named })
    };
    all.filter_map(directory).collect()
}

impl<'a> Late<'a> {
    /// None yet, of the program that was analysed as `set`.
    pub(super) fn new(wanted: &Wanted, set: &'a SyscallSet, modules: Modules) -> Late<'a> {
        Late {
            // While the program runs, it could have written what the cache holds.
            wanted: wanted.uncached(),
            set,
            modules,
            accepted: Vec::new(),
            added: BTreeSet::new(),
            told: Vec::new(),
        }
    }

    /// Whether what the process of `tid` has loaded makes `number` one of its calls.
    pub(super) fn adds(&mut self, tid: i32, number: Sysno) -> bool {
        if !self.modules.is_program(tid) {
            return false;
        }
        if !self.added.contains(&number) {
            self.look(tid);
        }
        self.added.contains(&number)
    }

    fn look(&mut self, tid: i32) {
        let appeared = match self.modules.appeared(tid) {
            Ok(appeared) => appeared,
            Err(reason) => {
                say(&format!(
                    "what the program has loaded is not known: {reason}"
                ));
                return;
            }
        };
        let (new, refused): (Vec<_>, Vec<_>) =
            appeared.into_iter().partition(|m| m.refused.is_none());
        for module in refused {
            self.tell(&module.path, module.refused);
        }
        let new: Vec<PathBuf> = new.into_iter().map(|module| module.path).collect();
        if new.is_empty() {
            return;
        }
        say(&format!(
            "the program has loaded {}: analysing it",
            neutral::path(&new[0])
        ));
        if self.analyse(&new).is_ok() {
            new.iter().for_each(|path| self.tell(path, None));
            return;
        }
        // One that cannot be analysed is no reason against the others.
        for path in &new {
            let refused = self.analyse(std::slice::from_ref(path)).err();
            self.tell(path, refused.map(|e| format!("it cannot count: {e:#}")));
        }
    }

    /// Adds what the program can do with the libraries `new`.
    fn analyse(&mut self, new: &[PathBuf]) -> Result<()> {
        let accepted = [&self.accepted, new].concat();
        ensure!(
            accepted.len() <= MOST_ACCEPTED,
            "too many libraries were loaded"
        );
        let set = self.wanted.with(&accepted).analyse()?.set;
        self.compare(&set)?;
        let calls = set.syscalls.iter().map(|call| call.number);
        let known = |n: &Sysno| self.set.get(*n).is_some();
        self.added.extend(calls.filter(|n| !known(n)));
        self.accepted = accepted;
        Ok(())
    }

    /// What was analysed now is the program as it was at first, and files that may count themselves. The
    /// program can have put others in their places while they were read, so this comes afterwards.
    fn compare(&self, set: &SyscallSet) -> Result<()> {
        ensure!(
            set.binary == self.set.binary,
            "the program is not the one that was analysed"
        );
        for object in &set.objects {
            let same =
                |known: &ScannedObject| known.path == object.path && known.sha256 == object.sha256;
            if !self.set.objects.iter().any(same) {
                self.counts(object)
                    .with_context(|| neutral::text(&object.path).into_owned())?;
            }
        }
        Ok(())
    }

    /// A file that the first analysis did not see may count itself, and has the content that was
    /// analysed.
    fn counts(&self, object: &ScannedObject) -> Result<()> {
        let path = std::fs::canonicalize(&object.path)?;
        let stays = || match self.modules.refusal(&path) {
            None => Ok(()),
            Some(reason) => bail!("{reason}"),
        };
        stays()?;
        let content: [u8; 32] = Sha256::digest(std::fs::read(&path)?).into();
        ensure!(content == object.sha256, "it changed while it was analysed");
        stays()
    }

    fn tell(&mut self, path: &Path, refused: Option<String>) {
        self.told.push(json::Module {
            path: path.display().to_string(),
            refused,
        });
    }

    /// For the verdict: what was loaded, and the calls that it added.
    pub(super) fn told(&self) -> json::Late {
        let name = |n: &Sysno| {
            self.set
                .binary
                .arch
                .name(*n)
                .map_or(n.to_string(), str::to_owned)
        };
        json::Late {
            modules: self.told.clone(),
            added: self.added.iter().map(name).collect(),
        }
    }
}
