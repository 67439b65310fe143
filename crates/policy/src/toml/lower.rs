//! From the rules as they are written, for several architectures, to those of the model.

use std::collections::BTreeSet;

use portcullis_abi::{Arch, Sysno};

use super::automatic::Placed;
use super::calls::{Calls, Groups};
use super::document::{Section, Word};
use super::entry::{Entry, entry};
use super::equivalent::equivalent;
use super::facts;
use super::include::Included;
use crate::{Condition, Mistake, Op, Place, Remark, Rule, Span};

/// Rules, ranges and calls that a file can still stand for, all its filters together: a short text
/// must not become a large policy.
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { left: 1 << 18 }
    }

    /// Takes some of it, for what `word` stands for.
    pub(super) fn spend(&mut self, units: usize, word: Word<'_>) -> Result<(), Mistake> {
        match self.left.checked_sub(units) {
            Some(left) => self.left = left,
            None => return Err(word.mistake("the policy has too many rules and conditions")),
        }
        Ok(())
    }
}

/// The rules of one filter, as they come together.
pub(super) struct Lowering<'a> {
    arches: &'a [Arch],
    /// By architecture, in the order of `arches`: the rules, and where each stands.
    pub(super) tables: Vec<Placed>,
    /// What a reader should know.
    pub(super) remarks: Vec<Remark>,
    /// For rules of an included file: where it is included, and its name.
    within: Option<(Place, String)>,
    budget: &'a mut Budget,
}

/// What an architecture made of the names that it lacks.
#[derive(Default)]
struct Lacking {
    instead: Vec<String>,
    left_out: Vec<String>,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(arches: &'a [Arch], budget: &'a mut Budget) -> Lowering<'a> {
        Lowering {
            arches,
            tables: arches.iter().map(|_| Default::default()).collect(),
            remarks: Vec::new(),
            within: None,
            budget,
        }
    }

    /// The rules of a section, then those of what it includes: its own come first, and win.
    pub(super) fn section(
        &mut self,
        section: Section<'_>,
        includes: &[Included],
        groups: &Groups,
    ) -> Result<(), Mistake> {
        for rule in section.each("rule", "a rule")? {
            let entry = entry(rule, self.arches, groups)?;
            self.rule(&entry)?;
        }
        for file in includes {
            let outermost = self.within.clone();
            let place = outermost.as_ref().map_or(file.place, |(place, _)| *place);
            self.within = Some((place, file.name.clone()));
            let mut read = || {
                file.top().has_only(&super::read::KEYS_OF_INCLUDED)?;
                super::read::schema(file.top(), false)?;
                let groups = Groups::read(file.top(), &file.includes, self.arches)?;
                self.section(file.top(), &file.includes, &groups)
            };
            read().map_err(|mistake| file.mistake(mistake))?;
            self.within = outermost;
        }
        Ok(())
    }

    fn rule(&mut self, entry: &Entry<'_>) -> Result<(), Mistake> {
        for (at, arch) in self.arches.iter().enumerate() {
            if !entry.arches.contains(arch) {
                continue;
            }
            let mut done = BTreeSet::new();
            let mut lacking = Lacking::default();
            for (calls, word) in &entry.calls {
                self.budget.spend(1, *word)?;
                for (span, conditions) in self.calls(*arch, calls, *word, entry, &mut lacking)? {
                    // A name and a group that has it are one call.
                    if !done.insert((span, conditions.clone())) {
                        continue;
                    }
                    self.budget.spend(1 + weight(&conditions), *word)?;
                    let place = self
                        .within
                        .as_ref()
                        .map_or(entry.place, |(place, _)| *place);
                    let (rules, places) = &mut self.tables[at];
                    rules.push(Rule {
                        calls: span,
                        conditions,
                        action: entry.action,
                        provenance: entry.reasons.clone(),
                    });
                    places.push(place);
                }
            }
            self.remark(*arch, entry, &lacking);
        }
        Ok(())
    }

    /// What a word stands for on one architecture, with the rule's conditions on each call.
    fn calls(
        &self,
        arch: Arch,
        calls: &Calls,
        word: Word<'_>,
        entry: &Entry<'_>,
        lacking: &mut Lacking,
    ) -> Result<Vec<(Span, Vec<Condition>)>, Mistake> {
        match calls {
            Calls::Numbers(span) => Ok(vec![(*span, entry.own_conditions(arch, *span)?)]),
            Calls::Group(name) => {
                let members = facts::group(arch, name).unwrap_or_default();
                if members.is_empty() {
                    lacking.left_out.push(name.clone());
                }
                let members = members.into_iter().map(|number| {
                    let span = number.into();
                    Ok((span, entry.own_conditions(arch, span)?))
                });
                members.collect()
            }
            Calls::Name(name) => {
                if let Some(number) = arch.number(name) {
                    let span = number.into();
                    return Ok(vec![(span, entry.own_conditions(arch, span)?)]);
                }
                let other = self.arches.iter();
                let mut other = other.filter_map(|a| Some((*a, a.number(name)?.into())));
                // `known` of calls.rs has made sure of one.
                let Some(meant) = other.next() else {
                    return Err(word.mistake(format!("`{name}` is no call")));
                };
                let Some((number, instead)) = equivalent(arch, name) else {
                    lacking.left_out.push(name.clone());
                    return Ok(Vec::new());
                };
                let there = (arch, number.into());
                let moved = entry.conditions(there, meant, |index| instead.place(index))?;
                let Some(moved) = moved else {
                    let other = instead.instead;
                    let form = "takes the compared argument in another form";
                    // Without a rule that allows, the policy is narrower there; without one that
                    // denies it would be wider.
                    if !entry.action.permits() {
                        return Err(word.mistake(format!(
                            "{arch} has `{other}` for `{name}`, which {form}; write a rule for \
                             it with `arch`"
                        )));
                    }
                    lacking.left_out.push(format!("{name} ({other} {form})"));
                    return Ok(Vec::new());
                };
                lacking
                    .instead
                    .push(format!("{name} as {}", instead.instead));
                // The rule can answer the whole of the other call already.
                if entry.when.is_empty() && entry.names(instead.instead) {
                    return Ok(Vec::new());
                }
                let mut conditions = instead.fixed(arch, number);
                conditions.extend(moved);
                Ok(vec![(number.into(), conditions)])
            }
        }
    }

    fn remark(&mut self, arch: Arch, entry: &Entry<'_>, lacking: &Lacking) {
        let mut message = Vec::new();
        if !lacking.instead.is_empty() {
            message.push(format!(
                "{arch} lacks calls that are made there otherwise: {}",
                lacking.instead.join(", ")
            ));
        }
        if !lacking.left_out.is_empty() {
            message.push(format!(
                "{arch} has nothing for: {}",
                lacking.left_out.join(", ")
            ));
        }
        if message.is_empty() {
            return;
        }
        let message = message.join("; ");
        self.remarks.push(match &self.within {
            None => Remark {
                place: entry.place,
                message,
            },
            Some((place, name)) => Remark {
                place: *place,
                message: format!("{name}: {message}"),
            },
        });
    }
}

fn weight(conditions: &[Condition]) -> usize {
    let of = |c: &Condition| match &c.op {
        Op::In(all) | Op::NotIn(all) => 1 + all.len(),
        _ => 1,
    };
    conditions.iter().map(of).sum()
}

/// The numbers that a word of a phase stands for.
pub(super) fn numbers(
    word: Word<'_>,
    arch: Option<Arch>,
    groups: &Groups,
) -> Result<Vec<Sysno>, Mistake> {
    let arches: Vec<Arch> = arch.into_iter().collect();
    let mut numbers = Vec::new();
    for calls in groups.calls(word, &arches)? {
        match calls {
            Calls::Numbers(span) => match span.single() {
                Some(number) => numbers.push(number),
                None => return Err(word.mistake("a phase has calls, no ranges of numbers")),
            },
            Calls::Name(name) => numbers.extend(arch.and_then(|a| a.number(&name))),
            Calls::Group(name) => {
                numbers.extend(
                    arch.and_then(|a| facts::group(a, &name))
                        .unwrap_or_default(),
                );
            }
        }
    }
    Ok(numbers)
}
