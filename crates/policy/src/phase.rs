//! What threads still need from some point on, and the filter by which a running process is held to it.
//!
//! A filter is never taken away, and all of a process are asked: the strictest answer counts, of equal ones the
//! newest filter's (seccomp(2)). So the filter of a phase says no more than what is taken away. It leaves that to the
//! tracer, with a number by which the tracer knows the phase, and permits everything else; what is permitted is what
//! both permit. A filter binds all threads of a process, so what is taken away is what none of them needs any more.

use std::collections::BTreeSet;

use portcullis_abi::Sysno;

use crate::{Action, Baseline, Policy, Rule, Table};

/// The calls that a thread still makes from some point on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Phase {
    /// `main`, or the start routine's name.
    pub thread: String,
    /// `startup`, `main`, `after:NAME`, `after:install`, `loop`.
    pub phase: String,
    /// Where it begins: addresses of the program's file, as its symbols have them. None when that is not known.
    pub begins: Vec<u64>,
    /// The SHA-256 of that file.
    pub file: Option<[u8; 32]>,
    /// Ascending.
    pub calls: Vec<Sysno>,
}

/// How a process is held to a phase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Narrowing {
    /// What its threads may do from then on. It answers what the tracer is asked.
    pub policy: Policy,
    /// The filter that is added.
    pub added: Policy,
    /// What that one and the filter which is there answer together.
    pub together: Policy,
}

impl Policy {
    /// The same for one thread from some point on: what it no longer needs is no longer allowed.
    pub fn phase(&self, thread: &str, phase: &str) -> Option<Policy> {
        let mut all = self.phases.iter();
        let own = all.find(|p| (&*p.thread, &*p.phase) == (thread, phase))?;
        let mut narrowed = self.only(&own.calls.iter().copied().collect());
        narrowed.phases.clear();
        Some(narrowed)
    }

    /// How a process that is behind `loaded`, the filter of this policy, is held to one of its phases: to what the
    /// thread of it needs then, and the others at any time. The added filter asks with `data`. Calls of other
    /// architectures than the first stay what they are.
    pub fn narrowing(&self, phase: &Phase, loaded: &Policy, data: u16) -> Option<Narrowing> {
        let others = self.phases.iter().filter(|p| p.thread != phase.thread);
        let needed = others.chain([phase]).flat_map(|p| &p.calls);
        let needed: BTreeSet<Sysno> = needed.copied().collect();
        let before = self.tables.first()?;
        let arch = before.arch;
        let mut policy = self.only(&needed);
        policy.phases.clear();
        let still_permitted = |number: Sysno| {
            let rules = policy.tables.iter().take(1).flat_map(|t| &t.rules);
            let mut own = rules.filter(|r| r.calls.contains(number.0));
            own.all(|r| r.action.permits())
                && policy.unlisted(arch.audit_arch(), number.0).1.permits()
        };
        let own = |number: Sysno| self.table_for(arch.audit_arch(), number.0) == Some(0);
        let fell_away = before.rules.iter().filter(|r| r.action == Action::Allow);
        let taken: BTreeSet<Sysno> = fell_away
            .filter_map(|r| r.calls.single())
            .filter(|number| !needed.contains(number))
            .filter(|number| own(*number) && !still_permitted(*number))
            .collect();
        let asks = Action::Trace(data);
        let rule = |calls: Sysno, action| Rule {
            calls: calls.into(),
            conditions: Vec::new(),
            action,
            provenance: Vec::new(),
        };
        let added = Table {
            arch,
            rules: taken.iter().map(|number| rule(*number, asks)).collect(),
            baseline: Baseline::All,
            default: Action::Allow,
            newer: Action::Allow,
            x32_is_native: before.x32_is_native,
        };
        let mut together = loaded.clone();
        let table = together.tables.first_mut()?;
        let mut stricter = Vec::new();
        for number in &taken {
            let own = table.rules.iter().filter(|r| r.calls.contains(number.0));
            stricter.extend(own.map(|own| Rule {
                calls: (*number).into(),
                action: own.action.with(asks),
                ..own.clone()
            }));
            let (_, otherwise, _) = loaded.unlisted(arch.audit_arch(), number.0);
            stricter.push(rule(*number, otherwise.with(asks)));
        }
        table.rules.splice(0..0, stricter);
        Some(Narrowing {
            policy,
            added: Policy::of(added, Action::Allow),
            together,
        })
    }

    /// Without the rules of the first architecture that allow a single call which is not among `needed`.
    fn only(&self, needed: &BTreeSet<Sysno>) -> Policy {
        let mut narrowed = self.clone();
        let stays = |rule: &Rule| {
            let single = rule.calls.single();
            rule.action != Action::Allow || single.is_none_or(|n| needed.contains(&n))
        };
        if let Some(table) = narrowed.tables.first_mut() {
            table.rules.retain(stays);
        }
        narrowed
    }
}
