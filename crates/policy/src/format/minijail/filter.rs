//! What stands behind the colon: expressions and answers.

use super::super::names;
use super::super::token::{Cursor, Kind, Spot};
use super::{KILL, Reader, value};
use crate::{Action, Condition, Mistake, Op, Width};

/// Alternatives, and the answer when one of them holds.
pub(super) struct Single {
    /// One of them is empty when nothing is asked of arguments.
    pub(super) alternatives: Vec<Vec<Condition>>,
    /// The answer.
    pub(super) action: Action,
    /// All of it.
    pub(super) spot: Spot,
}

impl Reader<'_> {
    /// An action, or an expression with the action that follows it.
    pub(super) fn single(&mut self, cursor: &mut Cursor) -> Result<Single, Mistake> {
        let start = cursor.peek().spot.clone();
        let conditional = matches!(&cursor.peek().kind, Kind::Word(w) if argument(w).is_some());
        let (alternatives, action) = match conditional {
            false => (vec![Vec::new()], self.action(cursor)?),
            true => {
                let alternatives = self.expression(cursor)?;
                let action = match cursor.takes(";") {
                    true => self.action(cursor)?,
                    false => Action::Allow,
                };
                (alternatives, action)
            }
        };
        Ok(Single {
            alternatives,
            action,
            spot: start.to(&cursor.last().spot),
        })
    }

    /// Comparisons under `&&` under `||`.
    fn expression(&mut self, cursor: &mut Cursor) -> Result<Vec<Vec<Condition>>, Mistake> {
        let mut alternatives = Vec::new();
        loop {
            let mut all = Vec::new();
            loop {
                all.push(self.comparison(cursor)?);
                if !cursor.takes("&&") {
                    break;
                }
            }
            alternatives.push(all);
            if !cursor.takes("||") {
                return Ok(alternatives);
            }
        }
    }

    fn comparison(&mut self, cursor: &mut Cursor) -> Result<Condition, Mistake> {
        let first = cursor.next();
        let index = match &first.kind {
            Kind::Word(word) => argument(word),
            _ => None,
        };
        let index = index.ok_or_else(|| first.instead_of("an argument, `arg0` to `arg5`"))?;
        let operator = cursor.next();
        let sign = match &operator.kind {
            Kind::Sign(sign) => sign,
            Kind::Word(word) if word == "in" => "in",
            _ => return Err(operator.instead_of("an operator")),
        };
        if !["==", "!=", "<", "<=", ">", ">=", "&", "in"].contains(&sign) {
            return Err(operator.instead_of("an operator"));
        }
        let (width, all) = match self.arch.register_bits() {
            64 => (Width::W64, u64::MAX),
            _ => (Width::W32, 0xffff_ffff),
        };
        let v = value::value(self.arch, cursor)?;
        let op = match sign {
            "==" => Op::Equal(v),
            "!=" => Op::NotEqual(v),
            "<" => Op::Less(v),
            "<=" => Op::LessEqual(v),
            ">" => Op::Greater(v),
            ">=" => Op::GreaterEqual(v),
            // True when any of the bits is set, not when all are.
            "&" => Op::NotMasked { mask: v, value: 0 },
            // True when no other bit is set.
            _ => Op::Masked {
                mask: !v & all,
                value: 0,
            },
        };
        Ok(Condition { index, width, op })
    }

    fn action(&mut self, cursor: &mut Cursor) -> Result<Action, Mistake> {
        let token = cursor.next();
        let word = match &token.kind {
            Kind::Word(word) | Kind::Number(word) => word.as_str(),
            _ => return Err(token.instead_of("an action")),
        };
        if self.denies.is_some() && word != "return" {
            let message = "a policy with `@denylist` answers each of its calls by `return`";
            return Err(token.spot.mistake(message));
        }
        match word {
            "1" | "allow" => Ok(Action::Allow),
            "kill" => Ok(KILL),
            "kill-process" => Ok(Action::KillProcess),
            "kill-thread" => Ok(Action::KillThread),
            "trap" => Ok(Action::Trap(0)),
            "trace" => Ok(Action::Trace(0)),
            "user-notify" => Ok(Action::Notify),
            "log" => Ok(Action::Log),
            "return" => self.errno(cursor),
            _ => Err(token.instead_of(
                "an action (1, allow, return ERROR, kill, kill-process, kill-thread, trap, \
                 trace, log or user-notify)",
            )),
        }
    }

    fn errno(&mut self, cursor: &mut Cursor) -> Result<Action, Mistake> {
        let token = cursor.next();
        let number = match &token.kind {
            Kind::Word(name) => names::errno(name).map(u64::from),
            _ => None,
        };
        let number = match number {
            Some(number) => number,
            None => value::single(self.arch, &token)?,
        };
        let kept = (number & 0xffff).min(4095);
        if kept != number {
            let message = format!("the kernel makes the error number {number} to {kept}");
            self.remark(&token.spot, message);
        }
        Ok(Action::Errno(kept as u16))
    }
}

/// The number in `arg0` to `arg5`.
fn argument(word: &str) -> Option<u8> {
    let number = word.strip_prefix("arg")?;
    let at = ["0", "1", "2", "3", "4", "5"]
        .iter()
        .position(|n| *n == number)?;
    u8::try_from(at).ok()
}
