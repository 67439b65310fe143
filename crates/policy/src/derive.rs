//! From what a program can do to what it may do.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{Arch, Mode, SyscallSet, Sysno};

use crate::{
    Action, Baseline, Condition, Phase, Policy, Provenance, Ramp, Rule, Table, Trace, Width,
};

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
    /// Only calls that were seen are wanted.
    seen_only: bool,
    ramp: Option<Ramp>,
    /// Calls that are allowed because they were seen are allowed with the values that were seen.
    with_values: bool,
}

/// Why a call is one of them.
#[derive(Clone, Default, Debug)]
struct Reasons {
    /// A scan says so, or whoever named it; a trace does not.
    found: bool,
    /// Traces that show it.
    traces: usize,
    /// And those of them that show its values.
    valued: usize,
    values: BTreeSet<Vec<(u8, u64)>>,
    all: Vec<Provenance>,
}

impl Derivation {
    /// Exactly these calls.
    pub fn new(arch: Arch, calls: impl IntoIterator<Item = Sysno>) -> Derivation {
        let named = || Reasons {
            found: true,
            ..Reasons::default()
        };
        Derivation {
            arch,
            calls: calls.into_iter().map(|n| (n, named())).collect(),
            seen_only: false,
            ramp: None,
            with_values: false,
        }
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
            seen_only: false,
            ramp: None,
            with_values: false,
        }
    }

    /// These calls and those of a trace that is called `name`, for the same architecture: a call that was
    /// found has its sites as reasons, one that was seen has the trace.
    pub fn with_trace(mut self, trace: &Trace, name: &str) -> Derivation {
        for number in trace.calls.keys() {
            let reasons = self.calls.entry(*number).or_default();
            reasons.traces += 1;
            if let Some(values) = trace.values.get(number) {
                reasons.valued += 1;
                reasons.values.extend(values.iter().cloned());
            }
            reasons.all.push(Provenance::Trace(name.to_owned()));
        }
        self
    }

    /// The runs of a trace count as tries of the policy.
    pub fn with_ramp(mut self, ramp: Ramp) -> Derivation {
        self.ramp = Some(self.ramp.map_or(ramp, |own| own.and(ramp)));
        self
    }

    /// Those of the calls that a scan found and a trace shows.
    pub fn found_and_seen(mut self) -> Derivation {
        let is_trace = |reason: &Provenance| matches!(reason, Provenance::Trace(_));
        self.calls
            .retain(|_, reasons| reasons.found && reasons.all.iter().any(is_trace));
        self.seen_only = true;
        self
    }

    /// What is allowed because it was seen is allowed with the values that were seen of the arguments that say
    /// what a call does: operations, flags, families, protections. What a scan found stays allowed with all,
    /// unless only what was seen is wanted; so does a call whose values some trace does not tell.
    pub fn with_values(mut self) -> Derivation {
        self.with_values = true;
        self
    }

    /// The conditions of the rules for one call.
    fn conditions(&self, number: Sysno, reasons: &Reasons) -> Vec<Vec<Condition>> {
        let places: Vec<(u8, Width)> = self
            .arch
            .deciding(number)
            .map(|(index, argument)| match argument.width {
                32 => (index, Width::W32),
                _ => (index, Width::W64),
            })
            .collect();
        let is_whole = |values: &Vec<(u8, u64)>| {
            let own = values.iter().map(|(index, _)| index);
            own.eq(places.iter().map(|(index, _)| index))
        };
        let by_scan = reasons.found && !self.seen_only;
        let is_told = reasons.traces == reasons.valued && reasons.values.iter().all(is_whole);
        if !self.with_values || by_scan || !is_told {
            return vec![Vec::new()];
        }
        let values = reasons.values.iter();
        Condition::exactly(&places, values.map(|v| v.iter().map(|(_, v)| *v).collect()))
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
        rules.extend(allowed.flat_map(|(number, reasons)| {
            let rule = |conditions| Rule {
                calls: (*number).into(),
                conditions,
                action: Action::Allow,
                provenance: reasons.all.clone(),
            };
            self.conditions(*number, reasons).into_iter().map(rule)
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
        Policy {
            ramp: self.ramp,
            ..Policy::of(table, Action::KillProcess)
        }
    }
}

impl Policy {
    /// The policy of a scanned program with what each of its threads still needs in each phase.
    pub fn with_phases(set: &SyscallSet) -> Policy {
        let sound = set.sets.iter().filter(|s| s.mode == Mode::Sound);
        let file = set.objects.first().map(|o| o.sha256);
        let phases = sound.map(|s| Phase {
            thread: s.thread.clone(),
            phase: s.phase.clone(),
            begins: s.begins.clone(),
            file: file.filter(|_| !s.begins.is_empty()),
            calls: s.numbers.clone(),
        });
        Policy {
            phases: phases.collect(),
            ramp: None,
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
            values: BTreeMap::new(),
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

    /// A call, and the values that were seen.
    type Told<'a> = (Sysno, &'a [&'a [(u8, u64)]]);

    #[test]
    fn values_hold_where_the_trace_is_the_reason() {
        let arch = Arch::X86_64;
        let [mmap, ioctl, read] = ["mmap", "ioctl", "read"].map(|n| arch.number(n).unwrap());
        let trace = |calls: &[Sysno], values: &[Told<'_>]| Trace {
            arch,
            calls: calls.iter().map(|n| (*n, 1)).collect(),
            values: values
                .iter()
                .map(|(n, all)| (*n, all.iter().map(|v| v.to_vec()).collect()))
                .collect(),
            unknown: 0,
        };
        let seen = trace(
            &[mmap, ioctl, read],
            &[
                (
                    mmap,
                    &[
                        &[(2, 1), (3, 2)],
                        &[(2, 3), (3, 0x22)],
                        &[(2, 3), (3, 0x32)],
                    ],
                ),
                (ioctl, &[&[(1, 0x5401)]]),
                (read, &[&[]]),
            ],
        );
        let answer = |derivation: &Derivation, number: Sysno, args: [u64; 6]| {
            let call = crate::Call {
                arch: arch.audit_arch(),
                number: number.0,
                ip: 0,
                args,
            };
            derivation.policy().decide(&call).action.permits()
        };
        let found = Derivation::new(arch, [ioctl])
            .with_trace(&seen, "t")
            .with_values();
        assert!(answer(&found, mmap, [9, 9, 3, 0x32, 9, 9]));
        assert!(!answer(&found, mmap, [9, 9, 1, 0x32, 9, 9]));
        assert!(answer(&found, read, [9; 6]));
        // What a scan found is allowed whatever its values, until only what was seen is wanted.
        assert!(answer(&found, ioctl, [0, 0x5413, 0, 0, 0, 0]));
        let both = found.clone().found_and_seen();
        assert!(!answer(&both, ioctl, [0, 0x5413, 0, 0, 0, 0]));
        assert!(answer(&both, ioctl, [0, 0x5401, 0, 0, 0, 0]));
        // A trace without values says nothing of them.
        let other = found.with_trace(&trace(&[mmap], &[]), "strace");
        assert!(answer(&other, mmap, [9, 9, 1, 0x32, 9, 9]));
    }
}
