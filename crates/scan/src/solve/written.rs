//! Protected data that reached code writes to before it is protected.

use std::collections::BTreeMap;
use std::ops::Range;

/// Stretches of memory, apart from each other: start to end.
#[derive(Clone, Default, Debug)]
pub(super) struct Written(BTreeMap<u64, u64>);

impl Written {
    /// Whether somebody writes to the word that `at` is in.
    pub(super) fn holds(&self, at: u64) -> bool {
        self.covers(&(at & !7..(at & !7) + 1))
    }

    /// Whether somebody writes to all of it.
    pub(super) fn covers(&self, range: &Range<u64>) -> bool {
        let before = self.0.range(..=range.start).next_back();
        before.is_some_and(|(_, &end)| end >= range.end)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Somebody writes to this too.
    pub(super) fn add(&mut self, range: Range<u64>) {
        let Range { mut start, mut end } = range;
        if start >= end {
            return;
        }
        // What overlaps or touches becomes one.
        while let Some((&first, &last)) = self.0.range(..=end).next_back()
            && last >= start
        {
            start = start.min(first);
            end = end.max(last);
            self.0.remove(&first);
        }
        self.0.insert(start, end);
    }

    /// And to all of that.
    pub(super) fn add_all(&mut self, other: &Written) {
        for (&start, &end) in &other.0 {
            self.add(start..end);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_added(ranges in prop::collection::vec((0..40u64, 0..12u64), 0..12)) {
            let mut written = Written::default();
            for &(start, size) in &ranges {
                written.add(start * 8..(start + size) * 8);
            }
            for word in 0..64 {
                let added = ranges.iter().any(|&(s, size)| (s..s + size).contains(&word));
                prop_assert_eq!(written.holds(word * 8 + 3), added);
            }
            let apart = written.0.iter().zip(written.0.iter().skip(1));
            prop_assert!(apart.into_iter().all(|(a, b)| a.1 < b.0));
        }
    }
}
