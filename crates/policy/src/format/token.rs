//! The words and signs of a text, each with its place, and the cursor that parsers move over them.

use std::rc::Rc;

use crate::{LineColumn, Mistake, Place};

/// Where something stands: in the text that was given, and where in a file that it includes.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// In the text that was given; for what is included, the place that includes it.
    pub(super) place: Place,
    /// The file that is included, and the byte in it.
    inside: Option<(Rc<File>, usize)>,
}

/// A file that is included.
#[derive(Debug)]
pub(super) struct File {
    /// As it is written where it is included.
    pub(super) path: String,
    /// What is in it.
    pub(super) text: String,
}

impl Spot {
    /// What is wrong here.
    pub(super) fn mistake(&self, message: impl AsRef<str>) -> Mistake {
        Mistake::at(self.place, self.said(message.as_ref()))
    }

    /// A message about this spot.
    pub(super) fn said(&self, message: &str) -> String {
        match &self.inside {
            Some((file, at)) => {
                let at = LineColumn::of(&file.text, *at);
                format!("{}:{at}: {message}", file.path)
            }
            None => message.to_owned(),
        }
    }

    /// From here to the end of `other`.
    pub(super) fn to(&self, other: &Spot) -> Spot {
        Spot {
            place: Place {
                start: self.place.start,
                end: other.place.end.max(self.place.end),
            },
            inside: self.inside.clone(),
        }
    }
}

/// A text that is cut into tokens.
pub(super) enum Piece<'a> {
    /// The one that was given.
    Given(&'a str),
    /// One that it includes, and where.
    Included(Rc<File>, Place),
}

impl Piece<'_> {
    /// A file that is included at `spot`.
    pub(super) fn included(path: String, text: String, spot: &Spot) -> Piece<'static> {
        Piece::Included(Rc::new(File { path, text }), spot.place)
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        match self {
            Piece::Given(text) => text,
            Piece::Included(file, _) => &file.text,
        }
    }

    /// The spot of the bytes `start..end` of the text.
    pub(super) fn spot(&self, start: usize, end: usize) -> Spot {
        match self {
            Piece::Given(_) => Spot {
                place: Place { start, end },
                inside: None,
            },
            Piece::Included(file, place) => Spot {
                place: *place,
                inside: Some((file.clone(), start)),
            },
        }
    }
}

/// What a token is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A name or keyword.
    Word(String),
    /// A number as it is written.
    Number(String),
    /// A path.
    Path(String),
    /// An operator or bracket.
    Sign(&'static str),
    /// The end of a line, where lines count.
    Line,
    /// The end of the text.
    End,
}

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    /// Where it stands.
    pub(super) spot: Spot,
}

impl Token {
    /// The token for people.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            Kind::Word(text) | Kind::Number(text) | Kind::Path(text) => format!("`{text}`"),
            Kind::Sign(sign) => format!("`{sign}`"),
            Kind::Line => "the end of the line".into(),
            Kind::End => "the end of the file".into(),
        }
    }

    /// The mistake that something else was expected in its place.
    pub(super) fn instead_of(&self, expected: &str) -> Mistake {
        let message = format!("expected {expected}, found {}", self.shown());
        self.spot.mistake(message)
    }
}

/// Tokens, read one after the other.
pub(super) struct Cursor {
    tokens: Vec<Token>,
    at: usize,
}

impl Cursor {
    /// At the first of `tokens`; behind the last there is only the end, at `end`.
    pub(super) fn new(mut tokens: Vec<Token>, end: Spot) -> Cursor {
        tokens.push(Token {
            kind: Kind::End,
            spot: end,
        });
        Cursor { tokens, at: 0 }
    }

    /// The next token.
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    /// The one before it.
    pub(super) fn last(&self) -> &Token {
        &self.tokens[self.at.saturating_sub(1).min(self.tokens.len() - 1)]
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// Where it is, to come back.
    pub(super) fn mark(&self) -> usize {
        self.at
    }

    /// Goes back to a mark.
    pub(super) fn back(&mut self, mark: usize) {
        self.at = mark;
    }

    /// Whether a sign comes next.
    pub(super) fn sees(&self, sign: &str) -> bool {
        matches!(self.peek().kind, Kind::Sign(s) if s == sign)
    }

    /// Whether a word comes next.
    pub(super) fn sees_word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, Kind::Word(w) if w == word)
    }

    /// Takes a sign if it comes next.
    pub(super) fn takes(&mut self, sign: &str) -> bool {
        let sees = self.sees(sign);
        self.at += usize::from(sees);
        sees
    }

    /// Takes a word if it comes next.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let sees = self.sees_word(word);
        self.at += usize::from(sees);
        sees
    }

    /// Takes a sign that must come next.
    pub(super) fn expect(&mut self, sign: &str) -> Result<Spot, Mistake> {
        match self.sees(sign) {
            true => Ok(self.next().spot),
            false => Err(self.peek().instead_of(&format!("`{sign}`"))),
        }
    }

    /// Takes a word that must come next.
    pub(super) fn word(&mut self, what: &str) -> Result<(String, Spot), Mistake> {
        match self.next() {
            Token {
                kind: Kind::Word(word),
                spot,
            } => Ok((word, spot)),
            other => Err(other.instead_of(what)),
        }
    }
}

/// The bytes of the sign of `signs` that begins `text`; the longer ones must stand first.
pub(super) fn sign(text: &str, signs: &[&'static str]) -> Option<&'static str> {
    signs.iter().copied().find(|s| text.starts_with(s))
}

/// The length in bytes of the part of `text` before the first character that is not `of`.
pub(super) fn span(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of(c)).unwrap_or(text.len())
}
