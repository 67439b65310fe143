//! What traces tell, of one run or of many: read, put together, written again.

mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use portcullis_abi::{Arch, Sysno};
use portcullis_policy::Trace;

use crate::filter_file;
use crate::json::trace::{Arg, Caller, Denier, Observed, Run};
use crate::neutral;

/// Runs that are kept one by one; more are counted.
const RUNS: usize = 4096;
/// Callers, and observed paths and addresses, that are kept of one call.
const EXAMPLES: usize = 8;

/// What one or several traces tell.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Log {
    /// The runs, by the time of their start; the last of them when there are too many.
    pub(crate) runs: BTreeSet<Run>,
    /// How many there were.
    pub(crate) all_runs: u64,
    /// The programs, and what each did.
    pub(crate) images: BTreeMap<ImageKey, Image>,
    /// Code and message of what a reader must know, and the path of the program that it is about.
    pub(crate) remarks: BTreeSet<(String, String, Option<String>)>,
}

/// A program: path and identity.
pub(crate) type ImageKey = (String, Option<String>);

/// A program, and what it did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Image {
    pub(crate) when: When,
    pub(crate) calls: BTreeMap<CallKey, Call>,
}

/// What tells one call of a program from another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct CallKey {
    /// The architecture, by name, or the `AUDIT_ARCH_*` of one that has none.
    pub(crate) arch: String,
    pub(crate) number: u32,
    /// Index and value of the arguments that say what it does.
    pub(crate) args: Vec<(u8, u64)>,
    /// Other values than those of the other calls with this number, not told apart.
    pub(crate) any: bool,
}

/// How often something was seen, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct When {
    /// Runs in which it was seen.
    pub(crate) runs: u64,
    /// Seconds since 1970, UTC.
    pub(crate) first: u64,
    /// Seconds since 1970, UTC.
    pub(crate) last: u64,
}

/// A call of a program.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Call {
    pub(crate) when: When,
    /// How often it was seen; it was made at least as often.
    pub(crate) count: u64,
    /// What it returned: names or numbers of errors, `None` for success.
    pub(crate) returned: BTreeSet<Option<String>>,
    /// Who denied it, and by which answers.
    pub(crate) denied: BTreeSet<(Denier, String)>,
    pub(crate) observed: BTreeSet<Observed>,
    pub(crate) callers: BTreeSet<Caller>,
}

impl Default for When {
    fn default() -> When {
        When {
            runs: 0,
            first: u64::MAX,
            last: 0,
        }
    }
}

impl When {
    fn add(&mut self, other: When) {
        self.runs = self.runs.saturating_add(other.runs);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl CallKey {
    /// The architecture, when it has a name.
    pub(crate) fn architecture(&self) -> Option<Arch> {
        Arch::from_name(&self.arch)
    }

    /// The name of the call; `None` when no table has one.
    pub(crate) fn known_name(&self) -> Option<&'static str> {
        self.architecture()?.name(Sysno(self.number))
    }

    /// Its arguments, as documents have them.
    pub(crate) fn arguments(&self) -> Vec<Arg> {
        let symbol = |index, value| {
            self.architecture()?
                .symbol(self.known_name()?, index, value)
        };
        let arg = |(index, value): &(u8, u64)| Arg {
            index: *index,
            value: format!("{value:#x}"),
            symbol: symbol(*index, *value),
        };
        self.args.iter().map(arg).collect()
    }
}

impl Call {
    /// The program goes on without it: all that it ever returned is `ENOSYS`.
    pub(crate) fn is_optional(&self) -> bool {
        let absent = Some("ENOSYS".to_owned());
        self.returned.len() == 1 && self.returned.contains(&absent)
    }

    /// The answers by which one denied it, as policies write them.
    pub(crate) fn denied_by(&self, denier: Denier) -> impl Iterator<Item = &String> {
        let own = self.denied.iter().filter(move |(by, _)| *by == denier);
        own.map(|(_, answer)| answer)
    }

    fn add(&mut self, other: Call) {
        self.when.add(other.when);
        self.count = self.count.saturating_add(other.count);
        self.returned.extend(other.returned);
        self.denied.extend(other.denied);
        add_examples(&mut self.observed, other.observed);
        add_examples(&mut self.callers, other.callers);
    }
}

fn add_examples<T: Ord>(known: &mut BTreeSet<T>, others: BTreeSet<T>) {
    for other in others {
        if known.len() < EXAMPLES {
            known.insert(other);
        }
    }
}

impl Log {
    /// What the traces at these paths tell together.
    pub(crate) fn open(paths: &[impl AsRef<Path>]) -> Result<Log> {
        let mut log = Log::default();
        for path in paths {
            let path = path.as_ref();
            let bytes = filter_file::bytes(path)?;
            let one = Log::read(&bytes);
            log.add(one.with_context(|| format!("reading {}", neutral::path(path)))?);
        }
        Ok(log)
    }

    /// Adds what another one tells.
    pub(crate) fn add(&mut self, other: Log) {
        self.all_runs = self.all_runs.saturating_add(other.all_runs);
        self.runs.extend(other.runs);
        while self.runs.len() > RUNS {
            self.runs.pop_first();
        }
        for (key, image) in other.images {
            let own = self.images.entry(key).or_default();
            own.when.add(image.when);
            for (key, call) in image.calls {
                own.calls.entry(key).or_default().add(call);
            }
        }
        self.remarks.extend(other.remarks);
    }

    /// The architecture of most programs: that of the machine where they ran.
    pub(crate) fn arch(&self) -> Option<Arch> {
        let all = self.images.values().flat_map(|image| image.calls.keys());
        let mut counts: BTreeMap<Arch, usize> = BTreeMap::new();
        for arch in all.filter_map(CallKey::architecture) {
            *counts.entry(arch).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(arch, _)| arch)
    }

    /// The calls of an architecture, of all programs.
    pub(crate) fn of_arch(&self, arch: Arch) -> Trace {
        let mut calls: BTreeMap<Sysno, u64> = BTreeMap::new();
        let mut values: BTreeMap<Sysno, BTreeSet<Vec<(u8, u64)>>> = BTreeMap::new();
        let mut untold = BTreeSet::new();
        let all = self.images.values().flat_map(|image| &image.calls);
        for (key, call) in all.filter(|(key, _)| key.architecture() == Some(arch)) {
            let number = Sysno(key.number);
            let count = calls.entry(number).or_default();
            *count = count.saturating_add(call.count);
            values.entry(number).or_default().insert(key.args.clone());
            if key.any {
                untold.insert(number);
            }
        }
        values.retain(|number, _| !untold.contains(number));
        Trace {
            arch,
            calls,
            values,
            unknown: 0,
        }
    }

    /// The first moment that it tells of.
    pub(crate) fn since(&self) -> Option<u64> {
        let all = self.images.values().map(|image| image.when.first);
        all.min()
    }
}
