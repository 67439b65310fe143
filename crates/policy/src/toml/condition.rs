//! What a written condition means for a call.

use portcullis_abi::Arch;

use super::facts;
#[cfg(test)]
use super::grammar::parse;
use super::grammar::{Atom, Subject, Test, Value, Written, Wrong};
use super::truth::{Truth, truth};
use crate::{Condition, Op, Span, Width};

impl Written {
    /// The condition on `calls` of `arch`, a call or a range of them; `None` when the argument is
    /// none of theirs. `width` is what the rule says of all its conditions.
    ///
    /// Where a call stands for another one, `meant` is that: names of arguments are its own, and
    /// `lands` says which argument of `calls` each of its arguments is.
    pub(super) fn of(
        &self,
        (arch, calls): (Arch, Span),
        meant: (Arch, Span),
        lands: impl Fn(u8) -> Option<u8>,
        width: Option<Width>,
    ) -> Result<Option<Condition>, Wrong> {
        let index = match &self.subject {
            Subject::Never => return Ok(Some(never())),
            Subject::Index(index) => *index,
            Subject::Name(name, at) => named(meant.0, meant.1, name).map_err(|why| (why, *at))?,
        };
        let Some(index) = lands(index) else {
            return Ok(None);
        };
        let declared = || facts::declared(arch, calls, index);
        let width = self.width.or(width).or_else(declared).unwrap_or(Width::W64);
        let of = |value: &Value| value.of(arch, width);
        let op = match &self.test {
            Test::Compare(op, value) => {
                let constant = of(value)?;
                match *op {
                    "==" => Op::Equal(constant),
                    "!=" => Op::NotEqual(constant),
                    _ if value.negative(arch) => {
                        return Err((
                            "filters compare without signs: a negative number has no order here"
                                .into(),
                            value.at,
                        ));
                    }
                    "<" => Op::Less(constant),
                    "<=" => Op::LessEqual(constant),
                    ">" => Op::Greater(constant),
                    _ => Op::GreaterEqual(constant),
                }
            }
            Test::Bits { mask, equal, value } => {
                let (mask, value) = (of(mask)?, of(value)?);
                match equal {
                    true => Op::Masked { mask, value },
                    false => Op::NotMasked { mask, value },
                }
            }
            Test::Set { inside, members } => {
                let mut ranges = Vec::with_capacity(members.len());
                for (low, high) in members {
                    let range = (of(low)?, of(high)?);
                    if range.0 > range.1 {
                        let at = (low.at.0, high.at.1);
                        return Err(("the range ends below its beginning".into(), at));
                    }
                    ranges.push(range);
                }
                match inside {
                    true => Op::In(ranges),
                    false => Op::NotIn(ranges),
                }
            }
        };
        match truth(&Condition { index, width, op }) {
            Truth::Sometimes(condition) => Ok(Some(condition)),
            Truth::Always => Err(("this holds for every call".into(), self.whole)),
            Truth::Never => Err((
                "this holds for no call; `never` says so when it is meant".into(),
                self.whole,
            )),
        }
    }
}

/// The argument that the kernel calls `name`.
fn named(arch: Arch, calls: Span, name: &str) -> Result<u8, String> {
    let Some(number) = calls.single() else {
        return Err(format!(
            "calls of a range have no common `{name}`; write arg0 to arg5"
        ));
    };
    let all = facts::arguments(arch, number);
    let index = all.iter().position(|a| a.name() == name);
    index.and_then(|at| u8::try_from(at).ok()).ok_or_else(|| {
        let call = arch.name(number).unwrap_or("this call");
        let names: Vec<&str> = all.iter().map(|a| a.name()).collect();
        let known = match names.is_empty() {
            true => "write arg0 to arg5".to_owned(),
            false => format!("its arguments are {}", names.join(", ")),
        };
        format!("{call} has no argument `{name}`; {known}")
    })
}

impl Value {
    /// The bits of the value in an argument of this width.
    fn of(&self, arch: Arch, width: Width) -> Result<u64, Wrong> {
        let bits = match width {
            Width::W32 => 32,
            Width::W64 => 64,
        };
        let mut all = 0;
        for atom in &self.atoms {
            all |= match atom {
                Atom::Number(n) => fitted(*n, bits).ok_or_else(|| {
                    let shown = match *n < 0 {
                        true => n.to_string(),
                        false => format!("{n:#x}"),
                    };
                    (
                        format!("{shown} does not fit an argument of {bits} bits"),
                        self.at,
                    )
                })?,
                Atom::Constant(name, at) => {
                    let value = facts::constant(arch, name).ok_or_else(|| {
                        (
                            format!("{arch} has no constant `{name}`; write its value"),
                            *at,
                        )
                    })?;
                    // The tables hold negative constants as 64 bits.
                    fitted(i128::from(value), bits)
                        .or_else(|| fitted(i128::from(value as i64), bits))
                        .ok_or_else(|| {
                            (
                                format!("{name} is {value:#x}: that does not fit {bits} bits"),
                                *at,
                            )
                        })?
                }
            };
        }
        Ok(all)
    }

    fn negative(&self, arch: Arch) -> bool {
        self.atoms.iter().any(|a| match a {
            Atom::Number(n) => *n < 0,
            Atom::Constant(name, _) => facts::constant(arch, name).is_some_and(|v| (v as i64) < 0),
        })
    }
}

/// The number in two's complement, when it is one of so many bits, signed or not.
fn fitted(number: i128, bits: u32) -> Option<u64> {
    let most = (1i128 << bits) - 1;
    let least = -(1i128 << (bits - 1));
    (least..=most)
        .contains(&number)
        .then_some((number & most) as u64)
}

/// What no call fulfils.
pub(super) fn never() -> Condition {
    Condition {
        index: 0,
        width: Width::W64,
        op: Op::In(Vec::new()),
    }
}

/// The text of a condition, without `as` where the width is what it would be without.
pub(super) fn write(condition: &Condition, usual: Width) -> String {
    if condition.op == Op::In(Vec::new()) {
        return "never".into();
    }
    let width = match condition.width {
        same if same == usual => "",
        Width::W32 => " as u32",
        Width::W64 => " as u64",
    };
    let subject = format!("arg{}{width}", condition.index);
    let one = |op: &str, value: &u64| format!("{subject} {op} {value:#x}");
    match &condition.op {
        Op::Equal(v) => one("==", v),
        Op::NotEqual(v) => one("!=", v),
        Op::Less(v) => one("<", v),
        Op::LessEqual(v) => one("<=", v),
        Op::Greater(v) => one(">", v),
        Op::GreaterEqual(v) => one(">=", v),
        Op::Masked { mask, value } => format!("{subject} & {mask:#x} == {value:#x}"),
        Op::NotMasked { mask, value } => format!("{subject} & {mask:#x} != {value:#x}"),
        Op::In(all) => format!("{subject} in {}", ranges(all)),
        Op::NotIn(all) => format!("{subject} not in {}", ranges(all)),
    }
}

/// `{0x1, 0x4..0x7}`: bounds included.
fn ranges(all: &[(u64, u64)]) -> String {
    let one = |&(low, high): &(u64, u64)| match low == high {
        true => format!("{low:#x}"),
        false => format!("{low:#x}..{high:#x}"),
    };
    let all: Vec<String> = all.iter().map(one).collect();
    format!("{{{}}}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Condition, Wrong> {
        let read = (Arch::X86_64, portcullis_abi::Sysno(0).into());
        let condition = parse(text)?.of(read, read, Some, None)?;
        Ok(condition.expect("every argument has its place"))
    }

    #[test]
    fn every_test_has_its_text() {
        for (text, op) in [
            ("arg2 == -1", Op::Equal(u64::MAX)),
            ("arg2 as u32 == -1", Op::Equal(0xffff_ffff)),
            ("arg2<=0o17", Op::LessEqual(15)),
            ("arg2 & (1|2|4) == 2|4", Op::Masked { mask: 7, value: 6 }),
            ("arg2 & 0x8 != 0", Op::NotMasked { mask: 8, value: 0 }),
            ("arg2 in {1, 3..5}", Op::In(vec![(1, 1), (3, 5)])),
            (
                "arg2 not in {-2..-1}",
                Op::NotIn(vec![(u64::MAX - 1, u64::MAX)]),
            ),
        ] {
            let condition = read(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert_eq!((condition.index, &condition.op), (2, &op), "{text}");
            let again = write(&condition, Width::W64);
            assert_eq!(read(&again).as_ref(), Ok(&condition), "{again}");
        }
        assert_eq!(read("never"), Ok(never()));
    }
}
