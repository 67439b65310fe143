//! What a filter allows against what a program can do.
//!
//! Four questions, each with an exact meaning:
//!
//! - *missing*: a place that can be reached makes a call that falls to the default answer or to a rule
//!   that kills. What a rule answers with an error number is *denied on purpose* and no finding; so is
//!   a call newer than the policy's baseline that is answered so.
//! - *redundant*: a rule that grants more than what would answer without it, and without which no call
//!   that a place can make would be answered otherwise, all arguments considered. If something is
//!   left open that could need it, that is said instead: *unknown*.
//! - *too broad*: all that needs a rule passes constants, and the rule allows more.
//! - *unknown*: what cannot be told, with the reason.
//!
//! A thread is under several filters at once: those that it inherited, its own, and those that others
//! imposed (`SECCOMP_FILTER_FLAG_TSYNC`). The kernel takes the strictest answer (seccomp(2)), and so
//! does the audit. All of it is decided on sets of calls, not on samples: where a place passes a mask, a
//! range or anything at all, each of these calls counts.

mod accept;
mod assign;
mod broad;
mod cube;
mod evaluate;
mod finding;
mod lock;
mod missing;
pub mod phrase;
mod redundant;
mod subject;
mod telling;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{Arch, Residual, Sysno};

use crate::{Action, Filter, Rule};
pub use accept::{Accepted, Entry};
pub use assign::{Point, subjects};
use evaluate::{Looked, Rules, asked, looks};
pub use finding::{Code, Edit, Finding, Kind, RuleAt, Step};
pub use lock::{Build, Drift, Event, Happened, drift, history, lines, lock};
pub use subject::{Applied, Subject};

/// Residuals that a finding names.
const MOST_NAMED: usize = 8;

/// What an audit found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Audit {
    /// In order: by filter, then by rule and call.
    pub findings: Vec<Finding>,
    /// Calls that rules deny in so many words.
    pub on_purpose: Vec<Finding>,
    /// Rules of other architectures than the programs': nothing is said of them.
    pub other_rules: usize,
}

/// Compares filters with what runs under them.
///
/// `subjects` are all threads that are under any of the filters, and the programs that they start:
/// what is left out counts as not there.
pub fn audit(filters: &[Filter], subjects: &[Subject<'_>]) -> Audit {
    let audited = Audited::new(filters, subjects);
    let mut audit = Audit::default();
    let (missing, on_purpose) = audited.missing();
    audit.on_purpose = on_purpose;
    audit.findings = missing;
    for filter in 0..filters.len() {
        if !subjects.iter().any(|s| s.is_under(filter)) {
            audit.findings.push(audited.without_thread(filter));
            continue;
        }
        audit.other_rules += audited.rules_of_others(filter);
        let redundant = audited.redundant(filter);
        audit.findings.extend(audited.broad(filter, &redundant));
        audit.findings.extend(redundant);
    }
    let order = |f: &Finding| {
        let rule = f.rule.as_ref().map(|r| (r.table, r.rule));
        (f.filter, f.code, rule, f.number, f.args.clone())
    };
    audit.findings.sort_by_cached_key(order);
    audit.on_purpose.sort_by_cached_key(order);
    audit
}

/// What is compared, with what is asked of it again and again.
struct Audited<'a> {
    filters: &'a [Filter],
    subjects: &'a [Subject<'a>],
    /// By filter and call.
    rules: BTreeMap<(usize, Sysno), Rules>,
    arch: Arch,
}

impl<'a> Audited<'a> {
    fn new(filters: &'a [Filter], subjects: &'a [Subject<'a>]) -> Audited<'a> {
        // Programs of one system; the kernel starts no others under a filter that kills what is foreign.
        let arch = subjects.first().map_or(Arch::X86_64, |s| s.set.binary.arch);
        let mut rules = BTreeMap::new();
        for subject in subjects {
            let numbers: BTreeSet<Sysno> = subject.calls().iter().map(|m| m.call.number).collect();
            for (n, filter) in filters.iter().enumerate() {
                for &number in &numbers {
                    rules
                        .entry((n, number))
                        .or_insert_with(|| Rules::of(&filter.policy, arch, number));
                }
            }
        }
        Audited {
            filters,
            subjects,
            rules,
            arch,
        }
    }

    /// The arguments of a call by which the rules of filters distinguish.
    fn asked(&self, filters: impl Iterator<Item = usize>, number: Sysno) -> Looked {
        let all = filters.flat_map(|f| &self.filters[f].policy.tables);
        let own = all.filter(|t| t.arch == self.arch);
        let rules = own.flat_map(|t| &t.rules);
        let rules = rules.filter(|r| r.calls.contains(number.0));
        let conditions = rules.flat_map(|r| &r.conditions);
        asked([None; 6], conditions.map(|c| (c.index, looks(c))))
    }

    /// The table of a filter that answers the programs' calls.
    fn table(&self, filter: usize) -> Option<usize> {
        let tables = &self.filters[filter].policy.tables;
        tables.iter().position(|t| t.arch == self.arch)
    }

    /// How many rules of a filter are about other architectures.
    fn rules_of_others(&self, filter: usize) -> usize {
        let tables = &self.filters[filter].policy.tables;
        let others = tables.iter().filter(|t| t.arch != self.arch);
        others.map(|t| t.rules.len()).sum()
    }

    fn rule_at(&self, filter: usize, (table, rule): (usize, usize)) -> RuleAt {
        let own = &self.filters[filter];
        let of = &own.policy.tables[table];
        RuleAt {
            filter,
            table,
            rule,
            place: own.places.get(table).and_then(|p| p.get(rule)).copied(),
            text: phrase::rule(of, &of.rules[rule]),
        }
    }

    /// The subjects under a filter, by name, each once.
    fn names_under(&self, filter: usize) -> Vec<String> {
        let own = self.subjects.iter().filter(|s| s.is_under(filter));
        let names: BTreeSet<String> = own.map(|s| s.name().to_owned()).collect();
        names.into_iter().collect()
    }

    /// What is left open that could make calls under a filter, by id. A program is started only where
    /// the filters let that happen.
    fn open(&self, filter: usize) -> Vec<&'a Residual> {
        let mut found: BTreeMap<&str, &Residual> = BTreeMap::new();
        for subject in self.subjects.iter().filter(|s| s.is_under(filter)) {
            let starts = self.may_start(subject);
            found.extend(subject.unknown(starts).map(|r| (r.id.as_str(), r)));
        }
        found.into_values().collect()
    }

    /// Whether a subject can make a call that starts a program and that its filters do not deny.
    fn may_start(&self, subject: &Subject<'_>) -> bool {
        let starts = ["execve", "execveat"].map(|name| self.arch.number(name));
        let mut calls = subject.calls().iter();
        calls.any(|made| {
            starts.contains(&Some(made.call.number))
                && self
                    .pieces(subject, made, std::iter::empty())
                    .map_or(true, |all| {
                        all.0.iter().any(|piece| {
                            let certain = subject.filters.iter().zip(&piece.answers);
                            let certain = certain.filter(|(applied, _)| applied.certain);
                            !certain.map(|(_, answer)| answer.action).any(denies)
                        })
                    })
        })
    }

    fn without_thread(&self, filter: usize) -> Finding {
        let name = self.filters[filter].name.clone();
        Finding {
            code: Code::NoThread,
            filter: Some(filter),
            threads: name.clone().into_iter().collect(),
            rule: None,
            number: None,
            call: String::new(),
            args: Vec::new(),
            confidence: None,
            witness: Vec::new(),
            residuals: Vec::new(),
            message: match name {
                Some(name) => format!("it is not known which thread the filter `{name}` is for"),
                None => "it is not known which thread the filter is for".into(),
            },
            suggestion: None,
        }
    }
}

/// Whether a call with this answer is not made.
fn denies(action: Action) -> bool {
    matches!(
        action,
        Action::KillProcess | Action::KillThread | Action::Trap(_) | Action::Errno(_)
    )
}

/// Whether a rule is there to let calls through: to the kernel, or to somebody who decides.
fn grants(rule: &Rule) -> bool {
    !denies(rule.action)
}

/// Some of what is left open, and how much more there is.
fn named(open: &[&Residual]) -> (Vec<String>, String) {
    let ids: Vec<String> = open.iter().take(MOST_NAMED).map(|r| r.id.clone()).collect();
    let more = match open.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let text = format!("{}{more}", ids.join(", "));
    (ids, text)
}
