//! From what a program can do to what it may do.

use std::collections::BTreeMap;

use portcullis_abi::{Arch, Mode, SyscallSet, Sysno};

use crate::{Action, Baseline, Phase, Policy, Provenance, Rule, Table, Trace};

/// Sites that a rule names as its reason; a call that a whole library makes has thousands.
const MOST_SITES: usize = 8;
/// Calls that programs do without, because kernels forbid them so often (`io_uring_disabled`,
/// Linux 6.6), and whose operations no filter sees.
const DONE_WITHOUT: [&str; 3] = ["io_uring_setup", "io_uring_enter", "io_uring_register"];

/// The calls that a policy is made for.
#[derive(Clone, Debug)]
pub struct Derivation {
    arch: Arch,
    calls: BTreeMap<Sysno, Reasons>,
}

/// Why a call is one of them.
#[derive(Clone, Default, Debug)]
struct Reasons {
    /// A scan says so, or whoever named it; a trace does not.
    found: bool,
    all: Vec<Provenance>,
}

impl Derivation {
    /// Exactly these calls.
    pub fn new(arch: Arch, calls: impl IntoIterator<Item = Sysno>) -> Derivation {
        let named = || Reasons {
            found: true,
            all: Vec::new(),
        };
        Derivation {
            arch,
            calls: calls.into_iter().map(|n| (n, named())).collect(),
        }
    }

    /// The calls of a trace that is called `name`.
    pub fn from_trace(trace: &Trace, name: &str) -> Derivation {
        let none = Derivation {
            arch: trace.arch,
            calls: BTreeMap::new(),
        };
        none.with_trace(trace, name)
    }

    /// The calls of all these scans, each with the sites that make it: a filter stays when a program
    /// starts another one, so it must allow what any of them does.
    pub fn from_scans<'a>(
        first: &'a SyscallSet,
        others: impl IntoIterator<Item = &'a SyscallSet>,
    ) -> Derivation {
        let mut calls: BTreeMap<Sysno, Reasons> = BTreeMap::new();
        for set in std::iter::once(first).chain(others) {
            let site = |at: &portcullis_abi::Location| Provenance::Site {
                object: set
                    .objects
                    .get(at.object)
                    .map_or(String::new(), |o| o.path.clone()),
                address: at.address,
                function: at.function.clone(),
            };
            for call in &set.syscalls {
                let reasons = calls.entry(call.number).or_default();
                reasons.found = true;
                let known = &mut reasons.all;
                let stated = set
                    .assumed
                    .iter()
                    .filter(|a| a.calls.contains(&call.number));
                let stated = stated.map(|a| Provenance::Assumption(a.residual.id.clone()));
                for provenance in stated.chain(call.sites.iter().map(|s| site(&s.at))) {
                    if known.len() < MOST_SITES && !known.contains(&provenance) {
                        known.push(provenance);
                    }
                }
            }
        }
        Derivation {
            arch: first.binary.arch,
            calls,
        }
    }

    /// These calls and those of a trace that is called `name`, for the same architecture: a call that was
    /// found has its sites as reasons, one that was seen has the trace.
    pub fn with_trace(mut self, trace: &Trace, name: &str) -> Derivation {
        for number in trace.calls.keys() {
            let reasons = self.calls.entry(*number).or_default();
            reasons.all.push(Provenance::Trace(name.to_owned()));
        }
        self
    }

    /// Those of the calls that a scan found and a trace shows.
    pub fn found_and_seen(mut self) -> Derivation {
        let is_trace = |reason: &Provenance| matches!(reason, Provenance::Trace(_));
        self.calls
            .retain(|_, reasons| reasons.found && reasons.all.iter().any(is_trace));
        self
    }

    /// The policy: these calls are allowed, other known calls kill, newer calls do not exist,
    /// calls of another architecture kill.
    pub fn policy(&self) -> Policy {
        let without = DONE_WITHOUT.map(|name| self.arch.number(name));
        let mut rules: Vec<Rule> = without
            .into_iter()
            .flatten()
            .map(|number| Rule {
                calls: number.into(),
                conditions: Vec::new(),
                action: Action::ENOSYS,
                provenance: vec![Provenance::Note("io_uring is answered ENOSYS".into())],
            })
            .collect();
        let allowed = self
            .calls
            .iter()
            .filter(|(n, _)| !without.contains(&Some(**n)));
        rules.extend(allowed.map(|(number, reasons)| Rule {
            calls: (*number).into(),
            conditions: Vec::new(),
            action: Action::Allow,
            provenance: reasons.all.clone(),
        }));
        rules.sort_by_key(|r| r.calls);
        let table = Table {
            arch: self.arch,
            rules,
            baseline: match self.arch.since(self.arch.newest()) {
                Some(newest) => Baseline::Kernel(newest),
                None => Baseline::Number(self.arch.newest()),
            },
            default: Action::KillProcess,
            newer: Action::ENOSYS,
            x32_is_native: false,
        };
        Policy::of(table, Action::KillProcess)
    }
}

impl Policy {
    /// The policy of a scanned program with what each of its threads still needs in each phase.
    pub fn with_phases(set: &SyscallSet) -> Policy {
        let sound = set.sets.iter().filter(|s| s.mode == Mode::Sound);
        let phases = sound.map(|s| Phase {
            thread: s.thread.clone(),
            phase: s.phase.clone(),
            calls: s.numbers.clone(),
        });
        Policy {
            phases: phases.collect(),
            ..Policy::from_scans(set, &[])
        }
    }

    /// The policy that lets a scanned program, and the others that it may start, do what they can and
    /// nothing else.
    pub fn from_scans<'a>(
        first: &'a SyscallSet,
        others: impl IntoIterator<Item = &'a SyscallSet>,
    ) -> Policy {
        Derivation::from_scans(first, others).policy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_and_what_was_seen_are_told_apart() {
        let arch = Arch::X86_64;
        let seen = |numbers: [u32; 2]| Trace {
            arch,
            calls: numbers.map(|n| (Sysno(n), 1)).into(),
            unknown: 0,
        };
        let both = Derivation::new(arch, [Sysno(0), Sysno(1)]).with_trace(&seen([1, 2]), "t");
        let rules = |derivation: &Derivation| -> Vec<(u32, Vec<Provenance>)> {
            let policy = derivation.policy();
            let allowed = policy.rules().filter(|r| r.action == Action::Allow);
            let rule = |r: &Rule| (r.calls.first.0, r.provenance.clone());
            allowed.map(rule).collect()
        };
        let trace = vec![Provenance::Trace("t".into())];
        let expected = [(0, vec![]), (1, trace.clone()), (2, trace.clone())];
        assert_eq!(rules(&both), expected);
        assert_eq!(rules(&both.found_and_seen()), [(1, trace)]);
    }
}
