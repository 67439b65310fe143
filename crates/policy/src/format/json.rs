//! JSON (RFC 8259) as values with places.
//!
//! Written here because places, duplicate keys and exact 64-bit numbers are all needed and no
//! reader that is in use gives the three.

use super::document::{Keys, Kind, MOST_DEPTH, Member, Value, add, bounded};
use crate::{Mistake, Place};

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Value, Mistake> {
    bounded(text)?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("the end of the text")),
    }
}

/// A text as JSON writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut all = String::with_capacity(text.len() + 2);
    all.push('"');
    for c in text.chars() {
        match c {
            '"' => all.push_str("\\\""),
            '\\' => all.push_str("\\\\"),
            '\n' => all.push_str("\\n"),
            '\t' => all.push_str("\\t"),
            c if c < ' ' || c == '\u{7f}' => all.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => all.push(c),
        }
    }
    all.push('"');
    all
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn wrong(&self, expected: &str) -> Mistake {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = rest.chars().next();
        let place = Place {
            start: self.at,
            end: self.at + found.map_or(0, char::len_utf8),
        };
        let found = found.map_or("the text ends".into(), |c| format!("there is {c:?}"));
        Mistake::at(
            place,
            format!("this is no JSON: {expected} is expected, {found}"),
        )
    }

    fn value(&mut self, depth: usize) -> Result<Value, Mistake> {
        self.space();
        let start = self.at;
        if depth > MOST_DEPTH {
            let place = Place {
                start,
                end: start + 1,
            };
            return Err(Mistake::at(place, "the values are nested too deeply"));
        }
        let kind = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'a'..=b'z') => self.word()?,
            _ => return Err(self.wrong("a value")),
        };
        let end = self.at;
        let place = Place { start, end };
        Ok(Value { place, kind })
    }

    fn word(&mut self) -> Result<Kind, Mistake> {
        let words = [
            ("null", Kind::Null),
            ("true", Kind::Bool(true)),
            ("false", Kind::Bool(false)),
        ];
        let rest = &self.text[self.at..];
        let word = words.into_iter().find(|(word, _)| rest.starts_with(word));
        let (word, kind) = word.ok_or_else(|| self.wrong("a value"))?;
        self.at += word.len();
        Ok(kind)
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Mistake> {
        let (mut members, mut keys) = (Vec::new(), Keys::new());
        while self.another(b'}', members.is_empty())? {
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a key in quotes"));
            }
            let key = self.string()?;
            let place = Place {
                start,
                end: self.at,
            };
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.wrong("`:`"));
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            add(&mut members, &mut keys, Member { key, place, value })?;
        }
        Ok(Kind::Map(members))
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Mistake> {
        let mut all = Vec::new();
        while self.another(b']', all.is_empty())? {
            all.push(self.value(depth + 1)?);
        }
        Ok(Kind::List(all))
    }

    /// Steps over the opening bracket or the comma before another element, or over the closing
    /// bracket.
    fn another(&mut self, close: u8, first: bool) -> Result<bool, Mistake> {
        if first {
            self.at += 1;
        }
        self.space();
        match self.peek() {
            Some(b) if b == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                self.space();
                match self.peek() {
                    Some(b) if b == close => Err(self.wrong("another element after the comma")),
                    _ => Ok(true),
                }
            }
            _ if first => Ok(true),
            _ => Err(self.wrong(&format!("`,` or `{}`", char::from(close)))),
        }
    }

    fn number(&mut self) -> Result<Kind, Mistake> {
        let start = self.at;
        let digits = |reader: &mut Self| {
            let from = reader.at;
            while let Some(b'0'..=b'9') = reader.peek() {
                reader.at += 1;
            }
            match reader.at == from {
                true => Err(reader.wrong("a digit")),
                false => Ok(reader.at - from),
            }
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        if digits(self)? > 1 && zero {
            self.at = start;
            return Err(self.wrong("a number without leading zeros"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits(self)?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            digits(self)?;
        }
        Ok(Kind::Number(self.text[start..self.at].to_owned()))
    }

    fn string(&mut self) -> Result<String, Mistake> {
        self.at += 1;
        let mut all = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ');
            let plain = plain.unwrap_or(rest.len());
            all.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(all);
                }
                Some(b'\\') => all.push(self.escape()?),
                _ => return Err(self.wrong("`\"`")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Mistake> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.wrong("an escape")),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, Mistake> {
        let high = self.unit()?;
        let code = match high {
            0xd800..=0xdbff if self.text[self.at..].starts_with("\\u") => {
                self.at += 1;
                let low = self.unit()?;
                match low {
                    0xdc00..=0xdfff => 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00),
                    _ => high,
                }
            }
            _ => high,
        };
        char::from_u32(code).ok_or_else(|| self.wrong("the other half of a surrogate pair"))
    }

    /// Steps over `uXXXX`.
    fn unit(&mut self) -> Result<u32, Mistake> {
        let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or_default();
        let hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let unit = u32::from_str_radix(digits, 16).ok().filter(|_| hex);
        let unit = unit.ok_or_else(|| self.wrong("an escape of four hexadecimal digits"))?;
        self.at += 5;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: Kind) -> Option<String> {
        match kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn escapes_are_read() {
        for (written, expected) in [
            (r#""a\"\\\/\b\f\n\r\t""#, "a\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u00e9é\ud83d\ude00""#, "éé😀"),
            (r#" "" "#, ""),
        ] {
            let value = parse(written).expect(written);
            assert_eq!(text(value.kind).as_deref(), Some(expected));
        }
    }

    #[test]
    fn places_are_bytes() {
        let value = parse("{\"é\": [1, -2.5e3]}").expect("it reads");
        let map = value.map("it").expect("it is one");
        assert_eq!(map.members[0].place, Place { start: 1, end: 5 });
        let list = map.list("é").expect("it is one");
        let places: Vec<_> = list.iter().map(|v| (v.place.start, v.place.end)).collect();
        assert_eq!(places, [(8, 9), (11, 17)]);
        assert_eq!(list[1].kind, Kind::Number("-2.5e3".into()));
    }

    proptest::proptest! {
        #[test]
        fn what_is_quoted_reads_back(written in proptest::prelude::any::<String>()) {
            let value = parse(&quoted(&written)).expect("it is quoted");
            proptest::prop_assert_eq!(text(value.kind), Some(written));
        }
    }
}
