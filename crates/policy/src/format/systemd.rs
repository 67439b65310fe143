//! The system call settings of systemd's units.
//!
//! systemd makes several filters of them, and the strictest answer counts: one that kills threads that
//! make calls of excluded architectures, and for each of the others that the machine can run one for
//! the list and one for what is logged. (systemd.exec(5), and what its `seccomp_restrict_archs` and
//! `seccomp_load_syscall_filter_set_raw` load; before version 247 excluded architectures were filtered
//! by the list as well.)
//!
//! - A list without `~` allows what it names and what systemd calls `@default`; a list with `~`
//!   denies. The first list says which of the two it is, later ones add and remove.
//! - Without `SystemCallArchitectures=`, calls of architectures that the machine does not run are
//!   allowed.

mod lists;
mod multiplexer;
mod unit;
mod write;

use portcullis_abi::{Arch, Sysno};

use self::lists::{Answers, Logged};
use self::unit::Assignment;
use crate::{
    Action, Baseline, Filter, Mistake, Place, Policy, Remark, Rule, Source, Table, Target,
};

pub use write::write;

/// What libseccomp answers to calls of an architecture that a filter does not know
/// (`SCMP_ACT_KILL`).
const EXCLUDED: Action = Action::KillThread;
/// Settings that make filters of their own, which are not read here.
const OTHERS: [&str; 11] = [
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "PrivateDevices",
    "ProtectClock",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
];

/// Reads a unit or a drop-in for a machine whose own architecture is the first of `target`.
pub fn read(text: &str, target: &Target) -> Result<Source, Mistake> {
    let native = *target
        .arches
        .first()
        .ok_or_else(|| Mistake::whole("for which architecture is not said"))?;
    let mut settings = Settings {
        native,
        answers: None,
        logged: None,
        errno: Action::KillProcess,
        only: Vec::new(),
        remarks: Vec::new(),
    };
    for assignment in unit::assignments(text)? {
        settings.assign(&assignment)?;
    }
    if settings.answers.is_none() && settings.logged.is_none() && settings.only.is_empty() {
        return Err(Mistake::whole(
            "no SystemCallFilter=, SystemCallLog= or SystemCallArchitectures= restricts anything",
        ));
    }
    Ok(settings.source())
}

/// What the settings have said so far.
struct Settings {
    native: Arch,
    answers: Option<Answers>,
    logged: Option<Logged>,
    /// The answer of `SystemCallErrorNumber=`.
    errno: Action,
    /// The architectures of `SystemCallArchitectures=`.
    only: Vec<Arch>,
    remarks: Vec<Remark>,
}

impl Settings {
    fn assign(&mut self, assignment: &Assignment) -> Result<(), Mistake> {
        match assignment.key.as_str() {
            "SystemCallFilter" => match assignment.words.is_empty() {
                true => self.answers = None,
                false => {
                    let local = local(self.native);
                    let answers = &mut self.answers;
                    lists::filter(answers, assignment, self.native, &local, &mut self.remarks)?;
                }
            },
            "SystemCallLog" => match assignment.words.is_empty() {
                true => self.logged = None,
                false => lists::log(&mut self.logged, assignment, &local(self.native))?,
            },
            "SystemCallErrorNumber" => {
                self.errno = match assignment.words.as_slice() {
                    [] => Action::KillProcess,
                    [(word, place)] => lists::answer(word, *place)?,
                    [_, (word, place), ..] => {
                        let message = format!("`{word}` is one too many: one error is expected");
                        return Err(Mistake::at(*place, message));
                    }
                };
                if self.errno == Action::Errno(0) {
                    return Err(Mistake::at(
                        assignment.place,
                        "the error number cannot be 0",
                    ));
                }
            }
            "SystemCallArchitectures" => {
                if assignment.words.is_empty() {
                    self.only.clear();
                }
                for (word, place) in &assignment.words {
                    self.architecture(word, *place)?;
                }
            }
            other if OTHERS.contains(&other) => self.remarks.push(Remark {
                place: assignment.place,
                message: format!("{other}= makes a filter of its own, which is not read"),
            }),
            _ => {}
        }
        Ok(())
    }

    fn architecture(&mut self, word: &str, place: Place) -> Result<(), Mistake> {
        let arch = match word {
            "native" => Some(self.native),
            "x86" => Some(Arch::I386),
            "x86-64" => Some(Arch::X86_64),
            "x32" => Some(Arch::X32),
            "arm" => Some(Arch::Arm),
            "arm64" => Some(Arch::Aarch64),
            _ => None,
        };
        // The native one is always part of the filter (`seccomp_init`).
        for arch in [Some(self.native), arch].into_iter().flatten() {
            if !self.only.contains(&arch) {
                self.only.push(arch);
            }
        }
        if arch.is_none() {
            let others = [
                "alpha",
                "arc",
                "loongarch64",
                "mips",
                "mips-le",
                "mips64",
                "mips64-le",
                "mips64-n32",
                "mips64-le-n32",
                "parisc",
                "parisc64",
                "ppc",
                "ppc-le",
                "ppc64",
                "ppc64-le",
                "riscv32",
                "riscv64",
                "s390",
                "s390x",
            ];
            if !others.contains(&word) {
                let message = format!("the architecture `{word}` is not known");
                return Err(Mistake::at(place, message));
            }
            let message = format!("the machine makes no calls of {word}");
            self.remarks.push(Remark { place, message });
        }
        Ok(())
    }

    fn source(self) -> Source {
        let local = local(self.native);
        let blocked = |arch: &Arch| !self.only.is_empty() && !self.only.contains(arch);
        let mut policy = Policy {
            tables: Vec::new(),
            // Where nothing that the machine runs is excluded, no filter is loaded for it.
            foreign: match local.iter().any(blocked) {
                true => EXCLUDED,
                false => Action::Allow,
            },
            phases: Vec::new(),
            ramp: None,
        };
        let mut places = Vec::new();
        for arch in local.iter().copied().filter(|arch| !blocked(arch)) {
            let (table, own) = self.table(arch);
            // A table that answers everything as foreign calls are answered says nothing.
            if arch == self.native || !table.rules.is_empty() || table.default != policy.foreign {
                policy.tables.push(table);
                places.push(own);
            }
        }
        Source {
            filters: vec![Filter {
                name: None,
                policy,
                places,
            }],
            remarks: self.remarks,
        }
    }

    /// The answers to the calls of one architecture, and where each is said.
    fn table(&self, arch: Arch) -> (Table, Vec<Place>) {
        let answers = self.answers.as_ref();
        let unlisted = answers.map_or(Action::Allow, |a| a.unlisted(self.errno));
        let log_unlisted = self.logged.as_ref().is_some_and(|l| !l.listed);
        let strictest = |answer: Action, logged: bool| match answer {
            Action::Allow if logged => Action::Log,
            other => other,
        };
        let default = strictest(unlisted, log_unlisted);
        let empty = std::collections::BTreeMap::new();
        let filtered = answers.and_then(|a| a.calls.get(&arch)).unwrap_or(&empty);
        let none = std::collections::BTreeMap::new();
        let logged = self.logged.as_ref();
        let logs = logged.and_then(|l| l.calls.get(&arch)).unwrap_or(&none);
        let mut numbers: Vec<Sysno> = filtered.keys().chain(logs.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let (mut rules, mut places) = (Vec::new(), Vec::new());
        for number in numbers {
            let listed = filtered.get(&number);
            let answer = listed.map_or(unlisted, |l| {
                l.answer.unwrap_or(match answers {
                    Some(a) if a.allows => Action::Allow,
                    _ => self.errno,
                })
            });
            let log = logs.get(&number);
            let action = strictest(answer, log.is_some() != log_unlisted);
            let place = listed.map(|l| l.place).or(log.copied()).unwrap_or_default();
            if let Some(rule) = multiplexer::rule(arch, number, action, default) {
                rules.push(rule);
                places.push(place);
            }
            if action != default {
                rules.push(Rule {
                    calls: number.into(),
                    conditions: Vec::new(),
                    action,
                    provenance: Vec::new(),
                });
                places.push(place);
            }
        }
        let table = Table {
            arch,
            rules,
            baseline: Baseline::All,
            default,
            newer: default,
            x32_is_native: false,
        };
        (table, places)
    }
}

/// The architectures whose calls a machine can make (`seccomp_local_archs`), its own first.
fn local(native: Arch) -> Vec<Arch> {
    match native {
        Arch::X86_64 => vec![Arch::X86_64, Arch::I386, Arch::X32],
        Arch::X32 => vec![Arch::X32, Arch::I386, Arch::X86_64],
        Arch::Aarch64 => vec![Arch::Aarch64, Arch::Arm],
        alone => vec![alone],
    }
}
