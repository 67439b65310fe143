//! Expressions: comparisons under `!`, `&&`, `||` and commas.

use super::super::super::token::Kind;
use super::super::tree::{Expression, Value};
use super::Parser;
use crate::Mistake;

/// Expressions deeper than this are no policy.
const DEEPEST: usize = 64;
impl Parser {
    /// Expressions with commas between them, which mean `||`.
    pub(super) fn commas(&mut self, depth: usize) -> Result<Expression, Mistake> {
        self.chain(depth, ",", Expression::Any, |p, d| {
            p.chain(d, "||", Expression::Any, |p, d| {
                p.chain(d, "&&", Expression::All, Parser::primary)
            })
        })
    }

    fn chain(
        &mut self,
        depth: usize,
        sign: &str,
        join: fn(Vec<Expression>) -> Expression,
        part: fn(&mut Parser, usize) -> Result<Expression, Mistake>,
    ) -> Result<Expression, Mistake> {
        let first = part(self, depth)?;
        if !self.cursor.sees(sign) {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.cursor.takes(sign) {
            all.push(part(self, depth)?);
        }
        Ok(join(all))
    }

    fn primary(&mut self, depth: usize) -> Result<Expression, Mistake> {
        self.bounded(depth)?;
        if self.cursor.takes("!") {
            return Ok(Expression::Not(Box::new(self.primary(depth + 1)?)));
        }
        // A parenthesis begins an expression or the side of a comparison; only what comes behind the
        // closing one tells.
        if self.cursor.sees("(") && !self.is_side() {
            self.cursor.next();
            let inner = self.commas(depth + 1)?;
            self.cursor.expect(")")?;
            return Ok(inner);
        }
        let start = self.cursor.peek().spot.clone();
        let left = self.side(depth)?;
        let operator = self.cursor.next();
        let Kind::Sign(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) = operator.kind else {
            return Err(operator.instead_of("a comparison"));
        };
        let right = self.side(depth)?;
        let spot = start.to(&self.cursor.last().spot);
        Ok(Expression::Compare(left, sign, right, spot))
    }

    /// Whether the parenthesis that comes next holds nothing but bits.
    fn is_side(&mut self) -> bool {
        let mark = self.cursor.mark();
        let mut open = 0;
        let side = loop {
            let token = self.cursor.next();
            match token.kind {
                Kind::Sign("(") => open += 1,
                Kind::Sign(")") if open == 1 => break true,
                Kind::Sign(")") => open -= 1,
                Kind::Sign("&" | "|") | Kind::Word(_) | Kind::Number(_) => {}
                _ => break false,
            }
        };
        self.cursor.back(mark);
        side
    }

    fn side(&mut self, depth: usize) -> Result<Value, Mistake> {
        self.bounded(depth)?;
        let mut joined = self.conjoined(depth)?;
        let mut parts = 0;
        while self.cursor.takes("|") {
            parts += 1;
            self.bounded(depth + parts)?;
            let next = self.conjoined(depth)?;
            joined = Value::Joined("|", Box::new(joined), Box::new(next));
        }
        Ok(joined)
    }

    fn conjoined(&mut self, depth: usize) -> Result<Value, Mistake> {
        let mut joined = self.operand(depth)?;
        let mut parts = 0;
        while self.cursor.takes("&") {
            parts += 1;
            self.bounded(depth + parts)?;
            let next = self.operand(depth)?;
            joined = Value::Joined("&", Box::new(joined), Box::new(next));
        }
        Ok(joined)
    }

    fn operand(&mut self, depth: usize) -> Result<Value, Mistake> {
        if self.cursor.takes("(") {
            let inner = self.side(depth + 1)?;
            self.cursor.expect(")")?;
            return Ok(inner);
        }
        if matches!(self.cursor.peek().kind, Kind::Number(_)) {
            return Ok(Value::Number(self.number()?));
        }
        let (name, spot) = self.name("an argument or a number")?;
        Ok(match self.program.constants.get(&name) {
            Some(number) => Value::Number(*number),
            None => Value::Argument(name, spot),
        })
    }

    fn bounded(&self, depth: usize) -> Result<(), Mistake> {
        match depth > DEEPEST {
            false => Ok(()),
            true => {
                let message = format!("the expression is more than {DEEPEST} deep");
                Err(self.cursor.peek().spot.mistake(message))
            }
        }
    }
}
