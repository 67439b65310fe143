//! YAML as values with places, as far as Kubernetes' objects need it: no anchors and no tags.
//!
//! `saphyr-parser` is what of the maintained readers gives places and is small; it is no deeper
//! than its events, so that hostile texts meet the bounds here.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::document::{Keys, Kind, MOST_DEPTH, Member, Value, add, bounded};
use crate::{Mistake, Place};

/// The documents of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Value>, Mistake> {
    bounded(text)?;
    let bytes = Bytes::of(text);
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            let at = bytes.of_char(e.marker().index());
            let place = Place { start: at, end: at };
            Mistake::at(place, format!("this is no YAML: {}", e.info()))
        })?;
        let place = bytes.place(span);
        let done = match event {
            Event::Alias(_) => {
                return Err(Mistake::at(
                    place,
                    "an alias is not read; write the value itself",
                ));
            }
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor > 0 =>
            {
                return Err(Mistake::at(place, "an anchor is not read"));
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return Err(Mistake::at(place, "a tag is not read"));
            }
            Event::Scalar(text, style, ..) => Some(Value {
                place,
                kind: scalar(&text, style),
            }),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() > MOST_DEPTH => {
                return Err(Mistake::at(place, "the values are nested too deeply"));
            }
            Event::SequenceStart(..) => {
                open.push(Open::list(place));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::map(place));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|o| o.value(place)),
            _ => None,
        };
        match (done, open.last_mut()) {
            (Some(value), Some(parent)) => parent.take(value)?,
            (Some(value), None) => documents.push(value),
            (None, _) => {}
        }
    }
    Ok(documents)
}

/// What a scalar is, by the core schema of YAML 1.2.
fn scalar(text: &str, style: ScalarStyle) -> Kind {
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && !is_octal(text);
    match text {
        _ if style != ScalarStyle::Plain => Kind::Text(text.to_owned()),
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if number => match hexadecimal(text).map(|t| u64::from_str_radix(t, 16)) {
            Some(Ok(number)) => Kind::Number(number.to_string()),
            _ if text.parse::<f64>().is_ok() => Kind::Number(text.to_owned()),
            _ => Kind::Text(text.to_owned()),
        },
        _ => Kind::Text(text.to_owned()),
    }
}

/// The digits of a hexadecimal number.
fn hexadecimal(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("0x")?;
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then_some(digits)
}

/// A number with a zero before it: octal to readers of YAML 1.1, as Kubernetes' is, and decimal to those
/// of 1.2. It is taken for neither.
fn is_octal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A list or map that is not at its end yet.
struct Open {
    place: Place,
    inside: Inside,
}

enum Inside {
    List(Vec<Value>),
    Map {
        members: Vec<Member>,
        keys: Keys,
        key: Option<(String, Place)>,
    },
}

impl Open {
    fn list(place: Place) -> Open {
        let inside = Inside::List(Vec::new());
        Open { place, inside }
    }

    fn map(place: Place) -> Open {
        let inside = Inside::Map {
            members: Vec::new(),
            keys: Keys::new(),
            key: None,
        };
        Open { place, inside }
    }

    fn take(&mut self, value: Value) -> Result<(), Mistake> {
        match &mut self.inside {
            Inside::List(all) => all.push(value),
            Inside::Map { members, keys, key } => match (key.take(), value.kind) {
                (Some((key, place)), kind) => {
                    let place_of_value = value.place;
                    let value = Value {
                        place: place_of_value,
                        kind,
                    };
                    add(members, keys, Member { key, place, value })?;
                }
                (None, Kind::Text(text)) => *key = Some((text, value.place)),
                (None, _) => return Err(Mistake::at(value.place, "a key is a text")),
            },
        }
        Ok(())
    }

    fn value(self, end: Place) -> Value {
        Value {
            place: Place {
                start: self.place.start,
                end: end.end.max(self.place.end),
            },
            kind: match self.inside {
                Inside::List(all) => Kind::List(all),
                Inside::Map { members, .. } => Kind::Map(members),
            },
        }
    }
}

/// The parser counts characters, places are bytes.
struct Bytes {
    starts: Option<Vec<usize>>,
    len: usize,
}

impl Bytes {
    fn of(text: &str) -> Bytes {
        let starts = || text.char_indices().map(|(at, _)| at).collect();
        Bytes {
            starts: (!text.is_ascii()).then(starts),
            len: text.len(),
        }
    }

    fn of_char(&self, index: usize) -> usize {
        match &self.starts {
            None => index.min(self.len),
            Some(starts) => starts.get(index).copied().unwrap_or(self.len),
        }
    }

    fn place(&self, span: Span) -> Place {
        Place {
            start: self.of_char(span.start.index()),
            end: self.of_char(span.end.index()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_follow_the_core_schema() {
        for (written, expected) in [
            ("read", Kind::Text("read".into())),
            ("\"1\"", Kind::Text("1".into())),
            (
                "18446744073709551615",
                Kind::Number("18446744073709551615".into()),
            ),
            ("0x10", Kind::Number("16".into())),
            ("-1", Kind::Number("-1".into())),
            ("1st", Kind::Text("1st".into())),
            ("~", Kind::Null),
            ("true", Kind::Bool(true)),
            ("yes", Kind::Text("yes".into())),
        ] {
            let read = parse(written).expect(written);
            assert_eq!(read[0].kind, expected, "{written}");
        }
    }

    #[test]
    fn places_are_bytes_and_documents_are_apart() {
        let text = "é: {a: [1, zwei]}\n---\nb:\n- c\n";
        let read = parse(text).expect("it reads");
        assert_eq!(read.len(), 2);
        let map = read[0].map("it").expect("it is one");
        assert_eq!(map.members[0].place, Place { start: 0, end: 2 });
        let inner = map.need("é").and_then(|v| v.map("it")).expect("it is one");
        let list = inner.list("a").expect("it is one");
        let written = |v: &Value| &text[v.place.start..v.place.end];
        assert_eq!(list.iter().map(written).collect::<Vec<_>>(), ["1", "zwei"]);
    }
}
