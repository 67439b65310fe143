//! The lines of a unit (systemd.syntax(7)).

use super::super::MOST_BYTES;
use super::super::token::span;
use crate::{Mistake, Place};

/// Sections whose settings are about how something is executed (systemd.exec(5)).
const SECTIONS: [&str; 4] = ["Service", "Socket", "Mount", "Swap"];

/// `Key=word word`.
pub(super) struct Assignment {
    /// What stands before the sign.
    pub(super) key: String,
    /// What stands behind it, with the place of each.
    pub(super) words: Vec<(String, Place)>,
    /// All of it.
    pub(super) place: Place,
}

/// The assignments of the sections that can restrict calls.
pub(super) fn assignments(text: &str) -> Result<Vec<Assignment>, Mistake> {
    if text.len() > MOST_BYTES {
        let message = format!("the unit has more than {MOST_BYTES} bytes");
        return Err(Mistake::whole(message));
    }
    let mut all: Vec<Assignment> = Vec::new();
    let mut section: Option<bool> = None;
    // Whether the line before ended in a backslash, and whether its assignment counts.
    let mut continues: Option<bool> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let begin = start;
        start += line.len();
        let trimmed = line.trim();
        let at = begin + (line.len() - line.trim_start().len());
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        let (kept, goes_on) = match trimmed.strip_suffix('\\') {
            Some(kept) => (kept, true),
            None => (trimmed, false),
        };
        if let Some(counts) = continues {
            if let (true, Some(last)) = (counts, all.last_mut()) {
                words(kept, at, &mut last.words);
                last.place.end = at + kept.trim_end().len();
            }
            continues = goes_on.then_some(counts);
            continue;
        }
        if trimmed.is_empty() {
            continue;
        }
        let place = Place {
            start: at,
            end: at + kept.trim_end().len(),
        };
        if let Some(name) = trimmed.strip_prefix('[') {
            let name = name
                .strip_suffix(']')
                .ok_or_else(|| Mistake::at(place, "a section is written `[Name]`"))?;
            section = Some(SECTIONS.contains(&name));
            continue;
        }
        let Some((key, value)) = kept.split_once('=') else {
            return Err(Mistake::at(place, "expected `Key=value` or `[Section]`"));
        };
        let counts = section.ok_or_else(|| {
            Mistake::at(
                place,
                "the setting stands before the first section, as `[Service]`",
            )
        })?;
        if counts {
            let mut assignment = Assignment {
                key: key.trim_end().to_owned(),
                words: Vec::new(),
                place,
            };
            words(value, at + key.len() + 1, &mut assignment.words);
            all.push(assignment);
        }
        continues = goes_on.then_some(counts);
    }
    Ok(all)
}

/// The words of `text`, which begins at the byte `at`.
fn words(text: &str, at: usize, into: &mut Vec<(String, Place)>) {
    let mut here = 0;
    while here < text.len() {
        let rest = &text[here..];
        let length = span(rest, |c| !c.is_whitespace());
        if length > 0 {
            let place = Place {
                start: at + here,
                end: at + here + length,
            };
            into.push((rest[..length].to_owned(), place));
        }
        here += length + span(&rest[length..], char::is_whitespace);
    }
}
