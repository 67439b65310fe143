//! Changes of a text that leave the rest of it as it is, comments and layout included.

use std::ops::Range;

use portcullis_abi::Arch;

use super::calls::known_in;
use super::document::{Section, Word, parse};
use super::layout::quoted;
use super::settings;
use crate::{Action, Mistake, Place};

/// Takes a rule out: with the comment lines right above it, and with what is behind it on its last
/// line. `place` is that of a rule of this text ([`crate::Filter::places`]); all the calls of its
/// section go with it.
pub fn remove_rule(text: &str, place: Place) -> Result<String, Mistake> {
    let found = find(text, place)?;
    Ok(splice(
        text,
        vec![(without_gap(text, with_comments(text, found)), String::new())],
    ))
}

/// Takes a call out of a rule that names it, and the rule with it when it names no other. `place` is as
/// for [`remove_rule`].
pub fn remove_call(text: &str, place: Place, call: &str) -> Result<String, Mistake> {
    let document = parse(text)?;
    let scopes = scopes(Section::top(&document, "a policy"))?;
    let mut rules = scopes.iter().flat_map(|s| &s.rules);
    let rule = rules.find(|r| r.header().start == place.start);
    let rule = rule.ok_or_else(|| Mistake::at(place, "no rule begins here"))?;
    match without_call(text, *rule, call)? {
        Some((change, _)) => Ok(splice(text, vec![change])),
        None => Err(Mistake::at(
            place,
            format!("the rule does not name `{call}`: a group or a range has it"),
        )),
    }
}

/// Puts another rule in the place of one; comments above it stay. `rule` is a `[[rule]]` section, as
/// [`super::write_rule`] makes it, also where the rule belongs to a filter.
pub fn replace_rule(text: &str, place: Place, rule: &str) -> Result<String, Mistake> {
    let found = find(text, place)?;
    let header = text[found.clone()].lines().next().unwrap_or_default();
    let name = match header.contains("filter") {
        true => "filter.rule",
        false => "rule",
    };
    let body = body(rule)?;
    Ok(splice(text, vec![(found, format!("[[{name}]]\n{body}"))]))
}

/// Adds a rule: before the one at `before`, or as the last of a filter (`None`: of the whole
/// process). `rule` is as for [`replace_rule`].
pub fn insert_rule(
    text: &str,
    filter: Option<&str>,
    before: Option<Place>,
    rule: &str,
) -> Result<String, Mistake> {
    let body = body(rule)?;
    let document = parse(text)?;
    let scopes = scopes(Section::top(&document, "a policy"))?;
    let scope = scopes.iter().find(|s| s.name == filter);
    let scope = scope.ok_or_else(|| {
        Mistake::whole(format!(
            "there is no filter `{}`",
            filter.unwrap_or_default()
        ))
    })?;
    if let Some(place) = before
        && !scope.rules.iter().any(|r| r.header().start == place.start)
    {
        return Err(Mistake::at(place, "no rule of this filter begins here"));
    }
    let change = scope.insert(text, before, &body);
    Ok(splice(text, vec![change]))
}

/// Takes a call out of what a file permits, in each of its filters: rules that permit this call
/// alone go, lists lose it, and a first rule answers it by `action`, whatever ranges, groups and
/// included files say.
pub fn deny(text: &str, call: &str, action: Action) -> Result<String, Mistake> {
    if action.permits() {
        return Err(Mistake::whole(format!("`{action}` denies nothing")));
    }
    let document = parse(text)?;
    let top = Section::top(&document, "a policy");
    let outer = settings::arches(&top.words("arch")?.unwrap_or_default())?;
    let mut changes = Vec::new();
    let mut everywhere: Vec<Arch> = Vec::new();
    for scope in scopes(top)? {
        let arches = match scope.section.words("arch")? {
            Some(words) => settings::arches(&words)?,
            None => outer.clone(),
        };
        let known = arches.iter().any(|a| a.number(call).is_some());
        everywhere.extend(arches);
        if !known {
            continue;
        }
        let mut first = None;
        for rule in &scope.rules {
            let permits = settings::action(*rule, "action")?.is_none_or(Action::permits);
            let change = match permits {
                true => without_call(text, *rule, call)?,
                false => None,
            };
            // The first one that stays is what the new rule stands before.
            let gone = change.as_ref().is_some_and(|(_, whole)| *whole);
            if first.is_none() && !gone {
                first = Some(rule.place());
            }
            changes.extend(change.map(|(change, _)| change));
        }
        let body = format!(
            "call = {}\naction = {}\nnote = \"denied on purpose\"",
            quoted(call),
            quoted(&action.to_string())
        );
        changes.push(scope.insert(text, first, &body));
    }
    if changes.is_empty() {
        return Err(Mistake::whole(known_in(call, &everywhere)));
    }
    let denied = splice(text, changes);
    parse(denied.as_str())?;
    Ok(denied)
}

/// Whose rules these are.
struct Scope<'a> {
    name: Option<&'a str>,
    section: Section<'a>,
    rules: Vec<Section<'a>>,
    /// Where the last of its sections that rules can follow ends.
    end: Option<usize>,
}

/// The filters of a document; that of the whole process when it has rules, or when it is the only one.
fn scopes<'a>(top: Section<'a>) -> Result<Vec<Scope<'a>>, Mistake> {
    let named = top.each("filter", "a filter")?;
    let mut scopes = Vec::new();
    let rules = top.each("rule", "a rule")?;
    if !rules.is_empty() || named.is_empty() || top.words("include")?.is_some() {
        scopes.push(Scope {
            name: None,
            section: top,
            end: rules.last().map(|r| r.place().end),
            rules,
        });
    }
    for section in named {
        let rules = section.each("rule", "a rule")?;
        let sections = section
            .each("phase", "a phase")?
            .into_iter()
            .chain(rules.clone());
        let end = sections.map(|s| s.place().end).max();
        let below = section.one("for", "`for`")?;
        let below = below.into_iter().flat_map(|f| {
            let one = |name| f.one(name, "a section").ok().flatten();
            f.keys()
                .filter_map(one)
                .map(|s| s.place().end)
                .collect::<Vec<_>>()
        });
        scopes.push(Scope {
            name: section.text("name")?.map(|(name, _)| name),
            section,
            end: below.chain(end).chain([section.place().end]).max(),
            rules,
        });
    }
    Ok(scopes)
}

type Change = (Range<usize>, String);

impl Scope<'_> {
    /// A rule with this body, before one of its rules or as the last.
    fn insert(&self, text: &str, before: Option<Place>, body: &str) -> Change {
        let header = match self.section.header() == Place::default() {
            true => "[[rule]]",
            false => "[[filter.rule]]",
        };
        match (before, self.end) {
            (Some(place), _) => {
                let at = with_comments(text, place.start..place.end).start;
                (at..at, format!("{header}\n{body}\n\n"))
            }
            (None, Some(end)) => {
                let at = line_end(text, end);
                (at..at, format!("\n\n{header}\n{body}"))
            }
            (None, None) => {
                let at = text.trim_end().len();
                (at..at, format!("\n\n{header}\n{body}"))
            }
        }
    }
}

/// What a rule is without a call, and whether nothing remains of it; `None` when it does not name it.
fn without_call(
    text: &str,
    rule: Section<'_>,
    call: &str,
) -> Result<Option<(Change, bool)>, Mistake> {
    let is = |word: &Word<'_>| word.literal == super::document::Literal::Text(call);
    let Place { start, end } = rule.place();
    let whole = || {
        let range = without_gap(text, with_comments(text, start..line_end(text, end)));
        Some(((range, String::new()), true))
    };
    if rule.word("call")?.is_some_and(|word| is(&word)) {
        return Ok(whole());
    }
    let all = rule.words("calls")?.unwrap_or_default();
    let Some(at) = all.iter().position(is) else {
        return Ok(None);
    };
    let own = all[at].place;
    let range = match (all.get(at + 1), at.checked_sub(1).map(|before| all[before])) {
        (Some(next), _) => own.start..next.place.start,
        (None, Some(before)) => before.place.end..own.end,
        (None, None) => return Ok(whole()),
    };
    Ok(Some(((range, String::new()), false)))
}

/// The section of a rule, to the end of its last line.
fn find(text: &str, place: Place) -> Result<Range<usize>, Mistake> {
    let document = parse(text)?;
    let scopes = scopes(Section::top(&document, "a policy"))?;
    let mut rules = scopes.iter().flat_map(|s| &s.rules);
    match rules.find(|r| r.header().start == place.start) {
        Some(rule) => Ok(place.start..line_end(text, rule.place().end)),
        None => Err(Mistake::at(place, "no rule begins here")),
    }
}

/// The keys of a `[[rule]]` section.
fn body(rule: &str) -> Result<String, Mistake> {
    let document = parse(rule)?;
    let top = Section::top(&document, "a rule to add");
    top.has_only(&["rule"])?;
    match top.each("rule", "a rule")?.as_slice() {
        [one] => Ok(rule[one.header().end..].trim().to_owned()),
        _ => Err(Mistake::whole("one [[rule]] is needed here")),
    }
}

/// Where the line that `at` is in ends, its newline not included.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n)
}

/// A section with the comment lines right above it.
fn with_comments(text: &str, section: Range<usize>) -> Range<usize> {
    let mut start = section.start;
    while let Some(above) = text[..start].strip_suffix('\n') {
        let line_start = above.rfind('\n').map_or(0, |n| n + 1);
        if !above[line_start..].trim_start().starts_with('#') {
            break;
        }
        start = line_start;
    }
    start..section.end
}

/// A section with its last newline, and with the empty line that set it apart.
fn without_gap(text: &str, section: Range<usize>) -> Range<usize> {
    let end = (section.end + 1).min(text.len());
    match text[..section.start].ends_with("\n\n") {
        true => section.start - 1..end,
        false => section.start..end,
    }
}

fn splice(text: &str, mut changes: Vec<Change>) -> String {
    changes.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, new) in changes {
        // Neighbours that both go share the empty line between them.
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&new);
        at = at.max(range.end);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
