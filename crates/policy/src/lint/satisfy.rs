//! Whether there are arguments that fulfil some conditions and none of some rules: exact for what the
//! model can say, within a budget.

use crate::ranges::{complement, intersection};
use crate::{Condition, Op, Rule, Width};

/// Looks before one question is left open. Policies that people write take a few dozen.
const MOST_LOOKS: usize = 20_000;

/// Ranges that are copied in the time of a look.
const SIZE_OF_A_LOOK: usize = 16;

/// Looks that are left for all questions about a policy, so that a hostile one ends too.
pub(super) struct Budget(usize);

impl Budget {
    /// That of one policy.
    pub(super) fn new() -> Budget {
        Budget(100 * MOST_LOOKS)
    }

    /// Nothing will be answered any more.
    pub(super) fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

const LOW: u64 = 0xffff_ffff;

/// What one argument is asked to be.
#[derive(Clone, Debug)]
struct Word {
    /// It is in one of these, ascending and apart.
    whole: Vec<(u64, u64)>,
    /// Its low half is.
    low: Vec<(u64, u64)>,
    /// Bits that are known: which, and what they are.
    known: (u64, u64),
    /// Pairs of a mask and what the bits in it are not.
    unlike: Vec<(u64, u64)>,
}

/// What all arguments are asked to be.
#[derive(Clone, Debug)]
struct Wish {
    words: Vec<Word>,
}

/// Whether some call fulfils all `conditions` and fits none of `rules`; `None` when it takes too long
/// to say.
pub(super) fn exists<'a>(
    conditions: impl IntoIterator<Item = &'a Condition>,
    rules: &[&Rule],
    budget: &mut Budget,
) -> Option<bool> {
    if budget.is_spent() {
        return None;
    }
    let given = MOST_LOOKS.min(budget.0);
    let mut looks = given;
    let mut wish = Wish::anything();
    for condition in conditions {
        wish.ask(condition, true);
    }
    let found = match wish.possible(&mut looks) {
        Some(true) => wish.outside(rules, &mut looks),
        other => other,
    };
    // Making a question costs as well, however soon it is answered.
    budget.0 = budget.0.saturating_sub(given - looks + 1);
    found
}

impl Wish {
    fn anything() -> Wish {
        let word = Word {
            whole: vec![(0, u64::MAX)],
            low: vec![(0, LOW)],
            known: (0, 0),
            unlike: Vec::new(),
        };
        Wish {
            words: vec![word; 6],
        }
    }

    fn ask(&mut self, condition: &Condition, fulfilled: bool) {
        match self.words.get_mut(usize::from(condition.index)) {
            Some(word) => word.ask(condition, fulfilled),
            // There is no such argument, so the condition never holds.
            None if fulfilled => self.words.iter_mut().for_each(Word::never),
            None => {}
        }
    }

    /// Ranges and patterns that a copy has.
    fn size(&self) -> usize {
        let size = |w: &Word| w.whole.len() + w.low.len() + w.unlike.len();
        self.words.iter().map(size).sum()
    }

    fn possible(&self, looks: &mut usize) -> Option<bool> {
        for word in &self.words {
            if !word.possible(looks)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Whether something that is possible here fits none of `rules`: of each rule one condition must
    /// fail.
    fn outside(&self, rules: &[&Rule], looks: &mut usize) -> Option<bool> {
        for (at, rule) in rules.iter().enumerate() {
            if self.is_apart(rule, looks)? {
                continue;
            }
            for condition in &rule.conditions {
                *looks = looks.saturating_sub(self.size() / SIZE_OF_A_LOOK);
                if *looks == 0 {
                    return None;
                }
                let mut fails = self.clone();
                fails.ask(condition, false);
                let word = fails.words.get(usize::from(condition.index));
                let possible = word.map_or(Some(true), |word| word.possible(looks))?;
                if possible && fails.outside(&rules[at + 1..], looks)? {
                    return Some(true);
                }
            }
            return Some(false);
        }
        Some(true)
    }

    /// Whether nothing that is possible here fits a rule.
    fn is_apart(&self, rule: &Rule, looks: &mut usize) -> Option<bool> {
        for (index, word) in (0..).zip(&self.words) {
            let mut own = rule
                .conditions
                .iter()
                .filter(|c| c.index == index)
                .peekable();
            if own.peek().is_none() {
                continue;
            }
            let mut word = word.clone();
            own.for_each(|condition| word.ask(condition, true));
            if !word.possible(looks)? {
                return Some(true);
            }
        }
        Some(rule.conditions.iter().any(|c| c.index > 5))
    }
}

impl Word {
    fn never(&mut self) {
        self.whole.clear();
    }

    fn ask(&mut self, condition: &Condition, fulfilled: bool) {
        let most = condition.width.most();
        let ranges = match (&condition.op, condition.ranges()) {
            (_, Some(holds)) if fulfilled => holds,
            (_, Some(holds)) => complement(&holds, most),
            (Op::Masked { mask, value }, None) => {
                return self.ask_mask(mask & most, *value, fulfilled);
            }
            (Op::NotMasked { mask, value }, None) => {
                return self.ask_mask(mask & most, *value, !fulfilled);
            }
            (_, None) => return,
        };
        let own = if condition.width == Width::W32 {
            &mut self.low
        } else {
            &mut self.whole
        };
        *own = intersection(own, &ranges);
    }

    fn ask_mask(&mut self, mask: u64, value: u64, fulfilled: bool) {
        match (fulfilled, value & !mask == 0) {
            (true, true) => {
                let (known, bits) = self.known;
                if (bits ^ value) & known & mask != 0 {
                    self.never();
                }
                self.known = (known | mask, bits | value);
            }
            (true, false) => self.never(),
            (false, true) if mask == 0 => self.never(),
            (false, true) => self.unlike.push((mask, value)),
            (false, false) => {}
        }
    }

    fn possible(&self, looks: &mut usize) -> Option<bool> {
        *looks = looks.checked_sub(1)?;
        if self.whole.is_empty() || self.low.is_empty() {
            return Some(false);
        }
        let (known, bits) = self.known;
        // What a known bit already makes unlike asks nothing more; of the rest the one with the
        // fewest unknown bits is decided first.
        let open = self
            .unlike
            .iter()
            .filter(|(m, v)| (bits ^ v) & known & m == 0);
        let Some(&(mask, value)) = open.min_by_key(|(m, _)| (m & !known).count_ones()) else {
            return Some(self.has_value());
        };
        let unknown = mask & !known;
        if unknown == 0 {
            return Some(false);
        }
        let bit = 1 << unknown.trailing_zeros();
        for set in [!value & bit, value & bit] {
            let mut decided = self.clone();
            decided.known = (known | bit, bits | set);
            if decided.possible(looks)? {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Whether a value has the known bits and is in the ranges. A range of whole words is cut where
    /// the high half is its first, its last, and between.
    fn has_value(&self) -> bool {
        let (known, bits) = self.known;
        let high = |from: u64, to: u64| {
            let next = next(from, known >> 32, bits >> 32);
            next.is_some_and(|value| value <= to)
        };
        let low = |from: u64, to: u64| {
            self.low.iter().any(|&(a, b)| {
                let next = next(a.max(from), known & LOW, bits & LOW);
                next.is_some_and(|value| value <= b.min(to))
            })
        };
        self.whole.iter().any(|&(from, to)| {
            let (first, last) = (from >> 32, to >> 32);
            if first == last {
                return high(first, first) && low(from & LOW, to & LOW);
            }
            high(first, first) && low(from & LOW, LOW)
                || high(last, last) && low(0, to & LOW)
                || last - first > 1 && high(first + 1, last - 1) && low(0, LOW)
        })
    }
}

/// The smallest value from `from` on whose bits in `known` are those of `bits`.
fn next(from: u64, known: u64, bits: u64) -> Option<u64> {
    let wrong = (from ^ bits) & known;
    if wrong == 0 {
        return Some(from);
    }
    let highest = 1u64 << (63 - wrong.leading_zeros());
    // The bit that becomes one: the wrong one, or a free zero above it when it must become zero.
    let raised = match bits & highest != 0 {
        true => highest,
        false => {
            let above = !(highest | (highest - 1));
            let free = !known & !from & above;
            1 << free.trailing_zeros().min(63)
        }
    };
    if bits & highest == 0 && (known | from) & raised != 0 {
        return None;
    }
    Some(from & !(raised | (raised - 1)) | raised | bits & (raised - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;
    use portcullis_abi::Sysno;
    use proptest::prelude::*;

    /// Values small in both halves, so that trying all of them decides.
    const SMALL: [u64; 4] = [0, 1, 2, 3];

    fn condition() -> impl Strategy<Value = Condition> {
        let value = (0u64..5, 0u64..3).prop_map(|(low, high)| high << 32 | low);
        let mask = (0u64..4, 0u64..4).prop_map(|(low, high)| high << 32 | low);
        let range = (value.clone(), value.clone());
        let op = prop_oneof![
            value.clone().prop_map(Op::Equal),
            value.clone().prop_map(Op::NotEqual),
            value.clone().prop_map(Op::Less),
            value.clone().prop_map(Op::LessEqual),
            value.clone().prop_map(Op::Greater),
            value.clone().prop_map(Op::GreaterEqual),
            (mask.clone(), value.clone()).prop_map(|(mask, value)| Op::Masked { mask, value }),
            (mask, value).prop_map(|(mask, value)| Op::NotMasked { mask, value }),
            prop::collection::vec(range.clone(), 0..3).prop_map(Op::In),
            prop::collection::vec(range, 0..3).prop_map(Op::NotIn),
        ];
        let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
        (0u8..2, width, op).prop_map(|(index, width, op)| Condition { index, width, op })
    }

    fn rule(conditions: Vec<Condition>) -> Rule {
        Rule {
            calls: Sysno(0).into(),
            conditions,
            action: Action::Allow,
            provenance: Vec::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn it_is_what_trying_all_says(
            asked in prop::collection::vec(condition(), 0..4),
            rules in prop::collection::vec(prop::collection::vec(condition(), 0..3), 0..5),
        ) {
            // Confined to values that can be tried.
            let limits = (0..2).flat_map(|index| {
                let bound = |width, op| Condition { index, width, op };
                [bound(Width::W32, Op::Less(4)), bound(Width::W64, Op::Less(4 << 32))]
            });
            let asked: Vec<Condition> = asked.into_iter().chain(limits).collect();
            let rules: Vec<Rule> = rules.into_iter().map(rule).collect();
            let refs: Vec<&Rule> = rules.iter().collect();
            let values = || SMALL.iter().flat_map(|h| SMALL.iter().map(move |l| h << 32 | l));
            let found = values().any(|first| {
                values().any(|second| {
                    let args = [first, second, 0, 0, 0, 0];
                    asked.iter().all(|c| c.holds(&args))
                        && !rules.iter().any(|r| r.conditions.iter().all(|c| c.holds(&args)))
                })
            });
            prop_assert_eq!(exists(&asked, &refs, &mut Budget::new()), Some(found));
        }

        #[test]
        fn next_is_the_smallest(from in 0u64..64, known in 0u64..64, bits in 0u64..64) {
            let bits = bits & known;
            let tried = (from..256).find(|v| v & known == bits);
            prop_assert_eq!(next(from, known, bits), tried);
        }
    }

    #[test]
    fn a_highest_value_has_no_next() {
        assert_eq!(next(u64::MAX, 1, 0), None);
        assert_eq!(next(u64::MAX - 1, 1, 1), Some(u64::MAX));
        assert_eq!(next(1 << 63, 1 << 63, 0), None);
    }
}
