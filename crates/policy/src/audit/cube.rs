//! Sets of words in a form that every condition has exactly: some bits are fixed, the others free.

use std::collections::BTreeSet;
use std::rc::Rc;

use portcullis_abi::ArgValue;

use crate::ranges::complement;
use crate::{Condition, Op, Width};

/// Strided ranges with at most so many values are told one by one.
const MOST_STEPS: u64 = 64;
/// The bits that a comparison at [`Width::W32`] looks at.
const LOW: u64 = 0xffff_ffff;

/// The words whose bits under `mask` are `value`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Cube {
    mask: u64,
    value: u64,
}

impl Cube {
    /// All words.
    pub(crate) const ALL: Cube = Cube { mask: 0, value: 0 };

    /// One word.
    pub(crate) fn word(value: u64) -> Cube {
        Cube {
            mask: u64::MAX,
            value,
        }
    }

    /// The words whose low half is that of `value`.
    pub(crate) fn low(value: u64) -> Cube {
        Cube {
            mask: LOW,
            value: value & LOW,
        }
    }

    /// The word, if all that `width` looks at is fixed.
    pub(crate) fn single(self, width: Width) -> Option<u64> {
        let seen = width.most();
        (self.mask & seen == seen).then_some(self.value & seen)
    }

    /// What is in both.
    pub(crate) fn meet(self, other: Cube) -> Option<Cube> {
        let both = self.mask & other.mask;
        ((self.value ^ other.value) & both == 0).then_some(Cube {
            mask: self.mask | other.mask,
            value: self.value | other.value,
        })
    }

    /// What is not in `other`: disjoint.
    fn minus(self, other: Cube) -> Vec<Cube> {
        let Some(_) = self.meet(other) else {
            return vec![self];
        };
        // One piece for each bit that `other` alone fixes: the bits before agree, this one does not.
        let mut pieces = Vec::new();
        let mut agreed = self;
        let mut open = other.mask & !self.mask;
        while open != 0 {
            let bit = open & open.wrapping_neg();
            pieces.push(Cube {
                mask: agreed.mask | bit,
                value: agreed.value | (!other.value & bit),
            });
            agreed.mask |= bit;
            agreed.value |= other.value & bit;
            open &= !bit;
        }
        pieces
    }
}

/// Words: what is in any of these.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Words(Rc<[Cube]>);

impl Words {
    /// All of them.
    pub(crate) fn all() -> Words {
        Words::of(vec![Cube::ALL])
    }

    /// Those of cubes.
    pub(crate) fn of(cubes: Vec<Cube>) -> Words {
        Words(cubes.into())
    }

    /// How many cubes they are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is also in one of `cubes`, which are disjoint; `None` when nothing is.
    pub(crate) fn meet(&self, cubes: &[Cube]) -> Option<Words> {
        let own = self.0.iter();
        let both = own.flat_map(|c| cubes.iter().filter_map(|other| c.meet(*other)));
        let both: Vec<Cube> = both.collect();
        (!both.is_empty()).then(|| Words::of(both))
    }

    /// Whether anything is also in one of `cubes`.
    pub(crate) fn meets(&self, cubes: &[Cube]) -> bool {
        let mut own = self.0.iter();
        own.any(|c| cubes.iter().any(|other| c.meet(*other).is_some()))
    }

    /// All of them one by one, if that can be done, as far as `width` looks.
    pub(crate) fn values(&self, width: Width) -> Option<BTreeSet<u64>> {
        self.0.iter().map(|c| c.single(width)).collect()
    }
}

/// The words of which a condition holds, and those of which it does not: each disjoint.
pub(crate) fn halves(condition: &Condition) -> (Vec<Cube>, Vec<Cube>) {
    let most = condition.width.most();
    if let Some(holds) = condition.ranges() {
        let cubes = |all: &[(u64, u64)]| all.iter().flat_map(|r| range(*r, 0, most)).collect();
        return (cubes(&holds), cubes(&complement(&holds, most)));
    }
    let swapped = |(a, b): (Vec<Cube>, Vec<Cube>)| (b, a);
    let masked = |mask: u64, value: u64| match value & !(mask & most) {
        0 => {
            let holds = Cube {
                mask: mask & most,
                value,
            };
            (vec![holds], Cube::ALL.minus(holds))
        }
        // It asks for bits that it masks away.
        _ => (Vec::new(), vec![Cube::ALL]),
    };
    match &condition.op {
        Op::Masked { mask, value } => masked(*mask, *value),
        Op::NotMasked { mask, value } => swapped(masked(*mask, *value)),
        // All others are ranges.
        _ => (vec![Cube::ALL], vec![Cube::ALL]),
    }
}

/// What an argument can be, and whether that is all exactly; `low` says that only the low half is told,
/// as of arguments that the kernel declares so.
pub(crate) fn cubes(value: &ArgValue, low: bool) -> (Words, bool) {
    let (cubes, exact) = listed(value, low);
    (Words::of(cubes), exact)
}

fn listed(value: &ArgValue, low: bool) -> (Vec<Cube>, bool) {
    let word = |v: &u64| match low {
        true => Cube::low(*v),
        false => Cube::word(*v),
    };
    match value {
        // A pointer can be anything, and of what cannot be nothing is known either.
        ArgValue::Any | ArgValue::Text(_) => (vec![Cube::ALL], true),
        ArgValue::Values(all) if all.is_empty() => (vec![Cube::ALL], true),
        ArgValue::Values(all) => (all.iter().map(word).collect(), true),
        ArgValue::Masked { mask, values } => {
            let mask = match low {
                true => mask & LOW,
                false => *mask,
            };
            let cube = |v: &u64| Cube {
                mask,
                value: v & mask,
            };
            (values.iter().map(cube).collect(), true)
        }
        ArgValue::Ranges(all) => {
            let mut exact = true;
            let mut found = Vec::new();
            for &(from, to, stride) in all {
                let stride = stride.max(1);
                if to < from {
                    continue;
                }
                let steps = (to - from) / stride;
                if steps < MOST_STEPS {
                    found.extend((0..=steps).map(|n| word(&(from + n * stride))));
                } else if low && to > LOW {
                    exact = false;
                    found.push(Cube::ALL);
                } else {
                    exact &= stride.is_power_of_two();
                    let most = if low { LOW } else { u64::MAX };
                    found.extend(range((from, to), stride.trailing_zeros(), most));
                }
            }
            (found, exact)
        }
    }
}

/// The words of a range whose `low` lowest bits are those of its first, as the few aligned blocks that
/// it consists of; bits above `most` are free.
fn range((from, to): (u64, u64), low: u32, most: u64) -> Vec<Cube> {
    let fixed = from & ((1 << low) - 1);
    let (mut at, last) = (from >> low, to >> low);
    let mut found = Vec::new();
    loop {
        // The largest block that begins here and does not go beyond the end.
        let mut bits = at.trailing_zeros().min(63);
        while bits > 0 && at | ((1 << bits) - 1) > last {
            bits -= 1;
        }
        let whole = at == 0 && last == u64::MAX;
        let free = match whole {
            true => u64::MAX,
            false => (1 << bits) - 1,
        };
        let mask = !(free << low) & most;
        found.push(Cube {
            mask,
            value: ((at << low) | fixed) & mask,
        });
        match (at | free).checked_add(1) {
            Some(next) if next <= last => at = next,
            _ => return found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Words {
        /// One of them.
        pub(crate) fn some(&self) -> u64 {
            self.0[0].some()
        }
    }

    impl Cube {
        /// One of the words.
        pub(crate) fn some(self) -> u64 {
            self.value
        }

        fn has(self, word: u64) -> bool {
            word & self.mask == self.value
        }
    }

    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![
            0u64..20,
            any::<u64>(),
            (0u64..4, 0u64..20).prop_map(|(high, low)| high << 32 | low),
            (0u64..20).prop_map(|n| u64::MAX - n),
            (0u64..20).prop_map(|n| LOW - n),
        ]
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let ranges = || prop::collection::vec((word(), word()), 0..4);
        let op = prop_oneof![
            word().prop_map(Op::Equal),
            word().prop_map(Op::NotEqual),
            word().prop_map(Op::Less),
            word().prop_map(Op::LessEqual),
            word().prop_map(Op::Greater),
            word().prop_map(Op::GreaterEqual),
            (word(), word()).prop_map(|(mask, value)| Op::Masked { mask, value }),
            (word(), word()).prop_map(|(mask, value)| Op::NotMasked { mask, value }),
            ranges().prop_map(Op::In),
            ranges().prop_map(Op::NotIn),
        ];
        let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
        (width, op).prop_map(|(width, op)| Condition {
            index: 0,
            width,
            op,
        })
    }

    proptest! {
        #[test]
        fn halves_are_the_condition(condition in condition(), words in prop::collection::vec(word(), 8)) {
            let (holds, fails) = halves(&condition);
            for word in words {
                let expected = condition.holds(&[word, 0, 0, 0, 0, 0]);
                prop_assert_eq!(holds.iter().filter(|c| c.has(word)).count(), usize::from(expected));
                prop_assert_eq!(fails.iter().filter(|c| c.has(word)).count(), usize::from(!expected));
            }
        }

        #[test]
        fn what_is_without_is_in_neither(
            cubes in prop::collection::vec((word(), word()), 2..5),
            words in prop::collection::vec(word(), 8),
        ) {
            let cubes: Vec<Cube> = cubes.into_iter().map(|(mask, v)| Cube { mask, value: v & mask }).collect();
            let mut left = vec![cubes[0]];
            for cube in &cubes[1..] {
                left = left.into_iter().flat_map(|c| c.minus(*cube)).collect();
            }
            for word in words.into_iter().chain(left.iter().map(|c| c.some())) {
                let expected = cubes[0].has(word) && !cubes[1..].iter().any(|c| c.has(word));
                prop_assert_eq!(left.iter().filter(|c| c.has(word)).count(), usize::from(expected));
            }
        }

        #[test]
        fn ranges_hold_their_steps(from in word(), steps in 0u64..300, stride in 1u64..9, other in word()) {
            prop_assume!(from.checked_add(steps * stride).is_some());
            let to = from + steps * stride;
            let (cubes, exact) = listed(&ArgValue::Ranges(vec![(from, to, stride)]), false);
            for n in 0..=steps {
                prop_assert!(cubes.iter().any(|c| c.has(from + n * stride)));
            }
            for word in [other, from.wrapping_sub(1), to.wrapping_add(1), from.wrapping_add(1)] {
                let inside = from <= word && word <= to && (word - from) % stride == 0;
                if exact {
                    prop_assert_eq!(cubes.iter().any(|c| c.has(word)), inside);
                }
            }
        }
    }
}
