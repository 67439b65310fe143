//! The `.policy` files of minijail.
//!
//! One line for each call, `name: expression; action`; the lines of one call are tried in order, and
//! what none of them fits is answered by the default. Comparisons are unsigned and as wide as a
//! register of the architecture, whatever the kernel makes of the argument. Numbers of x32 are
//! numbers like others; calls of another architecture are killed. (minijail5(5), and what its two
//! compilers emit.)

mod filter;
mod lex;
mod value;
mod write;

use std::collections::BTreeMap;

use portcullis_abi::{Arch, Sysno};

use super::token::{Cursor, Kind, Piece, Spot};
use super::{Include, MOST_BYTES, MOST_RULES};
use crate::{
    Action, Baseline, Filter, Mistake, Place, Policy, Remark, Rule, Source, Table, Target,
};
use filter::Single;

pub use write::write;

/// What `kill` means unless the compiler is told otherwise, and the answer to calls of another
/// architecture.
const KILL: Action = Action::KillThread;
/// Files deeper than this are not included (`include_depth_limit`).
const DEEPEST: usize = 10;

/// Reads a policy for the first architecture of `target`; files that it includes are asked from
/// `include`.
pub fn read(text: &str, target: &Target, include: Include<'_>) -> Result<Source, Mistake> {
    let arch = *target
        .arches
        .first()
        .ok_or_else(|| Mistake::whole("for which architecture is not said"))?;
    let mut reader = Reader {
        arch,
        include,
        bytes: 0,
        default: None,
        denies: None,
        answered: BTreeMap::new(),
        rules: Vec::new(),
        places: Vec::new(),
        remarks: Vec::new(),
    };
    reader.file(&Piece::Given(text), 1)?;
    let unlisted = match reader.denies {
        Some(_) => Action::Allow,
        None => reader.default.unwrap_or(KILL),
    };
    let table = Table {
        arch,
        rules: reader.rules,
        baseline: Baseline::All,
        default: unlisted,
        newer: unlisted,
        x32_is_native: arch == Arch::X86_64,
    };
    Ok(Source {
        filters: vec![Filter {
            name: None,
            policy: Policy::of(table, KILL),
            places: vec![reader.places],
        }],
        remarks: reader.remarks,
    })
}

struct Reader<'a> {
    arch: Arch,
    include: Include<'a>,
    bytes: usize,
    default: Option<Action>,
    /// Where the file says that it lists what is denied.
    denies: Option<Spot>,
    /// Calls that an action without a condition answers.
    answered: BTreeMap<Sysno, Spot>,
    rules: Vec<Rule>,
    places: Vec<Place>,
    remarks: Vec<Remark>,
}

impl Reader<'_> {
    fn file(&mut self, piece: &Piece<'_>, depth: usize) -> Result<(), Mistake> {
        self.bytes += piece.text().len();
        if self.bytes > MOST_BYTES {
            let message = format!("the policy has more than {MOST_BYTES} bytes");
            return Err(piece.spot(0, 0).mistake(message));
        }
        let mut cursor = lex::tokens(piece)?;
        while cursor.peek().kind != Kind::End {
            if cursor.peek().kind == Kind::Line {
                cursor.next();
                continue;
            }
            self.statement(&mut cursor, depth)?;
            match cursor.peek().kind {
                Kind::Line | Kind::End => {}
                _ => return Err(cursor.peek().instead_of("the end of the line")),
            }
        }
        Ok(())
    }

    fn statement(&mut self, cursor: &mut Cursor, depth: usize) -> Result<(), Mistake> {
        if cursor.takes_word("@include") {
            return self.included(cursor, depth);
        }
        if cursor.takes_word("@frequency") {
            let (_, spot) = path(cursor)?;
            let message = "how often calls are made changes only the speed of minijail's filter; \
                           the file is not read";
            self.remark(&spot, message);
            return Ok(());
        }
        if cursor.takes_word("@denylist") {
            let spot = cursor.last().spot.clone();
            if !self.rules.is_empty() || self.default.is_some() {
                return Err(spot.mistake("`@denylist` must come before everything else"));
            }
            self.denies = Some(spot);
            return Ok(());
        }
        if cursor.takes_word("@default") {
            let action = self.default_action(cursor)?;
            self.default = Some(action);
            return Ok(());
        }
        self.calls(cursor)
    }

    fn included(&mut self, cursor: &mut Cursor, depth: usize) -> Result<(), Mistake> {
        let (path, spot) = path(cursor)?;
        if depth == DEEPEST {
            let message = format!("files are included more than {DEEPEST} deep");
            return Err(spot.mistake(message));
        }
        let text = (self.include)(&path)
            .map_err(|why| spot.mistake(format!("`{path}` cannot be included: {why}")))?;
        self.file(&Piece::included(path, text, &spot), depth + 1)
    }

    fn default_action(&mut self, cursor: &mut Cursor) -> Result<Action, Mistake> {
        let (word, spot) = cursor.word("the default action")?;
        if self.denies.is_some() {
            return Err(spot.mistake("a policy with `@denylist` allows by default"));
        }
        match word.as_str() {
            "kill" => Ok(KILL),
            "kill-process" => Ok(Action::KillProcess),
            "kill-thread" => Ok(Action::KillThread),
            "trap" => Ok(Action::Trap(0)),
            "user-notify" => Ok(Action::Notify),
            _ => Err(spot.mistake(format!(
                "the default action cannot be `{word}`; it can be kill, kill-process, \
                 kill-thread, trap or user-notify"
            ))),
        }
    }

    /// `name: filter`, or `{name, name}: filter`.
    fn calls(&mut self, cursor: &mut Cursor) -> Result<(), Mistake> {
        let mut calls = Vec::new();
        if cursor.takes("{") {
            loop {
                calls.extend(self.call(cursor)?);
                if !cursor.takes(",") {
                    break;
                }
            }
            cursor.expect("}")?;
        } else {
            calls.extend(self.call(cursor)?);
        }
        cursor.expect(":")?;
        let mut singles = Vec::new();
        if cursor.takes("{") {
            loop {
                singles.push(self.single(cursor)?);
                if !cursor.takes(",") {
                    break;
                }
            }
            cursor.expect("}")?;
        } else {
            singles.push(self.single(cursor)?);
        }
        for (number, name, spot) in &calls {
            for single in &singles {
                self.add(*number, name, spot, single)?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        number: Sysno,
        name: &str,
        spot: &Spot,
        single: &Single,
    ) -> Result<(), Mistake> {
        if self.answered.contains_key(&number) {
            return Err(single.spot.mistake(format!(
                "the call `{name}` has been answered without a condition before"
            )));
        }
        if self.rules.len() + single.alternatives.len() > MOST_RULES {
            return Err(spot.mistake(format!("there are more than {MOST_RULES} rules")));
        }
        for conditions in &single.alternatives {
            if conditions.is_empty() {
                self.answered.insert(number, single.spot.clone());
            }
            self.rules.push(Rule {
                calls: number.into(),
                conditions: conditions.clone(),
                action: single.action,
                provenance: Vec::new(),
            });
            self.places.push(spot.to(&single.spot).place);
        }
        Ok(())
    }

    /// A name, with the architectures that it is meant for; `None` when this is none of them.
    fn call(&mut self, cursor: &mut Cursor) -> Result<Option<(Sysno, String, Spot)>, Mistake> {
        let (name, spot) = cursor.word("the name of a call")?;
        let mut meant = true;
        if cursor.takes("[") {
            loop {
                let (key, key_spot) = cursor.word("`arch`")?;
                cursor.expect("=")?;
                let mut values = Vec::new();
                loop {
                    values.push(cursor.word("the name of an architecture")?);
                    if !cursor.takes(",") {
                        break;
                    }
                }
                if key == "arch" {
                    meant = values
                        .iter()
                        .any(|(v, _)| Arch::from_name(v) == Some(self.arch));
                } else {
                    self.remark(&key_spot, format!("minijail ignores the key `{key}`"));
                }
                if !cursor.takes(";") {
                    break;
                }
            }
            cursor.expect("]")?;
        }
        if !meant {
            return Ok(None);
        }
        if name.contains('@') {
            return Err(spot.mistake(format!(
                "`{name}` is a group, which stands in the constants of minijail's compiler; \
                 write out its calls"
            )));
        }
        match self.arch.number(&name) {
            Some(number) => Ok(Some((number, name, spot))),
            None => Err(spot.mistake(format!("{} has no call `{name}`", self.arch))),
        }
    }

    fn remark(&mut self, spot: &Spot, message: impl AsRef<str>) {
        self.remarks.push(Remark {
            place: spot.place,
            message: spot.said(message.as_ref()),
        });
    }
}

fn path(cursor: &mut Cursor) -> Result<(String, Spot), Mistake> {
    let token = cursor.next();
    match token.kind {
        Kind::Path(path) => Ok((path, token.spot)),
        _ => Err(token.instead_of("a path that begins with `/` or `./`")),
    }
}
