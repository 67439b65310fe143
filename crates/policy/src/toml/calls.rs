//! The words that stand for calls: names, numbers, ranges of numbers, groups.

use std::collections::BTreeMap;

use portcullis_abi::{Arch, Sysno};

use super::document::{Literal, Section, Word};
use super::equivalent::equivalent;
use super::facts;
use super::include::Included;
use super::nearest::suggestion;
use super::token::number;
use crate::{Mistake, Span};

/// Calls that a group can name, groups in it resolved: there are fewer calls.
const MOST_MEMBERS: usize = 1 << 10;
/// The same for all groups of a file together.
const MOST_IN_ALL: usize = 1 << 14;

/// What a word stands for, before an architecture says which numbers these are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Calls {
    /// The call of this name.
    Name(String),
    /// These numbers.
    Numbers(Span),
    /// The calls of a group that `portcullis-abi` knows.
    Group(String),
}

/// The groups that a file defines, its includes too.
#[derive(Clone, Default)]
pub(super) struct Groups {
    all: BTreeMap<String, Vec<Calls>>,
}

impl Groups {
    /// Those of a section and of what it includes. Each name in them is a call of one of `arches`.
    pub(super) fn read(
        section: Section<'_>,
        includes: &[Included],
        arches: &[Arch],
    ) -> Result<Groups, Mistake> {
        let mut groups = Groups::read_includes(includes, arches)?;
        let Some(own) = section.one("groups", "[groups]")? else {
            return Ok(groups);
        };
        for name in own.keys() {
            let wrong = |why: String| Err(Mistake::at(own.key(name), why));
            if !name.starts_with('@') {
                return wrong(format!("a group's name begins with @, as \"@{name}\""));
            }
            if groups.all.contains_key(name) {
                return wrong(format!("`{name}` is already defined by an included file"));
            }
            if arches.iter().any(|a| facts::group(*a, name).is_some()) {
                return wrong(format!("`{name}` is a group that is already there"));
            }
        }
        let mut resolver = Resolver {
            own,
            arches,
            open: Vec::new(),
            members: 0,
        };
        for name in own.keys() {
            resolver.resolve(name, &mut groups)?;
        }
        Ok(groups)
    }

    /// Those of included files.
    pub(super) fn read_includes(includes: &[Included], arches: &[Arch]) -> Result<Groups, Mistake> {
        let mut groups = Groups::default();
        for file in includes {
            let inner = Groups::read(file.top(), &file.includes, arches);
            let inner = inner.map_err(|mistake| file.mistake(mistake))?;
            // The same file by two ways defines the same; the first of two different ones would
            // be as surprising as the second.
            for (name, members) in inner.all {
                match groups.all.get(&name) {
                    Some(other) if *other != members => {
                        return Err(Mistake::at(
                            file.place,
                            format!("{} defines `{name}` again, and otherwise", file.name),
                        ));
                    }
                    _ => groups.all.insert(name, members),
                };
            }
        }
        Ok(groups)
    }

    /// Takes over what another file defines; what is here stays.
    pub(super) fn add(&mut self, others: Groups) {
        for (name, members) in others.all {
            self.all.entry(name).or_insert(members);
        }
    }

    /// What a word of a list of calls stands for.
    pub(super) fn calls(&self, word: Word<'_>, arches: &[Arch]) -> Result<Vec<Calls>, Mistake> {
        let text = match word.literal {
            Literal::Number(n) => {
                return Ok(vec![Calls::Numbers(one(word, i128::from(n))?.into())]);
            }
            Literal::Text(text) => text,
        };
        if text.starts_with('@') {
            if let Some(own) = self.all.get(text) {
                return Ok(own.clone());
            }
            if arches.iter().any(|a| facts::group(*a, text).is_some()) {
                return Ok(vec![Calls::Group(text.to_owned())]);
            }
            let own = self.all.keys().map(String::as_str);
            let known = own.chain(facts::groups().map(|name| -> &str { name }));
            let near = suggestion(text, known);
            return Err(word.mistake(format!("the group `{text}` is not known{near}")));
        }
        let bound = |text: &str| {
            let value = number(text.trim()).map_err(|why| word.mistake(why))?;
            one(word, value)
        };
        if let Some((first, last)) = text.split_once("..") {
            let (first, last) = (bound(first)?, bound(last)?);
            if first > last {
                return Err(word.mistake(format!("the range {text} ends below its beginning")));
            }
            return Ok(vec![Calls::Numbers(Span { first, last })]);
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(vec![Calls::Numbers(bound(text)?.into())]);
        }
        if arches.iter().all(|a| a.number(text).is_none()) {
            return Err(word.mistake(known_in(text, arches)));
        }
        Ok(vec![Calls::Name(text.to_owned())])
    }
}

/// What to say of a name that none of `arches` has.
pub(super) fn known_in(name: &str, arches: &[Arch]) -> String {
    let mut list: Vec<String> = arches.iter().map(Arch::to_string).collect();
    list.dedup();
    let list = list.join(", ");
    let elsewhere = Arch::ALL.iter().find(|a| a.number(name).is_some());
    match elsewhere {
        Some(other) => {
            let instead = arches.iter().find_map(|a| equivalent(*a, name));
            let instead = match instead {
                Some((_, e)) => format!("; `{}` does it there", e.instead),
                None => String::new(),
            };
            format!("`{name}` is a call of {other} and not of {list}{instead}")
        }
        None => {
            let names = arches
                .iter()
                .flat_map(|a| a.syscalls().map(|(_, name)| name));
            let near = suggestion(name, names);
            format!("`{name}` is no call of {list}{near}")
        }
    }
}

fn one(word: Word<'_>, number: i128) -> Result<Sysno, Mistake> {
    let fits = u32::try_from(number).map(Sysno);
    fits.map_err(|_| word.mistake(format!("{number} is no call number; they have 32 bits")))
}

/// Puts groups in the place of their names in other groups.
struct Resolver<'a> {
    own: Section<'a>,
    arches: &'a [Arch],
    /// The groups that are being resolved, the outermost first.
    open: Vec<&'a str>,
    /// Members of the groups that are done.
    members: usize,
}

impl<'a> Resolver<'a> {
    fn resolve(&mut self, name: &'a str, groups: &mut Groups) -> Result<(), Mistake> {
        if groups.all.contains_key(name) {
            return Ok(());
        }
        self.open.push(name);
        let mut members = Vec::new();
        for word in self.own.words(name)?.unwrap_or_default() {
            let inner = self
                .own
                .keys()
                .find(|key| Literal::Text(key) == word.literal);
            if let Some(inner) = inner {
                // The depth is bounded by the distinct names, and by this.
                if self.open.contains(&inner) {
                    return Err(word.mistake(format!("`{inner}` contains itself")));
                }
                if self.open.len() > 32 {
                    return Err(word.mistake("groups stand at most 32 deep in each other"));
                }
                self.resolve(inner, groups)?;
            }
            for calls in groups.calls(word, self.arches)? {
                if !members.contains(&calls) {
                    members.push(calls);
                }
            }
            if members.len() > MOST_MEMBERS || self.members + members.len() > MOST_IN_ALL {
                return Err(word.mistake(format!(
                    "a group has at most {MOST_MEMBERS} members, all have at most {MOST_IN_ALL}"
                )));
            }
        }
        self.open.pop();
        self.members += members.len();
        groups.all.insert(name.to_owned(), members);
        Ok(())
    }
}
