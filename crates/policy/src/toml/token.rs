//! The words of a condition.

/// A word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token<'a> {
    /// A name: of an argument, a constant, or one of `as`, `in`, `not`.
    Name(&'a str),
    /// A number; a sign in front belongs to it.
    Number(i128),
    /// Anything else.
    Sign(&'static str),
}

/// Where a word stands in its text: first byte, and the one behind it.
pub(super) type At = (usize, usize);

/// Longer ones first: the first that fits is taken.
const SIGNS: [&str; 15] = [
    "==", "!=", "<=", ">=", "..", "<", ">", "&", "|", "(", ")", "{", "}", ",", "=",
];

/// The words of a text; or what in it is none, and where.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token<'_>, At)>, (String, At)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(first) = rest.chars().next() else {
            break;
        };
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let sign = SIGNS.iter().find(|s| rest.starts_with(**s));
        let (token, length) = if let Some(sign) = sign {
            (Token::Sign(sign), sign.len())
        } else if first == '-' || first.is_ascii_digit() {
            let digits = &rest[usize::from(first == '-')..];
            let length = rest.len() - digits.len() + word(digits);
            let written = &rest[..length];
            let value = number(written).map_err(|why| (why, (at, at + length.max(1))))?;
            (Token::Number(value), length)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = word(rest);
            (Token::Name(&rest[..length]), length)
        } else {
            let end = at + first.len_utf8();
            return Err((format!("`{first}` means nothing in a condition"), (at, end)));
        };
        tokens.push((token, (at, at + length)));
        at += length;
    }
    Ok(tokens)
}

/// Bytes of letters, digits and underscores at the start of a text.
fn word(text: &str) -> usize {
    let inside = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    text.bytes().take_while(|b| inside(b)).count()
}

/// A number as TOML writes it: decimal, `0x`, `0o` or `0b`, with underscores between digits.
pub(super) fn number(written: &str) -> Result<i128, String> {
    let wrong = || format!("`{written}` is no number");
    let (negative, plain) = match written.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, written),
    };
    let (radix, digits) = match plain.as_bytes() {
        [b'0', b'x', ..] => (16, &plain[2..]),
        [b'0', b'o', ..] => (8, &plain[2..]),
        [b'0', b'b', ..] => (2, &plain[2..]),
        // C reads 010 as eight, everybody else as ten.
        [b'0', b'0'..=b'9', ..] => {
            let digits = plain.trim_start_matches('0');
            return Err(format!(
                "`{written}` is not clear: write `0o{digits}` for octal, or no zero in front"
            ));
        }
        _ => (10, plain),
    };
    let outer = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if digits.is_empty() || outer {
        return Err(wrong());
    }
    let digits = digits.replace('_', "");
    let value = i128::from_str_radix(&digits, radix).map_err(|_| wrong())?;
    // A sign inside the digits is none of ours.
    if digits.starts_with(['+', '-']) {
        return Err(wrong());
    }
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_toml() {
        for (written, expected) in [
            ("0", Ok(0)),
            ("-1", Ok(-1)),
            ("0xff_ff", Ok(0xffff)),
            ("0o17", Ok(15)),
            ("0b101", Ok(5)),
            ("18446744073709551615", Ok(i128::from(u64::MAX))),
        ] {
            assert_eq!(number(written), expected, "{written}");
        }
        for wrong in ["0x", "1__2", "12a", "010", "-", "_1", "0x-1"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_know_where_they_stand() {
        let found = tokens("arg0 in {1..0x2}").map(|all| all.len());
        assert_eq!(found, Ok(7));
        assert_eq!(tokens("arg0 @").map_err(|e| e.1), Err((5, 6)));
    }
}
