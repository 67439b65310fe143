//! `SystemCallFilter=` and `SystemCallLog=`: lists that later lines add to and remove from.

use std::collections::BTreeMap;

use portcullis_abi::{Arch, Sysno};

use super::super::names;
use super::unit::Assignment;
use crate::{Action, Mistake, Place, Remark};

/// What the lines of `SystemCallFilter=` say together.
pub(super) struct Answers {
    /// The first line had no `~`: what is not listed is denied.
    pub(super) allows: bool,
    /// The listed calls.
    pub(super) calls: BTreeMap<Arch, BTreeMap<Sysno, Listed>>,
}

/// A listed call.
#[derive(Clone, Copy)]
pub(super) struct Listed {
    /// The answer that is written behind its name.
    pub(super) answer: Option<Action>,
    /// Where it is listed.
    pub(super) place: Place,
}

impl Answers {
    /// The answer to what is not listed.
    pub(super) fn unlisted(&self, errno: Action) -> Action {
        match self.allows {
            true => errno,
            false => Action::Allow,
        }
    }
}

/// What the lines of `SystemCallLog=` say together.
pub(super) struct Logged {
    /// The first line had no `~`: what is listed is logged, otherwise all but that.
    pub(super) listed: bool,
    /// The listed calls.
    pub(super) calls: BTreeMap<Arch, BTreeMap<Sysno, Place>>,
}

/// Adds a line of `SystemCallFilter=`.
pub(super) fn filter(
    answers: &mut Option<Answers>,
    line: &Assignment,
    native: Arch,
    local: &[Arch],
    remarks: &mut Vec<Remark>,
) -> Result<(), Mistake> {
    let (inverted, items) = items(line);
    let answers = match answers {
        Some(answers) => answers,
        None => {
            let mut calls: BTreeMap<Arch, BTreeMap<Sysno, Listed>> = BTreeMap::new();
            if !inverted {
                let listed = Listed {
                    answer: None,
                    place: line.place,
                };
                for &arch in local {
                    let always = names::group(arch, "@default").unwrap_or_default();
                    let own = calls.entry(arch).or_default();
                    own.extend(always.into_iter().map(|n| (n, listed)));
                }
            }
            answers.insert(Answers {
                allows: !inverted,
                calls,
            })
        }
    };
    for (word, place) in items {
        let (name, answer) = match word.split_once(':') {
            None => (word.as_str(), None),
            Some((name, wanted)) => (name, Some(self::answer(wanted, place)?)),
        };
        let calls = calls(name, place, local)?;
        if !inverted && answer.is_some() {
            // systemd warns and ignores the word.
            let message = "systemd ignores this: allowed calls have no error number";
            let message = message.to_owned();
            remarks.push(Remark { place, message });
            continue;
        }
        if !calls.contains_key(&native) {
            let message = format!("{native} has no call `{name}`");
            remarks.push(Remark { place, message });
        }
        // On a list of what is allowed, a denied call is taken off the list, unless the answer to it
        // is an own one.
        let adds = inverted != answers.allows || answer.is_some();
        for (arch, numbers) in calls {
            let own = answers.calls.entry(arch).or_default();
            for number in numbers {
                match adds {
                    true => own.insert(number, Listed { answer, place }),
                    false => own.remove(&number),
                };
            }
        }
    }
    Ok(())
}

/// Adds a line of `SystemCallLog=`.
pub(super) fn log(
    logged: &mut Option<Logged>,
    line: &Assignment,
    local: &[Arch],
) -> Result<(), Mistake> {
    let (inverted, items) = items(line);
    let logged = logged.get_or_insert_with(|| Logged {
        listed: !inverted,
        calls: BTreeMap::new(),
    });
    for (name, place) in items {
        let adds = inverted != logged.listed;
        for (arch, numbers) in calls(&name, place, local)? {
            let own = logged.calls.entry(arch).or_default();
            for number in numbers {
                match adds {
                    true => own.insert(number, place),
                    false => own.remove(&number),
                };
            }
        }
    }
    Ok(())
}

/// Whether a list begins with `~`, and its words.
fn items(line: &Assignment) -> (bool, Vec<(String, Place)>) {
    let mut items = line.words.clone();
    let mut inverted = false;
    if let Some((first, place)) = items.first_mut()
        && let Some(rest) = first.strip_prefix('~')
    {
        inverted = true;
        place.start += 1;
        *first = rest.to_owned();
    }
    items.retain(|(word, _)| !word.is_empty());
    (inverted, items)
}

/// The numbers of a call or of a group, by architecture.
fn calls(name: &str, place: Place, local: &[Arch]) -> Result<BTreeMap<Arch, Vec<Sysno>>, Mistake> {
    let numbers = |arch: Arch| match name.starts_with('@') {
        true => names::group(arch, name).unwrap_or_default(),
        false => arch.number(name).into_iter().collect(),
    };
    let known = |arch: Arch| match name.starts_with('@') {
        true => names::group(arch, name).is_some(),
        false => arch.number(name).is_some(),
    };
    if !Arch::ALL.iter().any(|arch| known(*arch)) {
        let what = match name.starts_with('@') {
            true => "group of calls",
            false => "call",
        };
        let message = format!("no architecture has a {what} `{name}`");
        return Err(Mistake::at(place, message));
    }
    let all = local.iter().map(|arch| (*arch, numbers(*arch)));
    Ok(all.filter(|(_, numbers)| !numbers.is_empty()).collect())
}

/// An error number, its name, or `kill`.
pub(super) fn answer(word: &str, place: Place) -> Result<Action, Mistake> {
    if word == "kill" {
        return Ok(Action::KillProcess);
    }
    let number = match word.starts_with(|c: char| c.is_ascii_digit()) {
        true => word.parse().ok(),
        false => names::errno(word),
    };
    number
        .filter(|number| *number <= 4095)
        .map(Action::Errno)
        .ok_or_else(|| {
            let message =
                format!("`{word}` is no error number up to 4095, no name of one and not `kill`");
            Mistake::at(place, message)
        })
}
