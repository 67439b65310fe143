//! The programs that a program may start: they run behind the same filter.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use anyhow::{Result, ensure};
use portcullis_abi::{Paths, Residual, ResidualKind, SyscallSet};

use crate::analysis::Wanted;
use crate::args::ImagesArgs;
use crate::neutral;
use crate::output::say;

/// Programs that are followed; what the others start stays a residual.
const MOST_IMAGES: usize = 64;
/// The program itself, whichever it is (proc(5)).
const ITSELF: &str = "/proc/self/exe";

/// A program, and those that it may start.
#[derive(Debug)]
pub(crate) struct Images {
    /// What the program itself can do.
    pub(crate) first: SyscallSet,
    /// What each of the others can do, in order of discovery.
    pub(crate) others: Vec<SyscallSet>,
}

impl Images {
    /// The program of a scan alone.
    pub(crate) fn alone(first: SyscallSet) -> Images {
        Images {
            first,
            others: Vec::new(),
        }
    }

    /// With the programs that were named and, if that was asked for, those that it and they start by a
    /// constant path. A place that starts nothing else is no residual any more, unless one of them can
    /// change what paths mean.
    pub(crate) fn with(
        mut self,
        typed: &ImagesArgs,
        wanted: impl Fn(&Path) -> Result<Wanted>,
    ) -> Result<Images> {
        let mut seen = BTreeSet::from([self.first.binary.path.clone()]);
        for program in &typed.exec {
            let set = self.fitting(wanted(program)?.analyse()?.set)?;
            if seen.insert(set.binary.path.clone()) {
                self.others.push(set);
            }
        }
        if !typed.follow_exec {
            return Ok(self);
        }
        let mut known = BTreeSet::from([ITSELF.to_owned()]);
        known.extend(seen.iter().cloned());
        let mut pending: VecDeque<String> = self.sets().flat_map(started).collect();
        let mut asked = BTreeSet::new();
        while let Some(path) = pending.pop_front() {
            if known.contains(&path) || !asked.insert(path.clone()) {
                continue;
            }
            if self.others.len() >= MOST_IMAGES {
                say(&format!(
                    "not followed, there are too many: {}",
                    neutral::text(&path)
                ));
                continue;
            }
            let analysed = wanted(Path::new(&path)).and_then(|wanted| wanted.analyse());
            match analysed.and_then(|analysis| self.fitting(analysis.set)) {
                Ok(set) => {
                    pending.extend(started(&set));
                    known.insert(path);
                    if seen.insert(set.binary.path.clone()) {
                        self.others.push(set);
                    }
                }
                Err(reason) => say(&format!(
                    "not followed: {}: {}",
                    neutral::text(&path),
                    neutral::text(&format!("{reason:#}"))
                )),
            }
        }
        if self.sets().any(moves_root) {
            return Ok(self);
        }
        let is_known = |path: &String| known.contains(path);
        for set in std::iter::once(&mut self.first).chain(&mut self.others) {
            let all = |r: &Residual, set: &SyscallSet| {
                let paths = paths(set, r);
                !paths.others && paths.known.iter().all(is_known)
            };
            let told: Vec<String> = set
                .residuals
                .iter()
                .filter(|r| r.kind == ResidualKind::Exec && all(r, set))
                .map(|r| r.id.clone())
                .collect();
            set.residuals.retain(|r| !told.contains(&r.id));
        }
        Ok(self)
    }

    /// A set that can be behind the same filter: numbers mean the same in both.
    pub(crate) fn fitting(&self, set: SyscallSet) -> Result<SyscallSet> {
        let (own, other) = (self.first.binary.arch, set.binary.arch);
        let path = neutral::text(&set.binary.path);
        ensure!(
            own == other,
            "{path} is for {other}, and the program for {own}"
        );
        Ok(set)
    }

    /// The program's set, then the others'.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &SyscallSet> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The numbers that any of them can make, ascending.
    pub(crate) fn union(&self) -> BTreeSet<u32> {
        let calls = self.sets().flat_map(|set| &set.syscalls);
        calls.map(|call| call.number.0).collect()
    }
}

/// Whether a program can make an absolute path name another file.
fn moves_root(set: &SyscallSet) -> bool {
    const MOVE: [&str; 5] = ["chroot", "pivot_root", "mount", "move_mount", "setns"];
    let moves = MOVE.map(|name| set.binary.arch.number(name));
    set.syscalls
        .iter()
        .any(|call| moves.contains(&Some(call.number)))
}

/// The constant absolute paths of programs that a program starts.
fn started(set: &SyscallSet) -> Vec<String> {
    let residuals = set.residuals.iter();
    let exec = residuals.filter(|r| r.kind == ResidualKind::Exec);
    let all = exec.flat_map(|r| paths(set, r).known);
    all.filter(|path| path.starts_with('/')).collect()
}

/// The paths of all calls that start programs at the place of an exec residual.
fn paths(set: &SyscallSet, residual: &Residual) -> Paths {
    let starts = ["execve", "execveat"].map(|name| set.binary.arch.number(name));
    let calls = set
        .syscalls
        .iter()
        .filter(|c| starts.contains(&Some(c.number)));
    let sites = calls.flat_map(|call| &call.sites);
    let own = sites.filter(|site| site.at == residual.at);
    let unknown = Paths {
        known: Vec::new(),
        others: true,
    };
    let each = own.map(|site| site.paths.clone().unwrap_or_else(|| unknown.clone()));
    // A place without a site tells nothing.
    let all = each.reduce(|mut sum, one| {
        sum.known.extend(one.known);
        sum.others |= one.others;
        sum
    });
    all.unwrap_or(unknown)
}
