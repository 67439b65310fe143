//! TOML with places: what strict readers see of a text, so that each mistake can be shown where it stands.

use std::ops::Range;

use toml_edit::{Document, Item, Table, Value};

use super::nearest::suggestion;
use crate::{Mistake, Place};

/// Larger files are no policies.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// Parses a text, whatever it says.
pub fn parse<S: AsRef<str>>(text: S) -> Result<Document<S>, Mistake> {
    let bytes = text.as_ref().len();
    if bytes > MOST_BYTES {
        return Err(Mistake::whole(format!(
            "the file has {bytes} bytes; at most {MOST_BYTES} are read"
        )));
    }
    Document::parse(text).map_err(|error| {
        let message = format!("this is no TOML: {}", error.message().replace('\n', ", "));
        match error.span() {
            Some(span) => Mistake::at(place(span), message),
            None => Mistake::whole(message),
        }
    })
}

fn place(span: Range<usize>) -> Place {
    Place {
        start: span.start,
        end: span.end,
    }
}

/// A table of a document: the top, a `[[rule]]`, a `[[filter]]`.
#[derive(Clone, Copy)]
pub struct Section<'a> {
    text: &'a str,
    table: &'a Table,
    /// What it is called in messages: `a rule`.
    what: &'static str,
}

/// A text or a number in a document.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// What it says.
    pub literal: Literal<'a>,
    /// Where it stands.
    pub place: Place,
    /// It stands in the file letter by letter, so that places in it can be told.
    plain: bool,
}

/// What a word says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Literal<'a> {
    /// A string.
    Text(&'a str),
    /// An integer.
    Number(i64),
}

impl<'a> Section<'a> {
    /// The whole document; `what` it is called in messages.
    pub fn top<S: AsRef<str>>(document: &'a Document<S>, what: &'static str) -> Section<'a> {
        Section {
            text: document.raw(),
            table: document.as_table(),
            what,
        }
    }

    /// The header; the start of the file for the top.
    pub(super) fn header(&self) -> Place {
        let span = self.table.span().unwrap_or_default();
        match self.text.get(span.clone()) {
            Some(header) if header.starts_with('[') => place(span),
            _ => Place::default(),
        }
    }

    /// From the header to the end of the last value.
    pub(super) fn place(&self) -> Place {
        let mut whole = self.header();
        for (_, item) in self.table.iter() {
            // A table inside has its own header, further down.
            if let Item::Value(value) = item {
                whole.end = whole.end.max(value.span().unwrap_or_default().end);
            }
        }
        whole
    }

    /// Only these keys are there: a misspelt condition must not become no condition.
    pub fn has_only(&self, known: &[&'static str]) -> Result<(), Mistake> {
        for (key, _) in self.table.iter() {
            if !known.contains(&key) {
                let near = suggestion(key, known.iter().copied());
                return Err(Mistake::at(
                    self.key(key),
                    format!("`{key}` is no key of {}{near}", self.what),
                ));
            }
        }
        Ok(())
    }

    /// Where a key stands.
    pub fn key(&self, key: &str) -> Place {
        let span = self.table.key(key).and_then(|k| k.span());
        span.map_or(self.header(), place)
    }

    /// The keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.table.iter().map(|(key, _)| key)
    }

    /// The word of a key.
    pub(super) fn word(&self, key: &str) -> Result<Option<Word<'a>>, Mistake> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Item::Value(value)) => Ok(Some(self.as_word(key, value)?)),
            Some(_) => Err(self.not(key, "a string or a number")),
        }
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Result<Option<(&'a str, Word<'a>)>, Mistake> {
        let Some(word) = self.word(key)? else {
            return Ok(None);
        };
        match word.literal {
            Literal::Text(text) => Ok(Some((text, word))),
            Literal::Number(_) => Err(word.mistake(format!("`{key}` is a string"))),
        }
    }

    /// The number of a key, 0 to 2^32-1.
    pub fn number(&self, key: &str) -> Result<Option<u32>, Mistake> {
        let Some(word) = self.word(key)? else {
            return Ok(None);
        };
        let number = match word.literal {
            Literal::Number(number) => u32::try_from(number).ok(),
            Literal::Text(_) => None,
        };
        let wrong = || word.mistake(format!("`{key}` is a number from 0 to 4294967295"));
        number.ok_or_else(wrong).map(Some)
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Mistake> {
        match self.table.get(key) {
            None => Ok(None),
            Some(item) => match item.as_bool() {
                Some(flag) => Ok(Some(flag)),
                None => Err(self.not(key, "true or false")),
            },
        }
    }

    /// The words of a list; a single word is a list of one.
    pub fn words(&self, key: &str) -> Result<Option<Vec<Word<'a>>>, Mistake> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Item::Value(Value::Array(all))) => {
                let words = all.iter().map(|v| self.as_word(key, v));
                words.collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Ok(self.word(key)?.map(|word| vec![word])),
        }
    }

    /// The sections `[[key]]`.
    pub(super) fn each(&self, key: &str, what: &'static str) -> Result<Vec<Section<'a>>, Mistake> {
        match self.table.get(key) {
            None => Ok(Vec::new()),
            Some(Item::ArrayOfTables(all)) => Ok(all
                .iter()
                .map(|table| Section {
                    text: self.text,
                    table,
                    what,
                })
                .collect()),
            Some(_) => Err(self.not(key, "written as [[...]] sections")),
        }
    }

    /// The section `[key]`.
    pub(super) fn one(
        &self,
        key: &str,
        what: &'static str,
    ) -> Result<Option<Section<'a>>, Mistake> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Item::Table(table)) => Ok(Some(Section {
                text: self.text,
                table,
                what,
            })),
            Some(_) => Err(self.not(key, "written as a [...] section")),
        }
    }

    /// A mistake about what a key is not.
    fn not(&self, key: &str, what: &str) -> Mistake {
        Mistake::at(self.key(key), format!("`{key}` is to be {what}"))
    }

    fn as_word(&self, key: &str, value: &'a Value) -> Result<Word<'a>, Mistake> {
        let span = value.span().unwrap_or_default();
        let literal = match value {
            Value::String(text) => Literal::Text(text.value()),
            Value::Integer(number) => Literal::Number(*number.value()),
            _ => {
                return Err(Mistake::at(
                    place(span),
                    format!("`{key}` takes no {} here", value.type_name()),
                ));
            }
        };
        let inside = self.text.get(span.start + 1..span.end.saturating_sub(1));
        Ok(Word {
            literal,
            place: place(span),
            plain: matches!(literal, Literal::Text(text) if inside == Some(text)),
        })
    }
}

impl Word<'_> {
    /// A mistake about the word.
    pub fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake::at(self.place, message)
    }

    /// A mistake about a part of its text, from one byte to another.
    pub(super) fn mistake_in(&self, (from, to): (usize, usize), message: String) -> Mistake {
        let place = match self.plain {
            // The quote comes first.
            true => Place {
                start: self.place.start + 1 + from,
                end: self.place.start + 1 + to,
            },
            false => self.place,
        };
        Mistake::at(place, message)
    }

    /// How it is shown.
    pub(super) fn shown(&self) -> String {
        match self.literal {
            Literal::Text(text) => text.to_owned(),
            Literal::Number(number) => number.to_string(),
        }
    }
}
