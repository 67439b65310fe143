//! Rules that nothing needs.

use std::collections::BTreeSet;

use portcullis_abi::{ArgValue, Mode, Sysno};

use super::evaluate::{Decider, Rules, TooMany, everything, pieces, rank, strictest};
use super::subject::Made;
use super::{Audited, Code, Edit, Finding, Subject, grants, named, phrase};
use crate::{Provenance, Rule, Span};

/// Values that are said to be passed instead.
const MOST_VALUES: usize = 16;
/// Calls of one rule that are looked at one by one; a rule of more is one about numbers as such.
const MOST_NUMBERS: usize = 1024;

impl Audited<'_> {
    /// The rules of a filter that nothing needs. One that is found counts as gone for the others: all of
    /// them can be removed together.
    pub(super) fn redundant(&self, filter: usize) -> Vec<Finding> {
        let Some(table) = self.table(filter) else {
            return Vec::new();
        };
        let rules = &self.filters[filter].policy.tables[table].rules;
        let open = self.open(filter);
        let mut removed = Vec::new();
        let mut found = Vec::new();
        // From the last on: what an earlier rule decides a later one may only repeat.
        for (place, rule) in rules.iter().enumerate().rev() {
            let launch = rule.provenance.contains(&Provenance::Launch);
            if launch || !grants(rule) || !self.grants_more(filter, table, place, &removed) {
                continue;
            }
            match self.is_needed(filter, place, rule, &removed) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(TooMany) => continue,
            }
            removed.push(place);
            let why = self.unreached(filter, rule);
            let (residuals, names) = named(&open);
            let text = phrase::rule(&self.filters[filter].policy.tables[table], rule);
            found.push(Finding {
                code: match open.is_empty() {
                    true => Code::Redundant,
                    false => Code::PerhapsNeeded,
                },
                filter: Some(filter),
                threads: self.names_under(filter),
                rule: Some(self.rule_at(filter, (table, place))),
                number: rule.calls.single(),
                call: self.filters[filter].policy.tables[table].call_name(rule.calls),
                args: Vec::new(),
                confidence: None,
                witness: Vec::new(),
                residuals,
                message: match open.is_empty() {
                    true => format!("the rule `{text}` is redundant: {why}"),
                    false => format!(
                        "nothing that is known needs the rule `{text}`: {why}; left open: {names}"
                    ),
                },
                // What may be needed stays.
                suggestion: open.is_empty().then_some(Edit::Remove {
                    rule: (table, place),
                }),
            });
        }
        found
    }

    /// Whether a rule lets through what would be answered more strictly without it.
    pub(super) fn grants_more(
        &self,
        filter: usize,
        table: usize,
        place: usize,
        removed: &[usize],
    ) -> bool {
        let policy = &self.filters[filter].policy;
        let rule = &policy.tables[table].rules[place];
        let without: Vec<usize> = removed.iter().copied().chain([place]).collect();
        let all = policy.segments(self.arch.audit_arch());
        let own = all.iter().filter(|s| {
            let span = Span {
                first: Sysno(s.first),
                last: Sysno(s.last),
            };
            span.first <= rule.calls.last && rule.calls.first <= span.last
        });
        for segment in own.take(MOST_NUMBERS) {
            let rules = Rules::of(policy, self.arch, Sysno(segment.first));
            let Ok(decided) = rules.answers(&[everything()], removed) else {
                return true;
            };
            let own = decided
                .iter()
                .filter(|(_, answer)| answer.by == Decider::Rule(table, place));
            let own: Vec<_> = own.map(|(area, _)| area.clone()).collect();
            match rules.answers(&own, &without) {
                Err(TooMany) => return true,
                Ok(others) => {
                    if others
                        .iter()
                        .any(|(_, answer)| rank(answer.action) < rank(rule.action))
                    {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Whether some call that is made under the filter would be answered otherwise without a rule.
    fn is_needed(
        &self,
        filter: usize,
        place: usize,
        rule: &Rule,
        removed: &[usize],
    ) -> Result<bool, TooMany> {
        let without: Vec<usize> = removed.iter().copied().chain([place]).collect();
        for subject in self.subjects.iter().filter(|s| s.is_under(filter)) {
            let own = subject.calls().iter();
            for made in own.filter(|m| rule.calls.contains(m.call.number.0)) {
                if self.changes(subject, made, filter, removed, &without)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether the answers to the calls of a place are others with some rules of a filter removed than
    /// with others.
    fn changes(
        &self,
        subject: &Subject<'_>,
        made: &Made<'_>,
        filter: usize,
        before: &[usize],
        after: &[usize],
    ) -> Result<bool, TooMany> {
        let number = made.call.number;
        // Filters that need not be there deny nothing for sure.
        let stack = || {
            let all = subject.filters.iter();
            all.filter(|a| a.certain || a.filter == filter)
                .map(|a| a.filter)
        };
        let (area, _) = made.area(subject.set, &self.asked(stack(), number));
        let under = |own: &[usize], areas: &[_]| {
            let rules = stack().filter_map(|f| {
                let removed = if f == filter { own } else { &[] };
                Some((self.rules.get(&(f, number))?, removed))
            });
            pieces(areas, rules)
        };
        for piece in under(before, &[area])? {
            let answer = strictest(&piece.answers).map(|a| a.1.action);
            for part in under(after, &[piece.area])? {
                if strictest(&part.answers).map(|a| a.1.action) != answer {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Why nothing reaches a rule.
    fn unreached(&self, filter: usize, rule: &Rule) -> String {
        let under = || self.subjects.iter().filter(|s| s.is_under(filter));
        let own = |s: &&Subject<'_>| {
            let mut calls = s.calls().iter();
            calls.any(|m| rule.calls.contains(m.call.number.0))
        };
        if under().any(|s| own(&s)) {
            let asked: BTreeSet<u8> = rule.conditions.iter().map(|c| c.index).collect();
            let mut said = Vec::new();
            for index in asked {
                let calls = under().flat_map(|s| s.calls());
                let calls = calls.filter(|m| rule.calls.contains(m.call.number.0));
                let mut values = BTreeSet::new();
                let constant = calls.fold(true, |all, made| match made.argument(index) {
                    Some(ArgValue::Values(own)) => {
                        values.extend(own.iter().copied());
                        all
                    }
                    _ => false,
                });
                if constant && values.len() <= MOST_VALUES {
                    let values = ArgValue::Values(values.into_iter().collect());
                    said.push(format!("arg{index} = {}", phrase::value(&values)));
                }
            }
            return match said.is_empty() {
                true => "no place that makes the call passes what it asks for, or another rule or \
                         filter answers"
                    .into(),
                false => format!("the places that make the call pass {}", said.join(", ")),
            };
        }
        let mut elsewhere = BTreeSet::new();
        for subject in under() {
            let sound = subject.set.sets.iter().filter(|s| s.mode == Mode::Sound);
            let own = sound.filter(|s| s.numbers.iter().any(|n| rule.calls.contains(n.0)));
            elsewhere.extend(own.map(|s| format!("{}/{}", s.thread, s.phase)));
        }
        match elsewhere.is_empty() {
            true => "no place makes the call".into(),
            false => {
                let all: Vec<String> = elsewhere.into_iter().take(MOST_VALUES).collect();
                format!("only others make the call: {}", all.join(", "))
            }
        }
    }
}
