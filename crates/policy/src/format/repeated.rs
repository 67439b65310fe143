//! Rules that say again, or otherwise, what another has said of the same calls.

use std::collections::{HashMap, HashSet};

use crate::{Condition, Filter, LineColumn, Mistake, Place, Rule, Span, Table};

/// The first rule of a native policy that names a call as an earlier one does, with the same
/// conditions: it can decide nothing, and one of the two is not meant.
///
/// Calls that a group, a range or an included file brings are no mistake: a rule before them is how an
/// exception is written.
pub(super) fn check(text: &str, filter: &Filter) -> Result<(), Mistake> {
    for (table, places) in filter.policy.tables.iter().zip(&filter.places) {
        let mut seen: HashMap<(Span, &[Condition]), usize> = HashMap::new();
        for (index, rule) in table.rules.iter().enumerate() {
            let key = (rule.calls, rule.conditions.as_slice());
            let Some(&before) = seen.get(&key) else {
                seen.insert(key, index);
                continue;
            };
            let place = |index: usize| places.get(index).copied().unwrap_or_default();
            let (own, first) = (place(index), place(before));
            if !names(text, own, table, rule.calls) || !names(text, first, table, rule.calls) {
                continue;
            }
            let line = LineColumn::of(text, first.start).line;
            let call = table.call_name(rule.calls);
            let said = table.rules[before].action;
            let message = match said == rule.action {
                true => format!("this repeats the rule for `{call}` at line {line}; remove one"),
                false => format!(
                    "this contradicts the rule for `{call}` at line {line}, which answers {said}; \
                     remove one"
                ),
            };
            return Err(Mistake::at(own, message));
        }
    }
    Ok(())
}

/// Whether a section names the calls itself.
fn names(text: &str, place: Place, table: &Table, calls: Span) -> bool {
    let section = text.get(place.start..place.end).unwrap_or_default();
    let name = table.call_name(calls);
    [format!("\"{name}\""), format!("'{name}'")]
        .iter()
        .any(|quoted| section.contains(quoted.as_str()))
}

/// Takes out what can decide nothing because an earlier rule has said it, so that what is written in
/// the native form can be read.
pub fn without_repeated(filter: &mut Filter) {
    for table in &mut filter.policy.tables {
        let mut seen = HashSet::new();
        let mut first = |rule: &Rule| seen.insert((rule.calls, rule.conditions.clone()));
        table.rules.retain(|rule| first(rule));
    }
    // Places are those of a text that is not written again.
    filter.places.clear();
}
