//! Sets of calls: a constraint per word of `struct seccomp_data`, all of them exact.

use std::rc::Rc;

use portcullis_policy::Call;

/// Words of `struct seccomp_data`.
pub(crate) const WORDS: usize = 16;
pub(crate) const NUMBER: usize = 0;
pub(crate) const ARCH: usize = 1;
/// The low word of the first argument.
pub(crate) const ARGUMENTS: usize = 4;
/// Steps of one search for a member; a search that needs more is given up, loudly.
const MOST_STEPS: u32 = 100_000;
/// Steps of a look that may stay without an answer.
const FEW_STEPS: u32 = 64;

/// Values of one 32-bit word: a range, bits that are known, and bit patterns that are excluded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WordSet {
    low: u32,
    high: u32,
    mask: u32,
    value: u32,
    /// `(mask, value)`: members differ from `value` somewhere in `mask`.
    excluded: Vec<(u32, u32)>,
    /// A contradiction was stated.
    empty: bool,
}

/// The search for a member took too long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooHard;

impl WordSet {
    fn all() -> WordSet {
        WordSet {
            low: 0,
            high: u32::MAX,
            mask: 0,
            value: 0,
            excluded: Vec::new(),
            empty: false,
        }
    }

    fn at_least(&mut self, low: u32) {
        self.low = self.low.max(low);
    }

    fn at_most(&mut self, high: u32) {
        self.high = self.high.min(high);
    }

    fn masked(&mut self, mask: u32, value: u32) {
        let both = self.mask & mask;
        self.empty |= value & !mask != 0 || self.value & both != value & both;
        self.mask |= mask;
        self.value |= value & mask;
    }

    fn not_masked(&mut self, mask: u32, value: u32) {
        // At a bound it only moves the bound.
        if mask == u32::MAX && value == self.low && self.low < self.high {
            self.low += 1;
            return;
        }
        if mask == u32::MAX && value == self.high && self.low < self.high {
            self.high -= 1;
            return;
        }
        // What cannot be in the mask is never equal.
        if value & !mask == 0 {
            self.empty |= mask == 0;
            self.excluded.push((mask, value));
        }
    }

    /// The members as ranges with both bounds, ascending; `None` when there are more than `most`.
    pub(crate) fn ranges(&self, most: usize) -> Result<Option<Vec<(u32, u32)>>, TooHard> {
        let mut all: Vec<(u32, u32)> = Vec::new();
        let mut from = self.low;
        loop {
            let mut rest = self.clone();
            rest.at_least(from);
            let Some(first) = rest.member(&mut MOST_STEPS.clone())? else {
                return Ok(Some(all));
            };
            // Members go on until the lowest bit that is known changes, an exclusion hits, or the end.
            let known = self.mask.trailing_zeros();
            let carry = 1u32.checked_shl(known).map_or(u32::MAX, |bit| bit - 1);
            let mut last = (first | carry).min(self.high);
            for (mask, value) in &self.excluded {
                if let Some(hit) = lowest(first, *mask, *value).filter(|hit| *hit <= last) {
                    last = hit - 1;
                }
            }
            let full = all.len() == most;
            match all.last_mut() {
                Some(before) if before.1.checked_add(1) == Some(first) => before.1 = last,
                _ if full => return Ok(None),
                _ => all.push((first, last)),
            }
            match last.checked_add(1) {
                Some(next) => from = next,
                None => return Ok(Some(all)),
            }
        }
    }

    /// The lowest and the highest value that it may have.
    pub(crate) fn bounds(&self) -> (u32, u32) {
        (self.low, self.high)
    }

    /// Bits that are known and what they are, and the patterns that are excluded beyond the bounds.
    pub(crate) fn bits(&self) -> (u32, u32, &[(u32, u32)]) {
        (self.mask, self.value, &self.excluded)
    }

    /// The lowest member.
    fn member(&self, steps: &mut u32) -> Result<Option<u32>, TooHard> {
        if self.empty || self.low > self.high {
            return Ok(None);
        }
        find(
            self.low,
            self.high,
            self.mask,
            self.value,
            &self.excluded,
            steps,
        )
    }
}

/// The lowest `x` in `low..=high` with `x & mask == value` that no exclusion hits.
///
/// Exclusions of whole words are stepped over; where that does not come to an end soon, bits that are
/// excluded are decided one by one, as solvers of propositions do.
fn find(
    low: u32,
    high: u32,
    mask: u32,
    value: u32,
    excluded: &[(u32, u32)],
    steps: &mut u32,
) -> Result<Option<u32>, TooHard> {
    let (mut mask, mut value) = (mask, value);
    // What differs already excludes nothing; what has one bit left decides it.
    let mut open: Vec<(u32, u32)> = excluded.to_vec();
    loop {
        open.retain(|(m, v)| (v ^ value) & m & mask == 0);
        let Some(&(m, v)) = open.iter().find(|(m, _)| (m & !mask).count_ones() < 2) else {
            break;
        };
        let bit = m & !mask;
        if bit == 0 {
            return Ok(None);
        }
        mask |= bit;
        value |= !v & bit;
    }
    let mut from = low;
    for _ in 0..=2 * open.len() {
        *steps = steps.checked_sub(1).ok_or(TooHard)?;
        let Some(x) = lowest(from, mask, value).filter(|x| *x <= high) else {
            return Ok(None);
        };
        let Some(&(m, _)) = open.iter().find(|(m, v)| x & m == *v) else {
            return Ok(Some(x));
        };
        // Members are hit until a bit changes that the exclusion asks for and that is free.
        let free = m & !mask;
        let below = (1 << free.trailing_zeros()) - 1;
        match (x | below).checked_add(1) {
            Some(next) => from = next,
            None => return Ok(None),
        }
    }
    let free = open.iter().fold(0, |bits, (m, _)| bits | m) & !mask;
    let bit = 1 << free.checked_ilog2().unwrap_or_default();
    let unset = find(from, high, mask | bit, value, &open, steps)?;
    let set = find(from, high, mask | bit, value | bit, &open, steps)?;
    Ok(unset.into_iter().chain(set).min())
}

/// The lowest `x >= low` with `x & mask == value`.
pub(crate) fn lowest(low: u32, mask: u32, value: u32) -> Option<u32> {
    // With the bits above some place kept from `low`, a free bit there raised or a fixed bit
    // there higher than low's, and everything below at its lowest.
    let fits = |x: u32| x & mask == value;
    if fits(low) {
        return Some(low);
    }
    let mut best = None;
    for bit in 0..32 {
        let above = if bit == 31 {
            0
        } else {
            low & (u32::MAX << (bit + 1))
        };
        if low >> bit & 1 == 0 {
            let x = above | 1 << bit | (value & mask & ((1 << bit) - 1));
            if fits(x) && best.is_none_or(|b| x < b) {
                best = Some(x);
            }
        }
    }
    best
}

/// A set of calls. What is known of a word is shared with the set that this one was cut from until it is cut: a proof
/// makes hundreds, and each differs in one word.
#[derive(Clone, Debug)]
pub(crate) struct Region([Rc<WordSet>; WORDS]);

/// A test of one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Test {
    /// At least this.
    AtLeast(u32),
    /// `word & mask == value`.
    Masked(u32, u32),
}

impl Region {
    /// All calls.
    pub(crate) fn all() -> Region {
        let all = Rc::new(WordSet::all());
        Region(std::array::from_fn(|_| Rc::clone(&all)))
    }

    /// The calls of this region whose word passes the test, or fails it.
    pub(crate) fn cut(&self, word: usize, test: Test, passes: bool) -> Region {
        let mut cut = self.clone();
        let set = Rc::make_mut(&mut cut.0[word]);
        match (test, passes) {
            (Test::AtLeast(bound), true) => set.at_least(bound),
            (Test::AtLeast(0), false) => set.empty = true,
            (Test::AtLeast(bound), false) => set.at_most(bound - 1),
            (Test::Masked(u32::MAX, value), true) => {
                set.at_least(value);
                set.at_most(value);
            }
            (Test::Masked(mask, value), true) => set.masked(mask, value),
            (Test::Masked(mask, value), false) => set.not_masked(mask, value),
        }
        cut
    }

    /// The calls of this region where `word & mask`, taken as a number, is at least `bound`, and the
    /// others: each as parts that have no call in common.
    pub(crate) fn ordered(&self, word: usize, mask: u32, bound: u32) -> [Vec<Region>; 2] {
        if mask == u32::MAX {
            return [true, false].map(|passes| vec![self.cut(word, Test::AtLeast(bound), passes)]);
        }
        // Bits outside of the mask are zero: in place of a bound that has one, the lowest number above
        // it that has none divides the words alike.
        let Some(bound) = lowest(bound, !mask, 0) else {
            return [vec![], vec![self.clone()]];
        };
        let (mut passing, mut failing) = (Vec::new(), Vec::new());
        // Numbers are ordered by the highest bit in which they differ.
        let mut above = 0;
        for bit in (0..32).rev().map(|n| 1 << n).filter(|bit| mask & bit != 0) {
            let (differing, side) = match bound & bit {
                0 => (bound & above | bit, &mut passing),
                _ => (bound & above, &mut failing),
            };
            side.push(self.cut(word, Test::Masked(above | bit, differing), true));
            above |= bit;
        }
        passing.push(self.cut(word, Test::Masked(mask, bound), true));
        [passing, failing]
    }

    /// What is known of a word.
    pub(crate) fn word(&self, word: usize) -> &WordSet {
        &self.0[word]
    }

    /// The bounds of a word.
    pub(crate) fn bounds(&self, word: usize) -> (u32, u32) {
        self.0[word].bounds()
    }

    /// How many patterns are excluded.
    pub(crate) fn patterns(&self) -> u32 {
        let count: usize = self.0.iter().map(|set| set.excluded.len()).sum();
        count as u32
    }

    /// Whether a word may have a value left: false only when it has none.
    pub(crate) fn may_have(&self, word: usize) -> bool {
        let mut steps = FEW_STEPS;
        !matches!(self.0[word].member(&mut steps), Ok(None))
    }

    /// A call of the region.
    pub(crate) fn call(&self) -> Result<Option<Call>, TooHard> {
        let wide = |w: &[u32; WORDS], at: usize| u64::from(w[at]) | u64::from(w[at + 1]) << 32;
        Ok(self.member()?.map(|words| Call {
            number: words[NUMBER],
            arch: words[ARCH],
            ip: wide(&words, 2),
            args: std::array::from_fn(|n| wide(&words, ARGUMENTS + 2 * n)),
        }))
    }

    /// The words of a call of the region, the lowest in every word; words are independent.
    pub(crate) fn member(&self) -> Result<Option<[u32; WORDS]>, TooHard> {
        let mut steps = MOST_STEPS;
        let mut call = [0; WORDS];
        for (word, set) in self.0.iter().enumerate() {
            match set.member(&mut steps)? {
                Some(x) => call[word] = x,
                None => return Ok(None),
            }
        }
        Ok(Some(call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_lowest_member_is_found(low in 0u32..64, mask in 0u32..64, value in 0u32..64) {
            let value = value & mask;
            let expected = (low..4096).find(|x| x & mask == value);
            prop_assert_eq!(lowest(low, mask, value), expected);
        }

        #[test]
        fn a_word_is_on_one_side_of_a_bound(mask in 0u32..64, bound in 0u32..64, word in 0u32..64) {
            let this = Region::all().cut(0, Test::Masked(u32::MAX, word), true);
            let holds = |side: Vec<Region>| {
                side.iter().filter(|r| r.member().expect("small").is_some()).count()
            };
            let found = this.ordered(0, mask, bound).map(holds);
            prop_assert_eq!(found, if word & mask >= bound { [1, 0] } else { [0, 1] });
        }

        #[test]
        fn ranges_are_the_members(
            tests in prop::collection::vec((any::<bool>(), 0u32..32, 0u32..32, any::<bool>()), 0..6),
        ) {
            let mut region = Region::all().cut(0, Test::AtLeast(32), false);
            for &(ge, a, b, passes) in &tests {
                let test = if ge { Test::AtLeast(a) } else { Test::Masked(a, b) };
                region = region.cut(0, test, passes);
            }
            let ranges = region.word(0).ranges(64).expect("small").expect("few");
            let fits = |x: u32| tests.iter().all(|&(ge, a, b, passes)| {
                (if ge { x >= a } else { x & a == b }) == passes
            });
            prop_assert!(ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0));
            for x in 0..32 {
                prop_assert_eq!(ranges.iter().any(|(l, h)| (*l..=*h).contains(&x)), fits(x));
            }
        }

        #[test]
        fn members_are_what_the_tests_say(
            tests in prop::collection::vec((any::<bool>(), 0u32..32, 0u32..32, any::<bool>()), 0..6),
        ) {
            let mut region = Region::all().cut(0, Test::AtLeast(32), false);
            for &(ge, a, b, passes) in &tests {
                let test = if ge { Test::AtLeast(a) } else { Test::Masked(a, b) };
                region = region.cut(0, test, passes);
            }
            let fits = |x: u32| tests.iter().all(|&(ge, a, b, passes)| {
                (if ge { x >= a } else { x & a == b }) == passes
            });
            let expected = (0..32).find(|x| fits(*x));
            prop_assert_eq!(region.member().expect("small").map(|c| c[0]), expected);
        }
    }
}
