//! What a rule asks of an argument.

use std::collections::BTreeMap;

use crate::ranges::{apart, complement};

/// A comparison of one argument with constants.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub index: u8,
    /// How much of it the kernel looks at.
    pub width: Width,
    /// The comparison.
    pub op: Op,
}

impl Condition {
    /// The conditions of the rules that together fit just the calls with one of these values at `places`: a
    /// rule for each beginning, whose last condition lists the values there.
    pub fn exactly(
        places: &[(u8, Width)],
        all: impl IntoIterator<Item = Vec<u64>>,
    ) -> Vec<Vec<Condition>> {
        let Some((last, first)) = places.split_last() else {
            return vec![Vec::new()];
        };
        let mut lists: BTreeMap<Vec<u64>, Vec<u64>> = BTreeMap::new();
        for mut values in all {
            let end = values.pop();
            lists.entry(values).or_default().extend(end);
        }
        let condition = |(index, width): &(u8, Width), op| Condition {
            index: *index,
            width: *width,
            op,
        };
        let rule = |(values, mut ends): (Vec<u64>, Vec<u64>)| {
            ends.sort_unstable();
            let op = match ends.as_slice() {
                [one] => Op::Equal(*one),
                _ => Op::In(ends.into_iter().map(|v| (v, v)).collect()),
            };
            let fixed = first.iter().zip(values);
            let fixed = fixed.map(|(place, value)| condition(place, Op::Equal(value)));
            fixed.chain([condition(last, op)]).collect()
        };
        lists.into_iter().map(rule).collect()
    }
}

/// How much of an argument counts: the kernel passes 64 bits to the filter, but a call whose
/// parameter is an `int` ignores the upper half.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Width {
    /// The low 32 bits.
    W32,
    /// All of it.
    W64,
}

/// An unsigned comparison; constants wider than the argument never fit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Op {
    /// Is this.
    Equal(u64),
    /// Is not this.
    NotEqual(u64),
    /// Is below.
    Less(u64),
    /// Is this or below.
    LessEqual(u64),
    /// Is above.
    Greater(u64),
    /// Is this or above.
    GreaterEqual(u64),
    /// Is `value` in the bits of `mask`.
    Masked {
        /// The bits that count.
        mask: u64,
        /// What they are.
        value: u64,
    },
    /// Is anything else in the bits of `mask`.
    NotMasked {
        /// The bits that count.
        mask: u64,
        /// What they are not.
        value: u64,
    },
    /// Is in one of these ranges, bounds included.
    In(Vec<(u64, u64)>),
    /// Is in none of these ranges, bounds included.
    NotIn(Vec<(u64, u64)>),
}

impl Op {
    /// What holds exactly when this does not.
    pub fn opposite(self) -> Op {
        match self {
            Op::Equal(v) => Op::NotEqual(v),
            Op::NotEqual(v) => Op::Equal(v),
            Op::Less(v) => Op::GreaterEqual(v),
            Op::LessEqual(v) => Op::Greater(v),
            Op::Greater(v) => Op::LessEqual(v),
            Op::GreaterEqual(v) => Op::Less(v),
            Op::Masked { mask, value } => Op::NotMasked { mask, value },
            Op::NotMasked { mask, value } => Op::Masked { mask, value },
            Op::In(all) => Op::NotIn(all),
            Op::NotIn(all) => Op::In(all),
        }
    }
}

impl Width {
    /// The highest value of that many bits.
    pub fn most(self) -> u64 {
        match self {
            Width::W32 => u64::from(u32::MAX),
            Width::W64 => u64::MAX,
        }
    }
}

impl Condition {
    /// The values of the argument's width for which it holds, as ranges with both bounds, ascending
    /// and apart from each other; `None` for conditions on some of the bits.
    pub fn ranges(&self) -> Option<Vec<(u64, u64)>> {
        let most = self.width.most();
        let below = |v: u64| v.checked_sub(1).map_or(Vec::new(), |high| vec![(0, high)]);
        let above = |v: u64| v.checked_add(1).map_or(Vec::new(), |low| vec![(low, most)]);
        let stated = match &self.op {
            Op::Equal(v) => vec![(*v, *v)],
            Op::NotEqual(v) => return Some(complement(&apart([(*v, *v)], most), most)),
            Op::Less(v) => below(*v),
            Op::LessEqual(v) => vec![(0, *v)],
            Op::Greater(v) => above(*v),
            Op::GreaterEqual(v) => vec![(*v, most)],
            Op::In(all) => all.clone(),
            Op::NotIn(all) => return Some(complement(&apart(all.iter().copied(), most), most)),
            Op::Masked { .. } | Op::NotMasked { .. } => return None,
        };
        Some(apart(stated, most))
    }

    /// Whether a call with these arguments fulfils it.
    pub fn holds(&self, args: &[u64; 6]) -> bool {
        let Some(&arg) = args.get(usize::from(self.index)) else {
            return false;
        };
        let arg = match self.width {
            Width::W32 => arg & 0xffff_ffff,
            Width::W64 => arg,
        };
        let in_any =
            |all: &[(u64, u64)]| all.iter().any(|(low, high)| (*low..=*high).contains(&arg));
        match &self.op {
            Op::Equal(v) => arg == *v,
            Op::NotEqual(v) => arg != *v,
            Op::Less(v) => arg < *v,
            Op::LessEqual(v) => arg <= *v,
            Op::Greater(v) => arg > *v,
            Op::GreaterEqual(v) => arg >= *v,
            Op::Masked { mask, value } => arg & mask == *value,
            Op::NotMasked { mask, value } => arg & mask != *value,
            Op::In(all) => in_any(all),
            Op::NotIn(all) => !in_any(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_decides_what_counts() {
        let args = [0x1_0000_0002, 0, 0, 0, 0, 0];
        let is_two = |width| Condition {
            index: 0,
            width,
            op: Op::Equal(2),
        };
        assert!(is_two(Width::W32).holds(&args));
        assert!(!is_two(Width::W64).holds(&args));
    }

    proptest::proptest! {
        #[test]
        fn ranges_are_the_values_that_hold(
            op in 0u8..8,
            v in proptest::sample::select(vec![0, 1, 2, 0xffff_fffe, 0xffff_ffff, 0x1_0000_0000, u64::MAX - 1, u64::MAX]),
            all in proptest::collection::vec((0u64..6, 0u64..6), 0..4),
            wide in proptest::bool::ANY,
        ) {
            let op = match op {
                0 => Op::Equal(v),
                1 => Op::NotEqual(v),
                2 => Op::Less(v),
                3 => Op::LessEqual(v),
                4 => Op::Greater(v),
                5 => Op::GreaterEqual(v),
                6 => Op::In(all),
                _ => Op::NotIn(all),
            };
            let width = if wide { Width::W64 } else { Width::W32 };
            let condition = Condition { index: 0, width, op };
            let ranges = condition.ranges().expect("no mask");
            proptest::prop_assert!(ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0));
            let near = (0..9).chain((0..5).map(|n| v.saturating_sub(2).saturating_add(n)));
            for arg in near.chain([width.most(), width.most() - 1]).filter(|a| *a <= width.most()) {
                let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&arg));
                proptest::prop_assert_eq!(within, condition.holds(&[arg, 0, 0, 0, 0, 0]), "{:#x}", arg);
            }
        }
    }
}
