//! Arguments of calls: what a scan says they can be, and what a trace shows that they were.

use anyhow::{Context, Result};
use serde_json::Value;

/// What one way to make a call passes: what is known, by place.
#[derive(Clone, Debug)]
pub(crate) struct Tuple(Vec<(usize, Known)>);

/// What is known of one argument.
#[derive(Clone, Debug)]
enum Known {
    Values(Vec<u64>),
    /// Lowest, highest, stride.
    Ranges(Vec<[u64; 3]>),
}

impl Known {
    fn holds(&self, traced: u64) -> bool {
        // An argument that the kernel declares as 32 bits is traced as a signed or an unsigned number
        // of these, and said as the other one perhaps.
        let is_narrow = |v: u64| v <= u64::from(u32::MAX) || v >= i32::MIN as i64 as u64;
        let narrow = is_narrow(traced);
        let same = |said: u64| {
            said == traced || (narrow && is_narrow(said) && said as u32 == traced as u32)
        };
        match self {
            Known::Values(all) => all.iter().any(|said| same(*said)),
            Known::Ranges(all) => all.iter().any(|&[low, high, stride]| {
                let within =
                    |v: u64| (low..=high).contains(&v) && (v - low).is_multiple_of(stride.max(1));
                within(traced) || (narrow && within(u64::from(traced as u32)))
            }),
        }
    }
}

impl Tuple {
    /// Whether a call with these arguments can be one of these; what was not traced can be anything.
    pub(crate) fn holds(&self, traced: &[Option<u64>]) -> bool {
        self.0.iter().all(|(place, known)| {
            let value = traced.get(*place).copied().flatten();
            value.is_none_or(|value| known.holds(value))
        })
    }

    /// Reads a tuple's `args` of a scan's document.
    pub(crate) fn read(args: &Value) -> Result<Tuple> {
        let mut all = Vec::new();
        for arg in args.as_array().context("`args` is no array")? {
            let place = arg["index"].as_u64().context("an argument's index")?;
            let place = usize::try_from(place).context("an argument's index")?;
            if let Some(values) = arg["values"].as_array() {
                let values = values.iter().map(number).collect::<Result<_>>()?;
                all.push((place, Known::Values(values)));
            } else if let Some(ranges) = arg["ranges"].as_array() {
                let range = |r: &Value| Ok([number(&r[0])?, number(&r[1])?, number(&r[2])?]);
                let ranges = ranges.iter().map(range).collect::<Result<_>>()?;
                all.push((place, Known::Ranges(ranges)));
            }
        }
        Ok(Tuple(all))
    }
}

/// A number as the documents write it.
fn number(text: &Value) -> Result<u64> {
    let text = text.as_str().context("a number that is no string")?;
    let digits = text.strip_prefix("0x").context("a number without 0x")?;
    u64::from_str_radix(digits, 16).with_context(|| format!("the number {text:?}"))
}

/// What `strace -X raw` shows of the call `name` after its opening bracket, each argument in its
/// place: `None` for what it shows as no number or leaves out.
pub(crate) fn traced(name: &str, rest: &str) -> Vec<Option<u64>> {
    let mut all = shown(rest);
    if name == "futex" {
        // FUTEX_WAIT_BITSET and FUTEX_WAKE_BITSET without what they ignore (futex(2)): strace shows
        // the last argument right behind. FUTEX_LOCK_PI: the fourth, a pointer.
        let operation = all.get(1).copied().flatten().unwrap_or(0) & !FUTEX_FLAGS;
        match operation {
            9 | 10 if all.len() < 6 => {
                let last = all.pop().flatten();
                all.resize(5, None);
                all.push(last);
            }
            6 | 13 => all.truncate(2),
            _ => {}
        }
    }
    all
}

/// FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME (linux/futex.h).
const FUTEX_FLAGS: u64 = 0x180;

/// The arguments as they are shown.
fn shown(rest: &str) -> Vec<Option<u64>> {
    let mut all = Vec::new();
    let mut depth = 0_u32;
    let mut string = false;
    let mut escaped = false;
    let mut word = String::new();
    for c in rest.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if string => escaped = true,
            '"' => string = !string,
            _ if string => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ')' | '<' if depth == 0 => break,
            ',' if depth == 0 => {
                all.push(value(&word));
                word.clear();
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    all.push(value(&word));
    all
}

fn value(word: &str) -> Option<u64> {
    let word = word.trim();
    // What strace adds in words comes after the number.
    let word = word.split(" /*").next().unwrap_or_default();
    if word == "NULL" {
        return Some(0);
    }
    if let Some(digits) = word.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    if word.len() > 1 && word.starts_with('0') {
        return u64::from_str_radix(word, 8).ok();
    }
    match word.strip_prefix('-') {
        Some(digits) => digits.parse::<u64>().ok().map(u64::wrapping_neg),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_and_the_rest_is_left_open() {
        let rest = r#"-100, "a, \"(b", {st_mode=0100644, ...}, 0x80000, 0644, NULL) = 3"#;
        let expected = [
            Some(-100_i64 as u64),
            None,
            None,
            Some(0x80000),
            Some(0o644),
            Some(0),
        ];
        assert_eq!(traced("openat", rest), expected);
        assert_eq!(
            traced("read", "3, 0x7ff,  <unfinished ...>"),
            [Some(3), Some(0x7ff), None]
        );
    }

    #[test]
    fn what_strace_leaves_out_of_a_futex_keeps_its_place() {
        let last = Some(u64::from(u32::MAX));
        assert_eq!(
            traced("futex", "0x7f0, 0x109, 0xd03, NULL, 0xffffffff) = 0"),
            [Some(0x7f0), Some(0x109), Some(0xd03), Some(0), None, last]
        );
        assert_eq!(
            traced("futex", "0x7f0, 0x8a, 1, 0xffffffff) = 0"),
            [Some(0x7f0), Some(0x8a), Some(1), None, None, last]
        );
        assert_eq!(traced("futex", "0x7f0, 0x86, NULL) = 0").len(), 2);
    }

    #[test]
    fn a_tuple_holds_what_it_says() {
        let tuple = Tuple::read(&json!([
            {"index": 0, "any": false, "values": ["0xffffff9c"]},
            {"index": 2, "any": false, "ranges": [["0x10", "0x20", "0x8"]]},
        ]))
        .expect("a tuple");
        let at = |a: i64, c: u64| tuple.holds(&[Some(a as u64), None, Some(c)]);
        assert!(at(-100, 0x18) && tuple.holds(&[None, Some(7)]));
        assert!(!at(-100, 0x14) && !at(-100, 0x28) && !at(-99, 0x18));
    }
}
