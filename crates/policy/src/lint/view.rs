//! One table of a policy, as the checks look at it.

use std::collections::BTreeMap;

use portcullis_abi::Sysno;

use super::{Code, Finding};
use crate::{Action, Call, Decision, Filter, Place, Policy, Rule, Span, Table};

/// Parts of a span that are looked at.
const MOST_PARTS: usize = 4096;

/// A table with its rules by number.
pub(super) struct View<'a> {
    pub(super) policy: &'a Policy,
    pub(super) table: &'a Table,
    at: usize,
    places: &'a [Place],
    /// Rules about one call, by its number.
    single: BTreeMap<u32, Vec<usize>>,
    /// Rules about several.
    wide: Vec<usize>,
    /// Where other rules begin to apply.
    starts: Vec<u32>,
    /// `(first number, answer when no rule fits)`.
    otherwise: Vec<(u32, Action)>,
}

/// What is allowed of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    /// All of it; by this rule, or because nothing denies it.
    Open(Option<usize>),
    /// Some of it; the first rule about it.
    Partly(usize),
    /// Nothing; by this rule.
    Denied(usize),
    /// Nothing, and no rule says so.
    Unlisted,
}

impl<'a> View<'a> {
    /// The table `at` of a filter; `None` when there is none.
    pub(super) fn new(filter: &'a Filter, at: usize) -> Option<View<'a>> {
        let table = filter.policy.tables.get(at)?;
        let mut single: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        let mut wide = Vec::new();
        let mut starts = Vec::new();
        for (index, rule) in table.rules.iter().enumerate() {
            match rule.calls.single() {
                Some(number) => single.entry(number.0).or_default().push(index),
                None => wide.push(index),
            }
            starts.push(rule.calls.first.0);
            starts.extend(rule.calls.last.0.checked_add(1));
        }
        starts.sort_unstable();
        starts.dedup();
        let segments = filter.policy.segments(table.arch.audit_arch());
        Some(View {
            policy: &filter.policy,
            table,
            at,
            places: filter.places.get(at).map_or(&[], Vec::as_slice),
            single,
            wide,
            starts,
            otherwise: segments.iter().map(|s| (s.first, s.otherwise)).collect(),
        })
    }

    /// The rules about a number in their order, up to the first without conditions.
    pub(super) fn rules(&self, number: u32) -> Vec<usize> {
        let mut all = self.all_rules(number);
        let answers = |at: &usize| self.table.rules[*at].conditions.is_empty();
        if let Some(last) = all.iter().position(answers) {
            all.truncate(last + 1);
        }
        all
    }

    /// All rules about a number in their order.
    pub(super) fn all_rules(&self, number: u32) -> Vec<usize> {
        let single = self.single.get(&number).map_or(&[][..], Vec::as_slice);
        let wide = self.wide.iter().copied();
        let wide = wide.filter(|at| self.table.rules[*at].calls.contains(number));
        let mut all: Vec<usize> = single.iter().copied().chain(wide).collect();
        all.sort_unstable();
        all
    }

    /// A number of each part of a span that other rules are about; `None` when they, or the rules
    /// about several calls, are too many to look at.
    pub(super) fn parts(&self, calls: Span) -> Option<Vec<u32>> {
        if self.wide.len() > MOST_PARTS {
            return None;
        }
        let from = self.starts.partition_point(|s| *s <= calls.first.0);
        let inside = self.starts[from..].iter().copied();
        let inside = inside.take_while(|s| *s <= calls.last.0).take(MOST_PARTS);
        let all: Vec<u32> = std::iter::once(calls.first.0).chain(inside).collect();
        (all.len() <= MOST_PARTS).then_some(all)
    }

    /// Whether the rules of this table are asked about a number: those of x32 have a table of their
    /// own, or none.
    pub(super) fn is_asked(&self, number: u32) -> bool {
        let arch = self.table.arch.audit_arch();
        self.policy.table_for(arch, number) == Some(self.at)
    }

    /// The answer to a number that no rule fits.
    pub(super) fn otherwise(&self, number: u32) -> Action {
        let at = self
            .otherwise
            .partition_point(|(first, _)| *first <= number);
        let own = at.checked_sub(1).and_then(|at| self.otherwise.get(at));
        own.map_or(self.policy.foreign, |(_, action)| *action)
    }

    /// What is allowed of a call; `None` when the architecture has none of that name.
    pub(super) fn access(&self, name: &str) -> Option<Access> {
        let number = self.table.arch.number(name)?;
        let rules = self.rules(number.0);
        let answered = rules.last();
        let answered = answered.is_some_and(|at| self.table.rules[*at].conditions.is_empty());
        let actions = rules.iter().map(|at| self.table.rules[*at].action);
        let otherwise = (!answered).then(|| self.otherwise(number.0));
        let mut permitted = actions.chain(otherwise).map(Action::permits);
        let first = permitted.next().unwrap_or_default();
        Some(
            match (permitted.all(|p| p == first), first, rules.first()) {
                (true, true, rule) => Access::Open(rule.copied()),
                (true, false, Some(rule)) => Access::Denied(*rule),
                (true, false, None) => Access::Unlisted,
                (false, _, Some(rule)) => Access::Partly(*rule),
                (false, _, None) => Access::Unlisted,
            },
        )
    }

    /// Whether something of a call is allowed.
    pub(super) fn permits(&self, name: &str) -> bool {
        matches!(self.access(name), Some(Access::Open(_) | Access::Partly(_)))
    }

    /// The answer to a call of this table.
    pub(super) fn decide(&self, number: Sysno, args: [u64; 6]) -> Decision {
        self.policy.decide(&Call {
            arch: self.table.arch.audit_arch(),
            number: number.0,
            ip: 0,
            args,
        })
    }

    /// The rule, when a decision was made by one of this table.
    pub(super) fn own(&self, decision: Decision) -> Option<usize> {
        let (table, rule) = decision.rule?;
        (table == self.at).then_some(rule)
    }

    /// Whether the table allows anything.
    pub(super) fn allows(&self) -> bool {
        let mut rules = self.table.rules.iter();
        self.table.default.permits() || rules.any(|r| r.action.permits())
    }

    /// Whether the table denies anything.
    pub(super) fn denies(&self) -> bool {
        let mut rules = self.table.rules.iter();
        !self.table.default.permits() || rules.any(|r| !r.action.permits())
    }

    /// Where a rule stands; the beginning of the text for none.
    pub(super) fn place(&self, rule: Option<usize>) -> Place {
        rule.and_then(|at| self.places.get(at))
            .copied()
            .unwrap_or_default()
    }

    /// The calls of a rule for people; the architecture is said unless it is the first table's.
    pub(super) fn shown(&self, rule: &Rule) -> String {
        format!("`{}`{}", self.table.call_name(rule.calls), self.of_arch())
    }

    /// ` of i386`, or nothing for the first table.
    pub(super) fn of_arch(&self) -> String {
        match self.at {
            0 => String::new(),
            _ => format!(" of {}", self.table.arch),
        }
    }

    /// A finding about a rule, or about the whole.
    pub(super) fn finding(
        &self,
        code: Code,
        rule: Option<usize>,
        message: String,
        advice: &str,
    ) -> Finding {
        Finding {
            place: self.place(rule),
            code,
            message,
            advice: advice.to_owned(),
        }
    }
}
