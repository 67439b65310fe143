//! A text as values that know where they stand: what JSON and YAML have in common.

use crate::{Mistake, Place};

/// Longer texts are no profiles.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// Deeper values are no profiles; the reader of values calls itself.
pub(super) const MOST_DEPTH: usize = 64;

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Value {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// As it is written: 64-bit masks must not pass through a float.
    Number(String),
    Text(String),
    List(Vec<Value>),
    Map(Vec<Member>),
}

/// A key and what it says.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A map whose keys are looked up; `what` names it in mistakes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map<'a> {
    pub(super) place: Place,
    pub(super) members: &'a [Member],
    what: &'static str,
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool(_) => "a truth value",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "an object",
        }
    }
}

impl Value {
    pub(super) fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake::at(self.place, message)
    }

    fn other_than(&self, what: &str, expected: &str) -> Mistake {
        let found = self.kind.name();
        self.mistake(format!("{what} is {expected}, not {found}"))
    }

    pub(super) fn map(&self, what: &'static str) -> Result<Map<'_>, Mistake> {
        match &self.kind {
            Kind::Map(members) => Ok(Map {
                place: self.place,
                members,
                what,
            }),
            _ => Err(self.other_than(what, "an object")),
        }
    }

    pub(super) fn list(&self, what: &str) -> Result<&[Value], Mistake> {
        match &self.kind {
            Kind::List(all) => Ok(all),
            _ => Err(self.other_than(what, "a list")),
        }
    }

    pub(super) fn text(&self, what: &str) -> Result<&str, Mistake> {
        match &self.kind {
            Kind::Text(text) => Ok(text),
            _ => Err(self.other_than(what, "a text")),
        }
    }

    /// A whole number, at most `most`.
    pub(super) fn number(&self, what: &str, most: u64) -> Result<u64, Mistake> {
        let Kind::Number(written) = &self.kind else {
            return Err(self.other_than(what, "a number"));
        };
        match written.parse::<u64>() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(self.mistake(format!(
                "{what} is a whole number from 0 to {most}, not {written}"
            ))),
        }
    }
}

impl<'a> Map<'a> {
    /// Refuses keys that mean nothing here: a misspelt condition must not become no condition.
    pub(super) fn only(self, known: &[&str]) -> Result<Map<'a>, Mistake> {
        match self.members.iter().find(|m| !known.contains(&&*m.key)) {
            None => Ok(self),
            Some(m) => Err(Mistake::at(
                m.place,
                format!(
                    "{} has no key `{}`; known are {}",
                    self.what,
                    m.key,
                    known.join(", ")
                ),
            )),
        }
    }

    /// What a key says, unless it says nothing.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        let own = self.members.iter().find(|m| m.key == key)?;
        (own.value.kind != Kind::Null).then_some(&own.value)
    }

    /// What a key says that must be there.
    pub(super) fn need(&self, key: &str) -> Result<&'a Value, Mistake> {
        let missing = || Mistake::at(self.place, format!("{} has no `{key}`", self.what));
        self.get(key).ok_or_else(missing)
    }

    /// The values of a list that may be absent.
    pub(super) fn list(&self, key: &str) -> Result<&'a [Value], Mistake> {
        self.get(key).map_or(Ok(&[]), |v| v.list(key))
    }

    /// The texts of a list that may be absent, with the values that they come from.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<(&'a str, &'a Value)>, Mistake> {
        let text = |v: &'a Value| Ok((v.text("an element of the list")?, v));
        self.list(key)?.iter().map(text).collect()
    }
}

/// Adds a member to a map, unless it has the key: readers disagree which of two counts.
pub(super) fn add(
    members: &mut Vec<Member>,
    keys: &mut Keys,
    member: Member,
) -> Result<(), Mistake> {
    if !keys.insert(member.key.clone()) {
        let message = format!("the key `{}` is there twice", member.key);
        return Err(Mistake::at(member.place, message));
    }
    members.push(member);
    Ok(())
}

/// The keys of a map so far.
pub(super) type Keys = std::collections::HashSet<String>;

/// Refuses texts that are too long.
pub(super) fn bounded(text: &str) -> Result<(), Mistake> {
    match text.len() {
        0..=MOST_BYTES => Ok(()),
        long => Err(Mistake::whole(format!(
            "the text has {long} bytes; at most {MOST_BYTES} are read"
        ))),
    }
}
