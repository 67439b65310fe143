//! Libraries that the program loads while it runs, and what they add to what it may do.
//!
//! They are looked for when the program makes a call that its set lacks: who loads a library and
//! keeps to the set needs nothing. The libraries that may count ([`Modules`]) are then analysed as
//! part of the program, and the calls that this adds are allowed from then on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis_abi::{Arch, SyscallSet, Sysno};
use portcullis_sandbox::Modules;

use crate::analysis::Wanted;
use crate::json::verdict as json;
use crate::neutral;
use crate::output::say;

/// Where the C library and distributions keep modules: below the directories that ld.so(8) searches.
const SYSTEM: [&str; 5] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// What was loaded so far.
pub(super) struct Late<'a> {
    wanted: &'a Wanted,
    arch: Arch,
    /// What the program may do without any of it.
    set: BTreeSet<Sysno>,
    modules: Modules,
    accepted: Vec<PathBuf>,
    added: BTreeSet<Sysno>,
    told: Vec<json::Module>,
}

/// The directories below which modules may lie: the system's, and those that the user named.
pub(super) fn directories<'a>(named: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let system = SYSTEM.iter().map(Path::new);
    let all = system.chain(named.map(PathBuf::as_path));
    let mut all: Vec<PathBuf> = all.filter_map(|d| std::fs::canonicalize(d).ok()).collect();
    all.sort();
    all.dedup();
    all
}

impl<'a> Late<'a> {
    /// None yet, of the program that was analysed as `set`.
    pub(super) fn new(wanted: &'a Wanted, set: &SyscallSet, modules: Modules) -> Late<'a> {
        Late {
            wanted,
            arch: set.binary.arch,
            set: set.syscalls.iter().map(|call| call.number).collect(),
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
        let before = self.accepted.len();
        for module in appeared {
            if module.refused.is_none() {
                self.accepted.push(module.path.clone());
            }
            self.told.push(json::Module {
                path: module.path.display().to_string(),
                refused: module.refused,
            });
        }
        if self.accepted.len() == before {
            return;
        }
        say(&format!(
            "the program has loaded {}: analysing it",
            neutral::path(&self.accepted[before])
        ));
        match self.wanted.with(&self.accepted).analyse() {
            Ok(analysis) => {
                let calls = analysis.set.syscalls.iter().map(|call| call.number);
                self.added.extend(calls.filter(|n| !self.set.contains(n)));
            }
            Err(error) => {
                let failed = &self.accepted[before..];
                let is_new = |m: &&mut json::Module| failed.iter().any(|p| Path::new(&m.path) == p);
                for module in self.told.iter_mut().filter(is_new) {
                    module.refused = Some(format!("it cannot be analysed: {error:#}"));
                }
                self.accepted.truncate(before);
            }
        }
    }

    /// For the verdict: what was loaded, and the calls that it added.
    pub(super) fn told(&self) -> json::Late {
        let name = |n: &Sysno| self.arch.name(*n).map_or(n.to_string(), str::to_owned);
        json::Late {
            modules: self.told.clone(),
            added: self.added.iter().map(name).collect(),
        }
    }
}
