//! A `[[rule]]` as it is written.

use std::collections::BTreeSet;

use portcullis_abi::Arch;

use super::calls::{Calls, Groups};
use super::document::{Literal, Section, Word};
use super::grammar::{Written, parse};
use super::phrase::parse_reason;
use super::settings::{action, arches};
use super::truth::exclude;
use crate::{Action, Condition, Mistake, Place, Provenance, Span, Width};

const KEYS: [&str; 8] = [
    "call", "calls", "arch", "width", "when", "action", "from", "note",
];
/// Conditions of one rule. There are six arguments.
const MOST_CONDITIONS: usize = 32;
/// Calls of one rule, groups resolved.
const MOST_CALLS: usize = 1 << 14;

/// A rule as it is written.
pub(super) struct Entry<'a> {
    pub(super) place: Place,
    pub(super) calls: Vec<(Calls, Word<'a>)>,
    pub(super) arches: Vec<Arch>,
    width: Option<Width>,
    pub(super) when: Vec<(Written, Word<'a>)>,
    pub(super) action: Action,
    pub(super) reasons: Vec<Provenance>,
}

impl Entry<'_> {
    /// Whether the rule is about the call of this name, too.
    pub(super) fn names(&self, name: &str) -> bool {
        let mut all = self.calls.iter();
        all.any(|(calls, _)| matches!(calls, Calls::Name(own) if own == name))
    }

    /// The rule's conditions on a call, or on a range of them.
    pub(super) fn own_conditions(
        &self,
        arch: Arch,
        calls: Span,
    ) -> Result<Vec<Condition>, Mistake> {
        let all = self.conditions((arch, calls), (arch, calls), Some)?;
        Ok(all.unwrap_or_default())
    }

    /// The same on a call that stands for another one; see [`Written::of`].
    pub(super) fn conditions(
        &self,
        there: (Arch, Span),
        meant: (Arch, Span),
        lands: impl Fn(u8) -> Option<u8>,
    ) -> Result<Option<Vec<Condition>>, Mistake> {
        let mut all: Vec<Condition> = Vec::with_capacity(self.when.len());
        for (written, word) in &self.when {
            let condition = written.of(there, meant, &lands, self.width);
            let condition = condition.map_err(|(why, at)| word.mistake_in(at, why))?;
            let Some(condition) = condition else {
                return Ok(None);
            };
            if all.contains(&condition) {
                return Err(word.mistake("this condition is there twice"));
            }
            if all.iter().any(|other| exclude(other, &condition)) {
                return Err(word.mistake("this cannot hold together with a condition before it"));
            }
            all.push(condition);
        }
        Ok(Some(all))
    }
}

/// Reads a `[[rule]]`.
pub(super) fn entry<'a>(
    section: Section<'a>,
    known: &[Arch],
    groups: &Groups,
) -> Result<Entry<'a>, Mistake> {
    section.has_only(&KEYS)?;
    let words = match (section.word("call")?, section.words("calls")?) {
        (Some(call), None) => vec![call],
        (None, Some(calls)) => calls,
        (None, None) => {
            return Err(Mistake::at(
                section.header(),
                "a rule needs `call` or `calls`",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Mistake::at(
                section.key("calls"),
                "`call` and `calls` say the same; write one of them",
            ));
        }
    };
    let arches = match section.words("arch")? {
        None => known.to_vec(),
        Some(words) => {
            let own = arches(&words)?;
            if let Some(at) = own.iter().position(|a| !known.contains(a)) {
                return Err(words[at].mistake(format!("{} is not in the file's `arch`", own[at])));
            }
            own
        }
    };
    let mut calls: Vec<(Calls, Word<'_>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for word in words {
        if !seen.insert(word.literal) {
            return Err(word.mistake(format!("`{}` is there twice", word.shown())));
        }
        let more = groups.calls(word, known)?;
        calls.extend(more.into_iter().map(|c| (c, word)));
        if calls.len() > MOST_CALLS {
            return Err(word.mistake(format!("a rule is about at most {MOST_CALLS} calls")));
        }
    }
    if calls.is_empty() {
        return Err(Mistake::at(section.key("calls"), "`calls` names no call"));
    }
    let mut when = Vec::new();
    for word in section.words("when")?.unwrap_or_default() {
        let Literal::Text(text) = word.literal else {
            return Err(word.mistake("a condition is a string, as \"arg0 == 1\""));
        };
        let written = parse(text).map_err(|(why, at)| word.mistake_in(at, why))?;
        when.push((written, word));
        if when.len() > MOST_CONDITIONS {
            return Err(word.mistake(format!("a rule has at most {MOST_CONDITIONS} conditions")));
        }
    }
    let width = match section.word("width")? {
        None => None,
        Some(word) => Some(match word.literal {
            _ if when.is_empty() => {
                return Err(word.mistake("`width` says nothing without `when`"));
            }
            Literal::Number(32) => Width::W32,
            Literal::Number(64) => Width::W64,
            _ => return Err(word.mistake("`width` is 32 or 64")),
        }),
    };
    let mut reasons = Vec::new();
    for word in section.words("from")?.unwrap_or_default() {
        let Literal::Text(text) = word.literal else {
            return Err(word.mistake("a reason is a string"));
        };
        reasons.push(parse_reason(text).map_err(|why| word.mistake(why))?);
    }
    if let Some((note, _)) = section.text("note")? {
        reasons.push(Provenance::Note(note.to_owned()));
    }
    Ok(Entry {
        place: section.place(),
        calls,
        arches,
        width,
        when,
        action: action(section, "action")?.unwrap_or(Action::Allow),
        reasons,
    })
}
