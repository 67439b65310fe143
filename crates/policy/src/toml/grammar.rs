//! The language of conditions: `arg1 as u32 & (O_WRONLY|O_RDWR) == 0`, `domain in {AF_UNIX, 10}`.
//!
//! ```text
//! condition = "never" | argument [ "as" ( "u32" | "u64" ) ] test
//! argument  = "arg0" … "arg5" | the kernel's name of the argument
//! test      = ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!           | "&" value ( "==" | "!=" ) value
//!           | [ "not" ] "in" "{" value [ ".." value ] { "," value [ ".." value ] } "}"
//! value     = atom { "|" atom } | "(" value ")"
//! atom      = number | the name of a constant
//! ```

use super::token::{At, Token, tokens};
use crate::Width;

/// Something wrong in a condition, and where in its text.
pub(super) type Wrong = (String, At);

/// Values of one condition.
const MOST_TERMS: usize = 1 << 13;

/// A condition as it is written: names are not yet looked up, because what they mean depends on the
/// call and the architecture.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) subject: Subject,
    pub(super) width: Option<Width>,
    pub(super) test: Test,
    /// All of its text.
    pub(super) whole: At,
}

#[derive(Clone, Debug)]
pub(super) enum Subject {
    Never,
    Index(u8),
    Name(String, At),
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    Compare(&'static str, Value),
    Bits {
        mask: Value,
        equal: bool,
        value: Value,
    },
    Set {
        inside: bool,
        members: Vec<(Value, Value)>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) atoms: Vec<Atom>,
    pub(super) at: At,
}

#[derive(Clone, Debug)]
pub(super) enum Atom {
    Number(i128),
    Constant(String, At),
}

/// Reads a condition.
pub(super) fn parse(text: &str) -> Result<Written, Wrong> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        end: (text.len(), text.len()),
        terms: 0,
    };
    let written = parser.condition((0, text.len()))?;
    match parser.tokens {
        [] => Ok(written),
        [(_, at), ..] => Err(("the condition ends before this".into(), *at)),
    }
}

struct Parser<'a> {
    tokens: &'a [(Token<'a>, At)],
    end: At,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<(Token<'a>, At)> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*first)
    }

    fn takes(&mut self, token: Token<'_>) -> bool {
        let fits = self.tokens.first().is_some_and(|(t, _)| *t == token);
        if fits {
            self.tokens = &self.tokens[1..];
        }
        fits
    }

    fn here(&self) -> At {
        self.tokens.first().map_or(self.end, |(_, at)| *at)
    }

    fn need(&mut self, sign: &'static str) -> Result<(), Wrong> {
        let at = self.here();
        match self.takes(Token::Sign(sign)) {
            true => Ok(()),
            false => Err((format!("`{sign}` is missing here"), at)),
        }
    }

    fn condition(&mut self, whole: At) -> Result<Written, Wrong> {
        let at = self.here();
        let subject = match self.next() {
            Some((Token::Name("never"), _)) => Subject::Never,
            Some((Token::Name(name), at)) => match name.strip_prefix("arg").map(str::parse) {
                Some(Ok(index @ 0..=5)) if name.len() == 4 => Subject::Index(index),
                Some(Ok(_)) => {
                    return Err((
                        format!("there is no `{name}`; arguments are arg0 to arg5"),
                        at,
                    ));
                }
                _ => Subject::Name(name.into(), at),
            },
            _ => {
                return Err((
                    "a condition begins with its argument, as `arg0 == 1`".into(),
                    at,
                ));
            }
        };
        if let Subject::Never = subject {
            let test = Test::Set {
                inside: true,
                members: Vec::new(),
            };
            return Ok(Written {
                subject,
                width: None,
                test,
                whole,
            });
        }
        let width = match self.takes(Token::Name("as")) {
            false => None,
            true => {
                let at = self.here();
                Some(match self.next() {
                    Some((Token::Name("u32"), _)) => Width::W32,
                    Some((Token::Name("u64"), _)) => Width::W64,
                    _ => return Err(("an argument is compared `as u32` or `as u64`".into(), at)),
                })
            }
        };
        let test = self.test()?;
        Ok(Written {
            subject,
            width,
            test,
            whole,
        })
    }

    fn test(&mut self) -> Result<Test, Wrong> {
        let at = self.here();
        match self.next() {
            Some((Token::Sign("&"), _)) => {
                let mask = self.value()?;
                let at = self.here();
                let equal = match self.next() {
                    Some((Token::Sign("=="), _)) => true,
                    Some((Token::Sign("!="), _)) => false,
                    _ => return Err(("bits are compared by == or !=".into(), at)),
                };
                let value = self.value()?;
                Ok(Test::Bits { mask, equal, value })
            }
            Some((Token::Name("in"), _)) => self.set(true),
            Some((Token::Name("not"), _)) if self.takes(Token::Name("in")) => self.set(false),
            Some((Token::Sign(op @ ("==" | "!=" | "<" | "<=" | ">" | ">=")), _)) => {
                Ok(Test::Compare(op, self.value()?))
            }
            _ => Err((
                "comparisons are ==, !=, <, <=, >, >=, & MASK ==, & MASK !=, in {...}, \
                 not in {...}"
                    .into(),
                at,
            )),
        }
    }

    fn set(&mut self, inside: bool) -> Result<Test, Wrong> {
        self.need("{")?;
        let mut members = Vec::new();
        loop {
            let low = self.value()?;
            let high = match self.takes(Token::Sign("..")) {
                true => self.value()?,
                false => low.clone(),
            };
            members.push((low, high));
            if !self.takes(Token::Sign(",")) {
                break;
            }
        }
        self.need("}")?;
        Ok(Test::Set { inside, members })
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        let from = self.here();
        let bracketed = self.takes(Token::Sign("("));
        let mut atoms = Vec::new();
        let mut to;
        loop {
            to = self.here();
            atoms.push(match self.next() {
                Some((Token::Number(n), _)) => Atom::Number(n),
                Some((Token::Name(name), at)) => Atom::Constant(name.into(), at),
                _ => {
                    return Err((
                        "a number or the name of a constant is missing here".into(),
                        to,
                    ));
                }
            });
            self.terms += 1;
            if self.terms > MOST_TERMS {
                return Err((
                    format!("more than {MOST_TERMS} values in one condition"),
                    to,
                ));
            }
            if !self.takes(Token::Sign("|")) {
                break;
            }
        }
        if bracketed {
            self.need(")")?;
        }
        Ok(Value {
            atoms,
            at: (from.0, to.1),
        })
    }
}
