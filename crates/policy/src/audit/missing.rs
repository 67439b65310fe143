//! Calls that are made and denied.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{ArgValue, Confidence, Origin, Sysno};

use super::evaluate::{Answer, Area, Decider, Piece, TooMany, asked, looks, pieces, strictest};
use super::subject::Made;
use super::{Audited, Code, Edit, Finding, Step, Subject, denies, phrase, telling};
use crate::{Action, Class, Condition, Op, Rule, Width};

/// Findings of one call under one filter that are told apart by arguments.
const MOST_APART: usize = 32;

/// What findings are told apart by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    filter: usize,
    number: Sysno,
    code: Code,
    by: Decider,
    args: Vec<(u8, ArgValue)>,
}

/// What is known of one.
struct Case {
    threads: BTreeSet<String>,
    action: Action,
    confidence: Confidence,
    way: Vec<Step>,
    why: &'static str,
}

impl Audited<'_> {
    /// The pieces of what is called at a place; whether its arguments are known one by one. `also`
    /// are arguments that are told apart besides those that rules ask for.
    pub(super) fn pieces(
        &self,
        subject: &Subject<'_>,
        made: &Made<'_>,
        also: impl Iterator<Item = (u8, Width)>,
    ) -> Result<(Vec<Piece>, bool), TooMany> {
        let number = made.call.number;
        let stack = || subject.filters.iter().map(|a| a.filter);
        let asked = asked(self.asked(stack(), number), also);
        let (area, known) = made.area(subject.set, &asked);
        let rules = stack().filter_map(|f| Some((self.rules.get(&(f, number))?, &[][..])));
        Ok((pieces(&[area], rules)?, known))
    }

    /// Findings, and what is denied on purpose.
    pub(super) fn missing(&self) -> (Vec<Finding>, Vec<Finding>) {
        let mut cases: BTreeMap<Key, Case> = BTreeMap::new();
        let mut apart: BTreeMap<(usize, Sysno, Code), usize> = BTreeMap::new();
        for subject in self.subjects.iter().filter(|s| !s.filters.is_empty()) {
            for made in subject.calls() {
                for (mut key, action, why) in self.denied(subject, made) {
                    let same = (key.filter, key.number, key.code);
                    if !cases.contains_key(&key) {
                        let told = apart.entry(same).or_default();
                        if *told >= MOST_APART {
                            key.args.clear();
                        } else {
                            *told += 1;
                        }
                    }
                    let confidence = made.confidence();
                    let case = cases.entry(key).or_insert_with(|| Case {
                        threads: BTreeSet::new(),
                        action,
                        confidence,
                        way: subject.steps(&made.way()),
                        why,
                    });
                    case.threads.insert(subject.name().to_owned());
                    // The surest way is shown, and of these the shortest.
                    let way = made.way();
                    if (confidence, way.len()) < (case.confidence, case.way.len()) {
                        case.confidence = confidence;
                        case.way = subject.steps(&way);
                    }
                }
            }
        }
        let findings = cases.into_iter().map(|(key, case)| self.denial(key, case));
        findings.partition(|f| f.code != Code::OnPurpose)
    }

    /// What of the calls of a place is denied: by whom, the answer, and why nothing more is sure.
    fn denied(&self, subject: &Subject<'_>, made: &Made<'_>) -> Vec<(Key, Action, &'static str)> {
        let number = made.call.number;
        let key = |answer: (usize, Answer), code, args| Key {
            filter: subject.filters[answer.0].filter,
            number,
            code,
            by: answer.1.by,
            args,
        };
        let asked = self.asked(subject.filters.iter().map(|a| a.filter), number);
        // What no rule asks for changes no answer: it need not be known.
        let told = telling::telling(self.arch, number);
        let known = made.area(subject.set, &asked).1;
        let Ok((pieces, _)) = self.pieces(subject, made, told) else {
            let first = Answer {
                by: Decider::Class(Class::Known),
                action: Action::KillProcess,
            };
            let key = key((0, first), Code::TooManyCases, Vec::new());
            return vec![(key, first.action, "")];
        };
        let falls = |answer: &Answer| match answer.by {
            Decider::Rule(..) | Decider::Class(Class::Newer) => {
                !matches!(answer.action, Action::Errno(_))
            }
            Decider::Class(_) => true,
        };
        let mut found = Vec::new();
        let mut certain = true;
        let mut all_fall = true;
        for piece in &pieces {
            let Some(answer) = strictest(&piece.answers) else {
                continue;
            };
            if !denies(answer.1.action) {
                all_fall = false;
                continue;
            }
            let args = self.arguments(subject, made, &piece.area);
            if !falls(&answer.1) {
                all_fall = false;
                found.push((key(answer, Code::OnPurpose, args), answer.1.action, ""));
                continue;
            }
            let surely = |&(at, _): &(usize, &Answer)| subject.filters[at].certain;
            let mut by = piece.answers.iter().enumerate().filter(surely);
            certain &= by.any(|(_, a)| denies(a.action) && falls(a));
            let code = match (made.origin(), self.arch.name(number)) {
                (_, Some("rt_sigreturn" | "restart_syscall")) => Code::MissingKernel,
                (Origin::Kernel, _) => Code::MissingKernel,
                (Origin::Vdso, _) => Code::MissingVdso,
                _ => Code::Missing,
            };
            found.push((key(answer, code, args), answer.1.action, ""));
        }
        let open = match (known || all_fall, certain) {
            (true, true) => return found,
            (false, _) => {
                let low = asked.map(|width| width.map(|_| Width::W32));
                match made.area(subject.set, &low).1 {
                    true => "what is in the upper half of an argument is not known",
                    false => "the arguments are not known",
                }
            }
            (true, false) => "it is not known whether the filter is there then",
        };
        for (key, _, why) in &mut found {
            if key.code != Code::OnPurpose {
                key.code = Code::PerhapsMissing;
                *why = open;
            }
        }
        found
    }

    /// What of the arguments says what the call does, or is asked for by a rule.
    fn arguments(
        &self,
        subject: &Subject<'_>,
        made: &Made<'_>,
        area: &Area,
    ) -> Vec<(u8, ArgValue)> {
        let number = made.call.number;
        let asked = self.asked(subject.filters.iter().map(|a| a.filter), number);
        let mut args = Vec::new();
        for (index, words) in (0..6u8).zip(area) {
            let told = telling::width(self.arch, number, index);
            if told.is_none() && asked[usize::from(index)].is_none() {
                continue;
            }
            let width = told.unwrap_or(Width::W64);
            let values = words.values(width).filter(|all| all.len() <= MOST_APART);
            let value = values.map(|all| ArgValue::Values(all.into_iter().collect()));
            let value = value.or_else(|| made.argument(index).cloned());
            args.extend(value.map(|v| (index, v)));
        }
        args
    }

    fn denial(&self, key: Key, case: Case) -> Finding {
        let call = phrase::call(self.arch, key.number);
        let shown = match key.args.is_empty() {
            true => call.clone(),
            false => format!("{call} with {}", phrase::arguments(&key.args)),
        };
        let rule = match key.by {
            Decider::Rule(table, rule) => Some((table, rule)),
            Decider::Class(_) => None,
        };
        let answer = phrase::action(case.action);
        let by = match key.by {
            Decider::Rule(..) => format!("a rule answers it: {answer}"),
            Decider::Class(Class::Known) => format!("no rule has it, the default is: {answer}"),
            Decider::Class(Class::Newer) => {
                format!("it is newer than the policy, the answer is: {answer}")
            }
            Decider::Class(Class::Foreign) => {
                format!("the policy does not know the architecture, the answer is: {answer}")
            }
        };
        let message = match key.code {
            Code::OnPurpose => format!("{shown} is denied on purpose: {by}"),
            Code::PerhapsMissing => format!("{shown} may be denied, {}: {by}", case.why),
            Code::TooManyCases => {
                format!("{call} has more cases under its rules than are looked at")
            }
            Code::MissingKernel => format!("{shown} is missing, which the kernel can make: {by}"),
            Code::MissingVdso => format!("{shown} is missing, which the vDSO falls back on: {by}"),
            _ => format!("{shown} is missing: {by}"),
        };
        let repairs = matches!(
            key.code,
            Code::Missing | Code::MissingKernel | Code::MissingVdso
        );
        Finding {
            code: key.code,
            filter: Some(key.filter),
            threads: case.threads.into_iter().collect(),
            rule: rule.map(|rule| self.rule_at(key.filter, rule)),
            number: Some(key.number),
            call,
            confidence: Some(case.confidence),
            witness: case.way,
            residuals: Vec::new(),
            message,
            suggestion: repairs.then(|| self.allowing(&key, rule)).flatten(),
            args: key.args,
        }
    }

    /// The rule that would allow it, before the one that denies it.
    fn allowing(&self, key: &Key, denied_by: Option<(usize, usize)>) -> Option<Edit> {
        let table = self.table(key.filter)?;
        let own = &self.filters[key.filter].policy.tables[table].rules;
        let mut conditions = Vec::new();
        for (index, value) in &key.args {
            let ArgValue::Values(values) = value else {
                continue;
            };
            let same = own.iter().filter(|r| r.calls.contains(key.number.0));
            let mut same = same.flat_map(|r| &r.conditions);
            let asked = same.find(|c| c.index == *index).map(looks);
            let told = telling::width(self.arch, key.number, *index);
            conditions.push(Condition {
                index: *index,
                // What the kernel does not look at can be anything.
                width: told.or(asked).unwrap_or(Width::W64),
                op: match values[..] {
                    [value] => Op::Equal(value),
                    _ => Op::In(values.iter().map(|v| (*v, *v)).collect()),
                },
            });
        }
        let allowing = Rule {
            calls: key.number.into(),
            conditions,
            action: Action::Allow,
            provenance: Vec::new(),
        };
        // One that says the opposite of just these calls would be a contradiction beside it.
        let opposite = |at: &(usize, usize)| {
            let rule = own.get(at.1).filter(|_| at.0 == table);
            rule.is_some_and(|r| (r.calls, &r.conditions) == (allowing.calls, &allowing.conditions))
        };
        Some(match denied_by.filter(opposite) {
            Some(rule) => Edit::Replace {
                rule,
                by: vec![allowing],
            },
            None => Edit::Insert {
                before: denied_by.unwrap_or((table, own.len())),
                rules: vec![allowing],
            },
        })
    }
}
