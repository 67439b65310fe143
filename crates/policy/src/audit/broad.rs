//! Rules that allow more than what needs them.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{ArgValue, Sysno};

use super::cube::{Words, halves};
use super::evaluate::{Area, Decider, Rules, TooMany, everything, looks, rank};
use super::{Audited, Code, Edit, Finding, grants, named, phrase, telling};
use crate::{Condition, Op, Provenance, Rule, Width};

/// Combinations of values that become rules of their own.
const MOST_RULES: usize = 16;
/// Values of one argument that a rule is proposed for.
const MOST_VALUES: usize = 64;

/// The values of an argument.
type Values = BTreeSet<u64>;

impl Audited<'_> {
    /// The rules of a filter that are wider than the constants that need them; those that nothing needs
    /// are left out.
    pub(super) fn broad(&self, filter: usize, redundant: &[Finding]) -> Vec<Finding> {
        let Some(table) = self.table(filter) else {
            return Vec::new();
        };
        let open = self.open(filter);
        let rules = &self.filters[filter].policy.tables[table].rules;
        let mut found = Vec::new();
        for (place, rule) in rules.iter().enumerate() {
            let known = redundant.iter().filter_map(|f| f.rule.as_ref());
            let launch = rule.provenance.contains(&Provenance::Launch);
            let Some(number) = rule.calls.single() else {
                continue;
            };
            if launch || !grants(rule) || known.clone().any(|r| r.rule == place) {
                continue;
            }
            let Some(uses) = self.uses(filter, table, place, number) else {
                continue;
            };
            let wider = self.wider(filter, (table, place), number, &uses);
            if wider.is_empty() {
                continue;
            }
            let by = tight(rule, &wider, &uses);
            let args: Vec<(u8, ArgValue)> = wider
                .iter()
                .map(|(index, (_, values))| {
                    let values = values.iter().copied().collect();
                    (*index, ArgValue::Values(values))
                })
                .collect();
            let (residuals, names) = named(&open);
            let text = phrase::rule(&self.filters[filter].policy.tables[table], rule);
            let passed = phrase::arguments(&args);
            found.push(Finding {
                code: match open.is_empty() {
                    true => Code::TooBroad,
                    false => Code::PerhapsNeeded,
                },
                filter: Some(filter),
                threads: self.names_under(filter),
                rule: Some(self.rule_at(filter, (table, place))),
                number: Some(number),
                call: phrase::call(self.arch, number),
                args,
                confidence: None,
                witness: self.example(filter, number),
                residuals,
                message: match open.is_empty() {
                    true => format!("the rule `{text}` is too broad: all that needs it passes {passed}"),
                    false => format!(
                        "all that is known to need the rule `{text}` passes {passed}; left open: {names}"
                    ),
                },
                suggestion: open.is_empty().then_some(Edit::Replace {
                    rule: (table, place),
                    by,
                }),
            });
        }
        found
    }

    /// The calls that a rule decides, as areas; `None` when there are too many, or none.
    fn uses(&self, filter: usize, table: usize, place: usize, number: Sysno) -> Option<Vec<Area>> {
        let told = || telling::telling(self.arch, number);
        let mut uses: Vec<Area> = Vec::new();
        for subject in self.subjects.iter().filter(|s| s.is_under(filter)) {
            let at = subject.filters.iter().position(|a| a.filter == filter)?;
            for made in subject.calls_of(number) {
                let (pieces, _) = self.pieces(subject, made, told()).ok()?;
                let own = pieces.iter().filter(|piece| {
                    let answer = piece.answers.get(at).map(|a| a.by);
                    answer == Some(Decider::Rule(table, place))
                });
                for piece in own {
                    if !uses.contains(&piece.area) {
                        uses.push(piece.area.clone());
                    }
                }
            }
        }
        (!uses.is_empty()).then_some(uses)
    }

    /// The arguments of which all uses pass constants and the rule allows more: how wide they are looked
    /// at, and their values.
    fn wider(
        &self,
        filter: usize,
        (table, place): (usize, usize),
        number: Sysno,
        uses: &[Area],
    ) -> BTreeMap<u8, (Width, Values)> {
        let policy = &self.filters[filter].policy;
        let rule = &policy.tables[table].rules[place];
        let mut wider = BTreeMap::new();
        for index in 0..6u8 {
            let own = rule.conditions.iter().filter(|c| c.index == index);
            let asked = own.map(looks).max();
            let Some(width) = asked.or(telling::width(self.arch, number, index)) else {
                continue;
            };
            let own = uses
                .iter()
                .map(|area| area[usize::from(index)].values(width));
            let Some(values) = own.collect::<Option<Vec<Values>>>() else {
                continue;
            };
            let values: Values = values.into_iter().flatten().collect();
            let rules = Rules::of(policy, self.arch, number);
            let tight = one_of(index, width, &values);
            if values.len() <= MOST_VALUES
                && lets_more(&rules, (table, place), rule, &tight) == Ok(true)
            {
                wider.insert(index, (width, values));
            }
        }
        wider
    }

    /// A way to a call under a filter.
    fn example(&self, filter: usize, number: Sysno) -> Vec<super::Step> {
        let own = self.subjects.iter().filter(|s| s.is_under(filter));
        let mut ways = own.flat_map(|s| s.calls_of(number).map(move |m| s.steps(&m.way())));
        ways.next().unwrap_or_default()
    }
}

/// Whether a rule lets through what it would not with a further condition.
fn lets_more(
    rules: &Rules,
    (table, place): (usize, usize),
    rule: &Rule,
    tight: &Condition,
) -> Result<bool, ()> {
    let (_, fails) = halves(tight);
    let index = usize::from(tight.index);
    let mut every = everything();
    every[index] = Words::of(fails);
    let decided = rules.answers(&[every], &[]).map_err(|TooMany| ())?;
    let own = decided
        .iter()
        .filter(|(_, answer)| answer.by == Decider::Rule(table, place));
    let own: Vec<Area> = own.map(|(area, _)| area.clone()).collect();
    let others = rules.answers(&own, &[place]).map_err(|TooMany| ())?;
    let mut others = others.iter();
    Ok(others.any(|(_, answer)| rank(answer.action) < rank(rule.action)))
}

fn one_of(index: u8, width: Width, values: &Values) -> Condition {
    let mut all = values.iter();
    Condition {
        index,
        width,
        op: match (all.next(), all.next()) {
            (Some(one), None) => Op::Equal(*one),
            _ => Op::In(values.iter().map(|v| (*v, *v)).collect()),
        },
    }
}

/// The rules that allow what is needed of one: a rule for each combination of values, so that any
/// format can say them; when there are too many, one rule.
fn tight(rule: &Rule, wider: &BTreeMap<u8, (Width, Values)>, uses: &[Area]) -> Vec<Rule> {
    let kept: Vec<Condition> = {
        let own = rule.conditions.iter();
        own.filter(|c| !wider.contains_key(&c.index))
            .cloned()
            .collect()
    };
    let with = |conditions: Vec<Condition>| {
        let mut conditions: Vec<Condition> = kept.iter().cloned().chain(conditions).collect();
        conditions.sort_by_key(|c| c.index);
        Rule {
            conditions,
            ..rule.clone()
        }
    };
    let mut combinations: BTreeSet<Vec<u64>> = BTreeSet::new();
    for area in uses {
        let mut own: Vec<Vec<u64>> = vec![Vec::new()];
        for (index, (width, _)) in wider {
            let values = area[usize::from(*index)].values(*width).unwrap_or_default();
            let longer = own.iter().flat_map(|start| {
                let with = |value: &u64| start.iter().copied().chain([*value]).collect();
                values.iter().map(with)
            });
            // One more than are made into rules is as good as many more.
            own = longer.take(MOST_RULES + 1).collect();
        }
        combinations.extend(own);
    }
    if combinations.len() > MOST_RULES {
        let each = wider.iter();
        return vec![with(
            each.map(|(index, (width, values))| one_of(*index, *width, values))
                .collect(),
        )];
    }
    let rules = combinations.into_iter().map(|values| {
        let own = wider.iter().zip(values);
        let own = own.map(|((index, (width, _)), value)| Condition {
            index: *index,
            width: *width,
            op: Op::Equal(value),
        });
        with(own.collect())
    });
    rules.collect()
}
