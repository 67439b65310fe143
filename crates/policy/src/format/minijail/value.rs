//! Constants of expressions.

use portcullis_abi::Arch;

use super::super::names;
use super::super::token::{Cursor, Kind, Token};
use crate::Mistake;

/// Parentheses deeper than this are no policy.
const DEEPEST: usize = 32;

/// `constant|constant`, where a constant is a number or a name, in parentheses or not, with `~`
/// before it or not; as wide as a register.
pub(super) fn value(arch: Arch, cursor: &mut Cursor) -> Result<u64, Mistake> {
    joined(arch, cursor, 0)
}

fn joined(arch: Arch, cursor: &mut Cursor, depth: usize) -> Result<u64, Mistake> {
    let mut value = 0;
    loop {
        let inverted = cursor.takes("~");
        let one = match cursor.sees("(") {
            true if depth == DEEPEST => {
                let message = format!("parentheses are more than {DEEPEST} deep");
                return Err(cursor.peek().spot.mistake(message));
            }
            true => {
                cursor.next();
                let inner = joined(arch, cursor, depth + 1)?;
                cursor.expect(")")?;
                inner
            }
            false => single(arch, &cursor.next())?,
        };
        value |= if inverted { !one & word(arch) } else { one };
        if !cursor.takes("|") {
            return Ok(value);
        }
    }
}

/// A number, as C writes it, or the name of a constant.
pub(super) fn single(arch: Arch, token: &Token) -> Result<u64, Mistake> {
    let text = match &token.kind {
        Kind::Word(name) => {
            return names::constant(arch, name)
                .map(|v| v & word(arch))
                .ok_or_else(|| {
                    token
                        .spot
                        .mistake(format!("the constant `{name}` is not known"))
                });
        }
        Kind::Number(text) => text,
        _ => return Err(token.instead_of("a constant")),
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.as_str()),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    let malformed = || {
        token
            .spot
            .mistake(format!("{} is no number", token.shown()))
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(malformed());
    }
    let bits = arch.register_bits();
    let wide = || {
        let message = format!("{} does not fit in {bits} bits", token.shown());
        token.spot.mistake(message)
    };
    let number = u64::from_str_radix(digits, radix).map_err(|_| wide())?;
    match negative {
        false if number <= word(arch) => Ok(number),
        true if number <= 1 << (bits - 1) => Ok(number.wrapping_neg() & word(arch)),
        _ => Err(wide()),
    }
}

/// All bits of a register.
fn word(arch: Arch) -> u64 {
    match arch.register_bits() {
        64 => u64::MAX,
        _ => 0xffff_ffff,
    }
}
