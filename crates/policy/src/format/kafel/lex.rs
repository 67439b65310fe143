//! Cuts a policy and the files that it includes into tokens.

use super::super::token::{Cursor, Kind, Piece, Spot, Token, sign, span};
use super::super::{Include, MOST_BYTES};
use crate::Mistake;

/// Longer ones first.
const SIGNS: [&str; 19] = [
    "==", "!=", "<=", ">=", "||", "&&", "<", ">", "|", "&", "[", "]", "(", ")", "{", "}", ",", "!",
    "#",
];
/// Files deeper than this are not included (`MAX_INCLUDE_DEPTH`).
const DEEPEST: usize = 16;

/// The tokens of a policy, those of included files in the place of `#include`.
pub(super) fn tokens(text: &str, include: Include<'_>) -> Result<Cursor, Mistake> {
    let mut lexer = Lexer {
        include,
        bytes: 0,
        tokens: Vec::new(),
    };
    let piece = Piece::Given(text);
    lexer.file(&piece, 0)?;
    Ok(Cursor::new(
        lexer.tokens,
        piece.spot(text.len(), text.len()),
    ))
}

struct Lexer<'a> {
    include: Include<'a>,
    bytes: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn file(&mut self, piece: &Piece<'_>, depth: usize) -> Result<(), Mistake> {
        self.bytes += piece.text().len();
        if self.bytes > MOST_BYTES {
            let message = format!("the policy has more than {MOST_BYTES} bytes");
            return Err(piece.spot(0, 0).mistake(message));
        }
        let text = piece.text();
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            let rest = &text[at..];
            if rest.starts_with("#include") {
                at += self.include(piece, at, depth)?;
                continue;
            }
            let push = |length: usize, kind: Kind| Token {
                kind,
                spot: piece.spot(at, at + length),
            };
            let length = if first.is_ascii_whitespace() {
                span(rest, |c| c.is_ascii_whitespace())
            } else if rest.starts_with("//") {
                span(rest, |c| c != '\n')
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let end = comment
                    .find("*/")
                    .ok_or_else(|| piece.spot(at, at + 2).mistake("the comment does not end"))?;
                end + 4
            } else if first.is_ascii_alphabetic() {
                let length = span(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                self.tokens
                    .push(push(length, Kind::Word(rest[..length].into())));
                length
            } else if first.is_ascii_digit() || first == '-' {
                let length = 1 + span(&rest[1..], |c| c.is_ascii_alphanumeric());
                self.tokens
                    .push(push(length, Kind::Number(rest[..length].into())));
                length
            } else if let Some(sign) = sign(rest, &SIGNS) {
                self.tokens.push(push(sign.len(), Kind::Sign(sign)));
                sign.len()
            } else {
                let spot = piece.spot(at, at + first.len_utf8());
                return Err(spot.mistake(format!("the character {first:?} has no meaning here")));
            };
            at += length;
        }
        Ok(())
    }

    /// `#include "path" "path"`, up to the end of the line or a semicolon; its length.
    fn include(&mut self, piece: &Piece<'_>, start: usize, depth: usize) -> Result<usize, Mistake> {
        let text = piece.text();
        let mut at = start + "#include".len();
        loop {
            at += span(&text[at..], |c| c == ' ' || c == '\t' || c == '\r');
            let rest = &text[at..];
            if rest.starts_with(['\n', ';']) {
                return Ok(at + 1 - start);
            }
            let quoted = rest.strip_prefix('"').and_then(|r| r.split_once('"'));
            let Some((path, _)) = quoted.filter(|(path, _)| !path.is_empty()) else {
                let message = "expected a path in quotes, or the end of the line";
                return Err(piece.spot(at, at).mistake(message));
            };
            let spot = piece.spot(at, at + path.len() + 2);
            self.open(path, &spot, depth)?;
            at += path.len() + 2;
        }
    }

    fn open(&mut self, path: &str, spot: &Spot, depth: usize) -> Result<(), Mistake> {
        if depth == DEEPEST {
            let message = format!("files are included more than {DEEPEST} deep");
            return Err(spot.mistake(message));
        }
        let text = (self.include)(path)
            .map_err(|why| spot.mistake(format!("`{path}` cannot be included: {why}")))?;
        self.file(&Piece::included(path.into(), text, spot), depth + 1)
    }
}

/// The number that a token is, as kafel writes them; `None` when it is none.
pub(super) fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match (text.as_bytes(), text.strip_prefix('-')) {
        (_, Some(digits)) => {
            let negative = digits.parse::<u64>().ok();
            let written = !digits.starts_with(['0', '+']);
            return negative.filter(|_| written).map(u64::wrapping_neg);
        }
        ([b'0', b'x', ..], _) => (&text[2..], 16),
        ([b'0', b'b', ..], _) => (&text[2..], 2),
        ([b'0', _, ..], _) => (&text[1..], 8),
        _ => (text, 10),
    };
    let clean = digits.chars().all(|c| c.is_digit(radix));
    clean.then(|| u64::from_str_radix(digits, radix).ok())?
}
