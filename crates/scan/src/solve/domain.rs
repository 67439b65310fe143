//! What a value can be, when the callers are known: a finite set, a strided range, anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::FunctionId;
use crate::isa::{Binary, Compare, Condition};
use crate::summary::value::fold;

/// Larger sets become ranges.
pub const MOST_VALUES: usize = 128;

/// The values that something can have. Joining only grows it, and it grows at most from
/// nothing through sets of up to [`MOST_VALUES`] and ranges to anything.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Domain {
    /// None: not reached yet.
    #[default]
    Nothing,
    /// These, ascending.
    Set(SmallVec<[u64; 2]>),
    /// From the first to the second in steps of the third.
    Range(u64, u64, u64),
    /// Addresses in frames of functions: whose, and how far from the stack pointer at entry. With
    /// them a null pointer, if the flag is set.
    Frames(Arc<BTreeSet<(FunctionId, i64)>>, bool),
    /// Any.
    Anything,
}

use Domain::{Anything, Frames, Nothing, Range, Set};

impl Domain {
    /// Exactly this.
    pub fn one(value: u64) -> Domain {
        Set(smallvec![value])
    }

    /// The set of these; a range when they are too many.
    pub fn of(values: impl IntoIterator<Item = u64>) -> Domain {
        let mut all: SmallVec<[u64; 2]> = values.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        match all.len() {
            0 => Nothing,
            n if n <= MOST_VALUES => Set(all),
            _ => hull(&all),
        }
    }

    /// The only value, when there is one.
    pub fn single(&self) -> Option<u64> {
        match self {
            Set(all) if all.len() == 1 => Some(all[0]),
            _ => None,
        }
    }

    /// All values, if they are at most `most`.
    pub fn values(&self, most: u64) -> Option<Vec<u64>> {
        match self {
            Nothing => Some(Vec::new()),
            Set(all) => (all.len() as u64 <= most).then(|| all.to_vec()),
            Range(lo, hi, stride) => {
                let steps = (hi - lo) / stride;
                (steps < most).then(|| (0..=steps).map(|n| lo + n * stride).collect())
            }
            Anything | Frames(..) => None,
        }
    }

    /// An address in the frame of a function.
    pub fn frame(function: FunctionId, offset: i64) -> Domain {
        Frames(Arc::new(BTreeSet::from([(function, offset)])), false)
    }

    /// The same, with addresses of frames as unknown numbers.
    pub fn number(self) -> Domain {
        match self {
            Frames(..) => Anything,
            known => known,
        }
    }

    /// Whether one of the values may have one of `bits`.
    pub fn may_have(&self, bits: u64) -> bool {
        match self.values(MOST_VALUES as u64) {
            Some(all) => all.iter().any(|v| v & bits != 0),
            None => true,
        }
    }

    /// Lowest and highest.
    pub fn bounds(&self) -> Option<(u64, u64)> {
        match self {
            Set(all) => Some((*all.first()?, *all.last()?)),
            Range(lo, hi, _) => Some((*lo, *hi)),
            Nothing | Anything | Frames(..) => None,
        }
    }

    /// Either.
    pub fn join(&self, other: &Domain) -> Domain {
        match (self, other) {
            (Nothing, d) | (d, Nothing) => d.clone(),
            (Anything, _) | (_, Anything) => Anything,
            (Frames(a, n), Frames(b, m)) if a.len() + b.len() <= MOST_VALUES => {
                Frames(Arc::new(a.union(b).copied().collect()), *n || *m)
            }
            (Frames(a, _), Set(b)) | (Set(b), Frames(a, _)) if b[..] == [0] => {
                Frames(Arc::clone(a), true)
            }
            (Frames(..), _) | (_, Frames(..)) => Anything,
            (Set(a), Set(b)) if b.iter().all(|v| a.contains(v)) => self.clone(),
            (Set(a), Set(b)) => Domain::of(a.iter().chain(b).copied()),
            (Range(lo, hi, stride), d) | (d, Range(lo, hi, stride)) => {
                let Some((low, high)) = d.bounds() else {
                    return Anything;
                };
                let step = match d {
                    Range(_, _, s) => gcd(*stride, *s),
                    Set(all) => all.windows(2).fold(*stride, |g, w| gcd(g, w[1] - w[0])),
                    _ => 1,
                };
                let step = gcd(step, lo.abs_diff(low));
                let (lo, hi) = ((*lo).min(low), (*hi).max(high));
                Range(lo, hi, step.max(1))
            }
        }
    }

    /// A bound for what grows from `self` to `grown`: when only one end moves, the next of
    /// `bounds` (ascending) that it can stop at, else anything.
    pub fn widen(&self, grown: &Domain, bounds: &[u64]) -> Domain {
        let (Some((low, high)), Some((lo, hi))) = (self.bounds(), grown.bounds()) else {
            return grown.clone();
        };
        let stride = match grown {
            Range(_, _, stride) => *stride,
            Set(all) => all.windows(2).fold(0, |g, w| gcd(g, w[1] - w[0])).max(1),
            Nothing | Anything | Frames(..) => return grown.clone(),
        };
        // A loop leaves at the bound or one step before it.
        if lo == low && lo != hi {
            let ends = bounds
                .iter()
                .flat_map(|&b| [b.checked_sub(stride), Some(b)]);
            let end = ends
                .flatten()
                .filter(|&b| b >= hi)
                .map(|b| lo + (b - lo) / stride * stride)
                .filter(|&b| b >= hi)
                .min();
            return end.map_or(Anything, |end| Range(lo, end, stride));
        }
        if hi == high && lo != hi {
            // Zero is where unsigned numbers end by themselves.
            let ends = bounds
                .iter()
                .flat_map(|&b| [b.checked_add(stride), Some(b)]);
            let end = ends
                .flatten()
                .chain([0])
                .filter(|&b| b <= lo)
                .map(|b| hi - (hi - b) / stride * stride)
                .filter(|&b| b <= lo)
                .max();
            return end.map_or(Anything, |end| Range(end, hi, stride));
        }
        Anything
    }

    /// Two combined.
    pub fn binary(op: Binary, a: &Domain, b: &Domain) -> Domain {
        match (a, b) {
            (Nothing, _) | (_, Nothing) => Nothing,
            (Set(x), Set(y)) if x.len() * y.len() <= 4096 => Domain::of(
                x.iter()
                    .flat_map(|&x| y.iter().map(move |&y| fold(op, x, y))),
            ),
            (Frames(all, false), Set(by)) | (Set(by), Frames(all, false))
                if op == Binary::Add && by.len() == 1 =>
            {
                let moved = all.iter().map(|&(f, o)| (f, o.wrapping_add(by[0] as i64)));
                Frames(Arc::new(moved.collect()), false)
            }
            (Set(_), _) if commutes(op) => Domain::binary_by(op, b, a),
            _ => Domain::binary_by(op, a, b),
        }
    }

    fn binary_by(op: Binary, a: &Domain, b: &Domain) -> Domain {
        let Some(c) = b.single() else {
            return Anything;
        };
        match (op, a) {
            (Binary::And, Anything)
                if c & c.wrapping_add(1) != 0 && c.count_ones() <= MOST_VALUES.ilog2() =>
            {
                Domain::of(parts(c))
            }
            (Binary::And, Range(_, hi, _)) => Range(0, c.min(*hi), 1),
            (Binary::And, Anything) => Range(0, c, 1),
            (Binary::Shr, Anything) if c & 63 != 0 => Range(0, u64::MAX >> (c & 63), 1),
            (Binary::Shr, Range(lo, hi, _)) => Range(lo >> (c & 63), hi >> (c & 63), 1),
            (Binary::Add | Binary::Sub, Range(lo, hi, stride)) => {
                let (l, h) = (fold(op, *lo, c), fold(op, *hi, c));
                if l <= h {
                    Range(l, h, *stride)
                } else {
                    Anything
                }
            }
            (Binary::Shl, Range(lo, hi, stride)) => {
                let by = c & 63;
                if u64::from(hi.leading_zeros()) >= by {
                    Range(lo << by, hi << by, stride << by)
                } else {
                    Anything
                }
            }
            (Binary::Mul, Range(lo, hi, stride)) => match (hi.checked_mul(c), lo.checked_mul(c)) {
                (Some(h), Some(l)) if c > 0 => Range(l, h, stride.saturating_mul(c)),
                _ => Anything,
            },
            _ => Anything,
        }
    }

    /// The low `bits` bits, zero-extended.
    pub fn zero_extend(&self, bits: u8) -> Domain {
        let mask = (1u64 << bits) - 1;
        match self {
            Nothing => Nothing,
            Set(all) => Domain::of(all.iter().map(|v| v & mask)),
            Range(_, hi, _) if *hi <= mask => self.clone(),
            _ => Range(0, mask, 1),
        }
    }

    /// The low `bits` bits, sign-extended.
    pub fn sign_extend(&self, bits: u8) -> Domain {
        let shift = 64 - u32::from(bits);
        match self {
            Nothing => Nothing,
            Set(all) => Domain::of(all.iter().map(|v| (((v << shift) as i64) >> shift) as u64)),
            Range(_, hi, _) if *hi < 1 << (bits - 1) => self.clone(),
            _ => Anything,
        }
    }

    /// Cut to what compares so with one of `bounds` in the low `bits` bits.
    pub fn refine_by(&self, condition: Condition, bits: u8, bounds: &Domain) -> Domain {
        if let Some(bound) = bounds.single() {
            return self.refine(condition, bits, bound);
        }
        match bounds.values(MOST_VALUES as u64) {
            Some(all) if condition == Condition::Eq => {
                let low = u64::MAX >> (64 - u32::from(bits));
                let each = all
                    .into_iter()
                    .map(|b| self.refine(condition, bits, b & low));
                each.fold(Nothing, |sum, one| sum.join(&one))
            }
            _ => self.clone(),
        }
    }

    /// Cut to what compares so with `bound` in the low `bits` bits.
    pub fn refine(&self, condition: Condition, bits: u8, bound: u64) -> Domain {
        match self {
            Nothing => Nothing,
            Set(all) => {
                let other = Domain::one(bound);
                let kept = all.iter().copied().filter(|&v| {
                    decide(
                        condition,
                        Compare::Difference,
                        bits,
                        &Domain::one(v),
                        &other,
                    ) != Some(false)
                });
                Domain::of(kept)
            }
            Range(_, hi, _) if bits < 64 && *hi >= 1 << bits => self.clone(),
            Anything if bits < 64 => Anything,
            Frames(all, _) if condition == Condition::Ne && bits == 64 && bound == 0 => {
                Frames(Arc::clone(all), false)
            }
            Frames(..) => self.clone(),
            Range(..) | Anything => {
                let (lo, hi, stride) = match self {
                    Range(lo, hi, stride) => (*lo, *hi, *stride),
                    _ => (0, u64::MAX, 1),
                };
                let sign = 1u64 << (bits - 1);
                let positive = hi < sign && bound < sign;
                let cut = match condition {
                    Condition::Eq => (lo..=hi).contains(&bound).then_some((bound, bound)),
                    Condition::Ne if bound == lo => lo.checked_add(stride).map(|l| (l, hi)),
                    Condition::Ne if bound == hi => hi.checked_sub(stride).map(|h| (lo, h)),
                    Condition::Below => bound.checked_sub(1).map(|h| (lo, hi.min(h))),
                    Condition::BelowEq => Some((lo, hi.min(bound))),
                    Condition::Above => bound.checked_add(1).map(|l| (lo.max(l), hi)),
                    Condition::AboveEq => Some((lo.max(bound), hi)),
                    Condition::Less if positive => bound.checked_sub(1).map(|h| (lo, hi.min(h))),
                    Condition::LessEq if positive => Some((lo, hi.min(bound))),
                    // What is greater than a number without a sign has none either.
                    Condition::Greater if bound < sign => {
                        Some((lo.max(bound + 1), hi.min(sign - 1)))
                    }
                    Condition::GreaterEq if bound < sign => Some((lo.max(bound), hi.min(sign - 1))),
                    _ => Some((lo, hi)),
                };
                match cut {
                    Some((l, h)) if l <= h => {
                        // Keep to the steps that start at the old low end.
                        let steps = (l - lo).div_ceil(stride);
                        let l = steps.checked_mul(stride).and_then(|s| lo.checked_add(s));
                        let Some(l) = l.filter(|&l| l <= h) else {
                            return Nothing;
                        };
                        if l == h {
                            Domain::one(l)
                        } else if (l, h) == (0, u64::MAX) && stride == 1 {
                            Anything
                        } else {
                            Range(l, l + (h - l) / stride * stride, stride)
                        }
                    }
                    _ => Nothing,
                }
            }
        }
    }
}

fn commutes(op: Binary) -> bool {
    matches!(
        op,
        Binary::Add | Binary::Mul | Binary::And | Binary::Or | Binary::Xor
    )
}

/// All numbers that have no bits but those of `mask`.
fn parts(mask: u64) -> impl Iterator<Item = u64> {
    // The next lower one: a borrow runs through the bits that do not count.
    std::iter::successors(Some(mask), move |&part| {
        (part != 0).then(|| (part - 1) & mask)
    })
}

fn hull(all: &[u64]) -> Domain {
    let stride = all.windows(2).fold(0, |g, w| gcd(g, w[1] - w[0]));
    Range(all[0], all[all.len() - 1], stride.max(1))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Whether the condition holds for all operands (`Some(true)`), for none, or that depends.
pub fn decide(
    condition: Condition,
    kind: Compare,
    bits: u8,
    a: &Domain,
    b: &Domain,
) -> Option<bool> {
    if let (Set(x), Set(y)) = (a, b)
        && x.len() * y.len() <= 1024
    {
        let mut seen = [false; 2];
        for &x in x {
            for &y in y {
                seen[usize::from(kind.holds(condition, bits, x, y)?)] = true;
            }
        }
        return match seen {
            [true, false] => Some(false),
            [false, true] => Some(true),
            _ => None,
        };
    }
    // Bounds decide compares of the full operands only.
    let ((al, ah), (bl, bh)) = (a.bounds()?, b.bounds()?);
    if bits < 64 && (ah >= 1 << bits || bh >= 1 << bits) {
        return None;
    }
    match (kind, condition) {
        (Compare::Difference, Condition::Eq) if ah < bl || bh < al => Some(false),
        (Compare::Difference, Condition::Ne) if ah < bl || bh < al => Some(true),
        (Compare::Difference, Condition::Below) => apart(ah < bl, al >= bh),
        (Compare::Difference, Condition::AboveEq) => apart(al >= bh, ah < bl),
        (Compare::Difference, Condition::BelowEq) => apart(ah <= bl, al > bh),
        (Compare::Difference, Condition::Above) => apart(al > bh, ah <= bl),
        (Compare::Conjunction | Compare::Bits, Condition::Eq) if a == b && al > 0 => Some(false),
        (Compare::Conjunction | Compare::Bits, Condition::Ne) if a == b && al > 0 => Some(true),
        _ => None,
    }
}

fn apart(always: bool, never: bool) -> Option<bool> {
    match (always, never) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_of_few_bits_leaves_few_numbers() {
        let masked = Domain::binary(Binary::And, &Anything, &Domain::one(0x81));
        assert_eq!(masked, Domain::of([0, 1, 0x80, 0x81]));
        let wide = Domain::binary(Binary::And, &Anything, &Domain::one(0xff));
        assert_eq!(wide, Range(0, 0xff, 1));
    }

    #[test]
    fn what_equals_one_of_some_is_one_of_them() {
        let some = Domain::of([3, 5, 0x1_0000_0007]);
        let bytes = Range(0, 0xff, 1);
        assert_eq!(
            bytes.refine_by(Condition::Eq, 64, &some),
            Domain::of([3, 5])
        );
        // In 32 bits the last is 7, and so it is for who compares these.
        let both = Domain::of([7, 8]);
        assert_eq!(both.refine_by(Condition::Eq, 32, &some), Domain::one(7));
        assert_eq!(Anything.refine_by(Condition::Eq, 32, &some), Anything);
        assert_eq!(bytes.refine_by(Condition::Ne, 64, &some), bytes);
    }

    #[test]
    fn what_is_greater_than_a_positive_number_is_positive() {
        let greater = Anything.refine(Condition::Greater, 64, 100);
        assert_eq!(greater.bounds(), Some((101, i64::MAX as u64)));
        let negative = Anything.refine(Condition::Greater, 64, -2i64 as u64);
        assert_eq!(negative, Anything);
    }
}
