//! How long variables of Go can be, in files whose symbols are gone.

use std::ops::Range;

use crate::image::{ImageObject, Slot};

/// Distances that are looked at behind an address.
const LOOKED_AT: usize = 16;

/// Places where variables of Go begin, ascending, and how long those are at most that begin there or
/// before.
///
/// Go's linker puts the variables of a section in order of their sizes (`dodataSect`,
/// cmd/link/internal/ld/data.go), so none is longer than the distance from one that comes later to
/// its successor. What pointers in data lead to begins a variable as a rule: of the next 16
/// distances the median counts, so that pointers into the middle of one do not.
pub(super) fn longest(object: &ImageObject) -> Vec<(u64, u64)> {
    let Some(go) = &object.file.go else {
        return Vec::new();
    };
    let moved = |r: &Range<u64>| r.start.wrapping_add(object.base)..r.end.wrapping_add(object.base);
    let mut found = Vec::new();
    for range in go.variables().iter().map(moved) {
        let words = &object.words.slots;
        let from = words.partition_point(|w| w.at < range.start);
        let own = words[from..].iter().take_while(|w| w.at < range.end);
        let mut begins: Vec<u64> = own
            .filter_map(|word| match word.slot {
                Slot::Address(at) if range.contains(&at.0) => Some(at.0),
                _ => None,
            })
            .collect();
        begins.sort_unstable();
        begins.dedup();
        found.extend(begins.windows(LOOKED_AT + 1).map(|near| {
            let mut distances: Vec<u64> = near.windows(2).map(|two| two[1] - two[0]).collect();
            distances.sort_unstable();
            (near[0], distances[LOOKED_AT / 2 - 1])
        }));
    }
    found.sort_unstable();
    found
}
