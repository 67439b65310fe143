//! Cuts a policy file into tokens, line by line.

use super::super::token::{Cursor, Kind, Piece, Token, sign, span};
use crate::Mistake;

/// Longer ones first.
const SIGNS: [&str; 21] = [
    "||", "&&", "==", "!=", "<=", ">=", "|", "&", "<", ">", "=", "~", "(", ")", "{", "}", "[", "]",
    ":", ";", ",",
];

/// The tokens of a file; a line that ends in a backslash goes on with the next.
pub(super) fn tokens(piece: &Piece<'_>) -> Result<Cursor, Mistake> {
    let mut tokens = Vec::new();
    let mut start = 0;
    for line in piece.text().split_inclusive('\n') {
        let written = line.trim_end_matches(['\n', '\r']);
        let kept = written.strip_suffix('\\').unwrap_or(written);
        let mut at = 0;
        while at < kept.len() {
            let Some((kind, length)) = token(&kept[at..]) else {
                let wrong = kept[at..].chars().next().unwrap_or_default();
                let spot = piece.spot(start + at, start + at + wrong.len_utf8());
                return Err(spot.mistake(format!("the character {wrong:?} has no meaning here")));
            };
            if let Some(kind) = kind {
                let spot = piece.spot(start + at, start + at + length);
                tokens.push(Token { kind, spot });
            }
            at += length;
        }
        if kept.len() == written.len() {
            let end = start + written.len();
            let spot = piece.spot(end, end);
            tokens.push(Token {
                kind: Kind::Line,
                spot,
            });
        }
        start += line.len();
    }
    let end = piece.spot(piece.text().len(), piece.text().len());
    Ok(Cursor::new(tokens, end))
}

/// The token at the beginning of `rest`, none for blanks and comments, and its length.
fn token(rest: &str) -> Option<(Option<Kind>, usize)> {
    let first = rest.chars().next()?;
    let with = |length: usize, kind: fn(String) -> Kind| {
        Some((Some(kind(rest[..length].to_owned())), length))
    };
    let digits = rest.strip_prefix('-').unwrap_or(rest);
    let sign_length = rest.len() - digits.len();
    match first {
        '#' => Some((None, rest.len())),
        _ if first.is_whitespace() => Some((None, span(rest, char::is_whitespace))),
        '/' => with(span(rest, |c| !c.is_whitespace()), Kind::Path),
        '.' if rest.starts_with("./") => with(span(rest, |c| !c.is_whitespace()), Kind::Path),
        '@' => with(
            1 + span(&rest[1..], |c| c.is_ascii_alphabetic()),
            Kind::Word,
        ),
        _ if digits.starts_with(|c: char| c.is_ascii_digit()) => {
            let length = span(digits, |c| c.is_ascii_alphanumeric());
            with(sign_length + length, Kind::Number)
        }
        _ if first.is_ascii_alphabetic() || first == '_' => {
            let in_word = |c: char| c.is_ascii_alphanumeric() || "_-@".contains(c);
            with(span(rest, in_word), Kind::Word)
        }
        _ => sign(rest, &SIGNS).map(|s| (Some(Kind::Sign(s)), s.len())),
    }
}
