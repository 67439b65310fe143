//! Conditions under and, or and not, as rules can hold them: alternatives of conjunctions.

use crate::{Condition, Op, Width};

/// A statement about the arguments of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Formula {
    /// One comparison.
    Test(Condition),
    /// The opposite.
    Not(Box<Formula>),
    /// All of these; nothing asked when there are none.
    All(Vec<Formula>),
    /// One of these; never when there are none.
    Any(Vec<Formula>),
}

/// Conjunctions of which one must hold.
pub(super) type Alternatives = Vec<Vec<Condition>>;

impl Formula {
    /// What always holds, or never.
    pub(super) fn constant(holds: bool) -> Formula {
        match holds {
            true => Formula::All(Vec::new()),
            false => Formula::Any(Vec::new()),
        }
    }

    /// The same as alternatives; `None` when it takes more than `most`.
    pub(super) fn alternatives(&self, most: usize) -> Option<Alternatives> {
        self.expanded(true, most)
    }

    fn expanded(&self, affirmed: bool, most: usize) -> Option<Alternatives> {
        match self {
            Formula::Test(condition) => {
                let mut condition = condition.clone();
                if !affirmed {
                    condition.op = condition.op.opposite();
                }
                Some(vec![vec![condition]])
            }
            Formula::Not(inner) => inner.expanded(!affirmed, most),
            Formula::All(parts) if affirmed => product(parts, affirmed, most),
            Formula::Any(parts) if !affirmed => product(parts, affirmed, most),
            Formula::All(parts) | Formula::Any(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(part.expanded(affirmed, most)?);
                    if all.len() > most {
                        return None;
                    }
                }
                Some(all)
            }
        }
    }
}

fn product(parts: &[Formula], affirmed: bool, most: usize) -> Option<Alternatives> {
    let mut all: Alternatives = vec![Vec::new()];
    for part in parts {
        let part = part.expanded(affirmed, most)?;
        if all.len() * part.len() > most {
            return None;
        }
        let longer = |head: &Vec<Condition>| {
            let joined = |tail: &Vec<Condition>| [&head[..], &tail[..]].concat();
            part.iter().map(joined).collect::<Alternatives>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    Some(all)
}

/// An argument of which bits are taken away and others set: `(argument & keep) | set`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bits {
    /// Which argument.
    pub(super) index: u8,
    /// How much of it.
    pub(super) width: Width,
    /// The bits that stay.
    pub(super) keep: u64,
    /// The bits that are set whatever the argument is.
    pub(super) set: u64,
}

impl Bits {
    fn normal(mut self) -> Bits {
        let all = match self.width {
            Width::W32 => 0xffff_ffff,
            Width::W64 => u64::MAX,
        };
        self.set &= all;
        self.keep &= all & !self.set;
        self
    }

    fn is_whole(self) -> bool {
        match self.width {
            Width::W32 => self.keep == 0xffff_ffff,
            Width::W64 => self.keep == u64::MAX,
        }
    }

    fn test(self, op: Op) -> Formula {
        Formula::Test(Condition {
            index: self.index,
            width: self.width,
            op,
        })
    }

    /// That the bits in `mask` are those of `value`.
    fn masked(self, mask: u64, value: u64) -> Formula {
        match mask {
            0 => Formula::constant(true),
            _ => self.test(Op::Masked { mask, value }),
        }
    }

    /// That it is `number`.
    pub(super) fn equals(self, number: u64) -> Formula {
        let bits = self.normal();
        if number & bits.set != bits.set || number & !(bits.keep | bits.set) != 0 {
            return Formula::constant(false);
        }
        match bits.is_whole() {
            true => bits.test(Op::Equal(number)),
            false => bits.masked(bits.keep, number & bits.keep),
        }
    }

    /// That it is above `number`, or is it where `or_equal`.
    ///
    /// A masked value has no comparison of its own, so it is cut by the highest bit in which it
    /// differs from the number: above it is what has the same bits before and a one where the
    /// number has a zero.
    pub(super) fn above(self, number: u64, or_equal: bool) -> Formula {
        let bits = self.normal();
        if bits.is_whole() {
            return bits.test(match or_equal {
                true => Op::GreaterEqual(number),
                false => Op::Greater(number),
            });
        }
        if bits.set == 0 && number == u64::from(or_equal) {
            return Formula::Not(Box::new(bits.masked(bits.keep, 0)));
        }
        let mut above = Vec::new();
        let (mut mask, mut value) = (0, 0);
        for bit in (0..64).rev().map(|n| 1u64 << n) {
            let (kept, always) = (bits.keep & bit != 0, bits.set & bit != 0);
            match number & bit == 0 {
                true if always => {
                    above.push(bits.masked(mask, value));
                    return Formula::Any(above);
                }
                true if kept => {
                    above.push(bits.masked(mask | bit, value | bit));
                    mask |= bit;
                }
                false if kept => {
                    mask |= bit;
                    value |= bit;
                }
                false if !always => return Formula::Any(above),
                _ => {}
            }
        }
        if or_equal {
            above.push(bits.masked(mask, value));
        }
        Formula::Any(above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(formula: &Formula, args: &[u64; 6]) -> bool {
        match formula {
            Formula::Test(condition) => condition.holds(args),
            Formula::Not(inner) => !holds(inner, args),
            Formula::All(parts) => parts.iter().all(|p| holds(p, args)),
            Formula::Any(parts) => parts.iter().any(|p| holds(p, args)),
        }
    }

    fn formula() -> impl Strategy<Value = Formula> {
        let test = (0u8..2, 0u64..4, prop::bool::ANY).prop_map(|(index, value, masked)| {
            let op = match masked {
                true => Op::Masked {
                    mask: value,
                    value: value & 1,
                },
                false => Op::Less(value),
            };
            Formula::Test(Condition {
                index,
                width: Width::W64,
                op,
            })
        });
        test.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|f| Formula::Not(Box::new(f))),
                prop::collection::vec(inner.clone(), 0..3).prop_map(Formula::All),
                prop::collection::vec(inner, 0..3).prop_map(Formula::Any),
            ]
        })
    }

    proptest! {
        #[test]
        fn alternatives_say_the_same(formula in formula()) {
            let all = formula.alternatives(1 << 12);
            prop_assume!(all.is_some());
            let all = all.unwrap_or_default();
            for args in (0..16).map(|n| [n & 3, n >> 2, 0, 0, 0, 0]) {
                let one = all.iter().any(|a| a.iter().all(|c| c.holds(&args)));
                prop_assert_eq!(one, holds(&formula, &args));
            }
        }

        #[test]
        fn bits_compare_as_numbers(
            keep in prop_oneof![0u64..16, any::<u64>(), Just(u64::MAX)],
            set in prop_oneof![Just(0), 0u64..16],
            narrow in prop::bool::ANY,
            argument in prop_oneof![0u64..16, any::<u64>()],
            number in prop_oneof![0u64..16, any::<u64>()],
        ) {
            let width = if narrow { Width::W32 } else { Width::W64 };
            let all = if narrow { 0xffff_ffff } else { u64::MAX };
            let bits = Bits { index: 0, width, keep, set };
            let (real, number) = (((argument & keep) | set) & all, number & all);
            let args = [argument, 0, 0, 0, 0, 0];
            prop_assert_eq!(holds(&bits.equals(number), &args), real == number);
            prop_assert_eq!(holds(&bits.equals(real), &args), true);
            prop_assert_eq!(holds(&bits.above(number, false), &args), real > number);
            prop_assert_eq!(holds(&bits.above(number, true), &args), real >= number);
            prop_assert_eq!(holds(&bits.above(real, false), &args), false);
            prop_assert_eq!(holds(&bits.above(real, true), &args), true);
        }
    }

    #[test]
    fn too_many_alternatives_are_none() {
        let test = |index| {
            let op = Op::Equal(1);
            Formula::Test(Condition {
                index,
                width: Width::W64,
                op,
            })
        };
        let pair = Formula::Any(vec![test(0), test(1)]);
        let all = Formula::All(vec![pair; 3]);
        assert_eq!(all.alternatives(8).map(|a| a.len()), Some(8));
        assert_eq!(all.alternatives(7), None);
    }
}
