//! A policy in the words of a format whose rules have no order: what writers write.
//!
//! First match wins in a policy; the formats say which calls get an answer, and everything else gets
//! the default. Rules are therefore made independent of each other: what an earlier rule with another
//! answer takes is taken out of the later ones. What a format cannot compare in one way is compared
//! in several where that is exact, else the rule is refused. What was written is read again and must
//! come out the same. Phases are not written: they change no answer.

mod classes;
mod terms;

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{Arch, Sysno};

use super::libseccomp::is_32_bit;
use super::{Concessions, Unsayable};
use crate::{Action, Condition, Filter, Mistake, Policy, Rule, Source, Target};
use terms::Words;

/// A policy, said.
#[derive(Clone, Debug)]
pub(super) struct Spoken {
    pub(super) arches: Vec<Arch>,
    pub(super) default: Action,
    /// In the order of the rules; each is about one name.
    pub(super) entries: Vec<Said>,
    /// By architecture and name, to compare with what reads back.
    meaning: Vec<BTreeMap<String, Answers>>,
    compiler: Compiler,
}

/// What a name is answered, and under which conditions; without order.
type Answers = BTreeSet<(Vec<Condition>, Action)>;

/// Calls, what is asked of their arguments, and the answer.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) names: Vec<String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) action: Action,
    /// The rule that says so.
    pub(super) rule: (usize, usize),
}

/// Who makes the filter of what is written, and answers what no rule is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Compiler {
    Libseccomp,
    Seccompiler,
}

impl Spoken {
    /// The entries, those that say the same of several calls as one.
    pub(super) fn grouped(&self) -> Vec<Said> {
        let mut all: Vec<Said> = Vec::new();
        let mut seen: HashMap<(&[Condition], Action), usize> = HashMap::new();
        for entry in &self.entries {
            match seen.entry((&entry.conditions, entry.action)) {
                Entry::Vacant(new) => {
                    new.insert(all.len());
                    all.push(entry.clone());
                }
                Entry::Occupied(old) => {
                    if let Some(same) = all.get_mut(*old.get()) {
                        let mut names = entry.names.clone();
                        names.retain(|n| !same.names.contains(n));
                        same.names.append(&mut names);
                    }
                }
            }
        }
        all
    }
}

/// The filter of a format that has one.
pub(super) fn only(filters: &[Filter]) -> Result<&Filter, Unsayable> {
    match filters {
        [only] => Ok(only),
        _ => Err(Unsayable::whole(format!(
            "the format has one filter, not {}",
            filters.len()
        ))),
    }
}

/// In the words of a format that libseccomp compiles.
pub(super) fn of_libseccomp(filter: &Filter, conceded: Concessions) -> Result<Spoken, Unsayable> {
    speak(filter, Compiler::Libseccomp, conceded)
}

/// In the words of the crate `seccompiler`.
pub(super) fn of_seccompiler(filter: &Filter, conceded: Concessions) -> Result<Spoken, Unsayable> {
    speak(filter, Compiler::Seccompiler, conceded)
}

/// Makes sure that what was written means what the policy means: it is read again.
pub(super) fn verify(
    filter: &Filter,
    spoken: &Spoken,
    conceded: Concessions,
    read: impl FnOnce(&Target) -> Result<Source, Mistake>,
) -> Result<(), Unsayable> {
    let target = Target {
        arches: spoken.arches.clone(),
        capabilities: Vec::new(),
        kernel: (0, 0),
    };
    let read = read(&target).map_err(|mistake| {
        Unsayable::whole(format!(
            "what would be written does not read back: {mistake}"
        ))
    })?;
    let again = speak(only(&read.filters)?, spoken.compiler, conceded)?;
    let both = spoken.meaning.iter().zip(&again.meaning);
    for (table, (own, read)) in both.enumerate() {
        let mut names = own.keys().chain(read.keys());
        let Some(name) = names.find(|n| own.get(*n) != read.get(*n)) else {
            continue;
        };
        let Some(wanted) = filter.policy.tables.get(table) else {
            continue;
        };
        let about = |r: &Rule| {
            wanted
                .arch
                .number(name)
                .is_some_and(|n| r.calls.contains(n.0))
        };
        return Err(Unsayable {
            filter: filter.name.clone(),
            rule: wanted.rules.iter().position(about).map(|r| (table, r)),
            ..Unsayable::whole(format!(
                "{} would answer `{name}` otherwise than here: the format says the same of all \
                 architectures, and of `socketcall` and `ipc` what it says of their operations",
                wanted.arch
            ))
        });
    }
    match (
        again.default == spoken.default,
        again.arches == spoken.arches,
    ) {
        (true, true) => Ok(()),
        _ => Err(Unsayable::whole(
            "what would be written reads back otherwise",
        )),
    }
}

fn speak(filter: &Filter, compiler: Compiler, conceded: Concessions) -> Result<Spoken, Unsayable> {
    let policy = &filter.policy;
    let named = |unsayable: Unsayable| unsayable.of(filter);
    let Some(first) = policy.tables.first() else {
        return Err(named(Unsayable::whole("the policy has no architecture")));
    };
    let mut spoken = Spoken {
        arches: policy.tables.iter().map(|t| t.arch).collect(),
        default: first.default,
        entries: Vec::new(),
        meaning: Vec::new(),
        compiler,
    };
    let mut said = BTreeSet::new();
    for at in 0..policy.tables.len() {
        classes::check(policy, at, compiler, conceded).map_err(named)?;
        let own = table(policy, at, compiler, conceded).map_err(named)?;
        let mut meaning: BTreeMap<String, Answers> = BTreeMap::new();
        for entry in &own {
            for name in &entry.names {
                let all = meaning.entry(name.clone()).or_default();
                all.insert((entry.conditions.clone(), entry.action));
            }
        }
        let new = |e: &Said| e.names.iter().all(|n| !said.contains(n));
        spoken.entries.extend(own.into_iter().filter(new));
        said.extend(meaning.keys().cloned());
        spoken.meaning.push(meaning);
    }
    Ok(spoken)
}

/// The entries for one architecture.
fn table(
    policy: &Policy,
    at: usize,
    compiler: Compiler,
    conceded: Concessions,
) -> Result<Vec<Said>, Unsayable> {
    let table = &policy.tables[at];
    let mut calls: BTreeMap<Sysno, Vec<usize>> = BTreeMap::new();
    for (index, rule) in table.rules.iter().enumerate() {
        let written = compiler == Compiler::Libseccomp && !classes::has_x32(policy);
        let implied = conceded.newer || written;
        let implied = implied && table.arch == Arch::X86_64 && classes::is_above_x32(rule);
        let own = table.arch.syscalls().map(|(n, _)| n);
        let own: Vec<Sysno> = own.filter(|n| rule.calls.contains(n.0)).collect();
        let named = own.len() as u64;
        let all = u64::from(rule.calls.last.0.saturating_sub(rule.calls.first.0)) + 1;
        if named < all && rule.action != table.default && !implied {
            return Err(Unsayable::rule(
                (at, index),
                match own.is_empty() {
                    true => format!("number {} has no name", rule.calls.first),
                    false => "some of the numbers have no names".into(),
                },
            ));
        }
        for number in own {
            calls.entry(number).or_default().push(index);
        }
    }
    let words = Words {
        narrow: compiler == Compiler::Seccompiler || is_32_bit(table.arch),
        wide: !is_32_bit(table.arch),
        repeated: compiler == Compiler::Seccompiler,
    };
    let mut all = Vec::new();
    for (number, rules) in calls {
        all.extend(call(policy, at, number, &rules, words)?);
    }
    all.sort_by_key(|s| s.rule);
    Ok(all)
}

/// What each rule of one call adds, whatever the order.
fn call(
    policy: &Policy,
    at: usize,
    number: Sysno,
    rules: &[usize],
    words: Words,
) -> Result<Vec<Said>, Unsayable> {
    let table = &policy.tables[at];
    let rule = |r: usize| &table.rules[r];
    let alone = rules.iter().position(|r| rule(*r).conditions.is_empty());
    let mut rules = &rules[..alone.map_or(rules.len(), |a| a + 1)];
    while let Some((last, before)) = rules.split_last() {
        if rule(*last).action != table.default {
            break;
        }
        rules = before;
    }
    let mut all = Vec::new();
    for (order, &own) in rules.iter().enumerate() {
        let action = rule(own).action;
        if action == table.default {
            continue;
        }
        let refused = |message| Unsayable::rule((at, own), message);
        let mut terms = vec![rule(own).conditions.clone()];
        for &earlier in &rules[..order] {
            if rule(earlier).action != action {
                terms = terms::without(terms, &rule(earlier).conditions).map_err(refused)?;
            }
        }
        let terms = terms::said(terms, words).map_err(refused)?;
        all.extend(terms.into_iter().map(|conditions| {
            Said {
                names: table
                    .arch
                    .name(number)
                    .map(str::to_owned)
                    .into_iter()
                    .collect(),
                conditions,
                action,
                rule: (at, own),
            }
        }));
    }
    // Nothing else is needed beside it, and seccompiler would drop it beside others.
    let whole = all.iter().position(|s| s.conditions.is_empty());
    Ok(match whole {
        Some(whole) => vec![all.swap_remove(whole)],
        None => all,
    })
}
