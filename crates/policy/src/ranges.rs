//! Sets of values as ranges with both bounds: ascending, and no two of them touch.

/// A set of values.
pub(crate) type Ranges = Vec<(u64, u64)>;

/// The values up to `most` that are in any of `ranges`, which may overlap and be in any order; one whose
/// bounds are exchanged has none.
pub(crate) fn apart(ranges: impl IntoIterator<Item = (u64, u64)>, most: u64) -> Ranges {
    let ranges = ranges.into_iter();
    let mut within: Ranges = ranges
        .filter(|(low, high)| low <= high && *low <= most)
        .map(|(low, high)| (low, high.min(most)))
        .collect();
    within.sort_unstable();
    let mut all = Ranges::with_capacity(within.len());
    for (low, high) in within {
        match all.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => all.push((low, high)),
        }
    }
    all
}

/// The values up to `most` that are not in the set.
pub(crate) fn complement(set: &[(u64, u64)], most: u64) -> Ranges {
    let mut others = Ranges::with_capacity(set.len() + 1);
    let mut next = Some(0);
    for &(low, high) in set {
        others.extend(next.filter(|from| *from < low).map(|from| (from, low - 1)));
        next = high.checked_add(1).filter(|from| *from <= most);
    }
    others.extend(next.map(|from| (from, most)));
    others
}

/// The values that are in both sets.
pub(crate) fn intersection(one: &[(u64, u64)], other: &[(u64, u64)]) -> Ranges {
    let (mut a, mut b) = (one.iter().peekable(), other.iter().peekable());
    let mut both = Ranges::new();
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        let (low, high) = (x.0.max(y.0), x.1.min(y.1));
        if low <= high {
            both.push((low, high));
        }
        match x.1 < y.1 {
            true => a.next(),
            false => b.next(),
        };
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = Ranges> {
        prop::collection::vec((0u64..12, 0u64..12), 0..6)
    }

    fn has(set: &[(u64, u64)], value: u64) -> bool {
        set.iter()
            .any(|(low, high)| (*low..=*high).contains(&value))
    }

    proptest! {
        #[test]
        fn sets_have_the_values_that_they_should(one in ranges(), other in ranges(), most in 0u64..14) {
            let (a, b) = (apart(one.clone(), most), apart(other, most));
            let (without, both) = (complement(&a, most), intersection(&a, &b));
            for set in [&a, &without, &both] {
                prop_assert!(set.windows(2).all(|w| w[0].1 + 1 < w[1].0), "{:?}", set);
            }
            for value in 0..16 {
                let within = value <= most;
                prop_assert_eq!(has(&a, value), within && has(&one, value));
                prop_assert_eq!(has(&without, value), within && !has(&a, value));
                prop_assert_eq!(has(&both, value), has(&a, value) && has(&b, value));
            }
        }
    }

    #[test]
    fn the_ends_of_64_bits_are_values() {
        let all = [(0, u64::MAX)];
        assert_eq!(apart([(1, u64::MAX), (0, 0)], u64::MAX), all);
        assert_eq!(complement(&all, u64::MAX), []);
        assert_eq!(complement(&[], u64::MAX), all);
        assert_eq!(
            complement(&[(0, u64::MAX - 1)], u64::MAX),
            [(u64::MAX, u64::MAX)]
        );
    }
}
