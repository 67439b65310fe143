//! Where variables of Go begin and how long they can be, in files without symbols.
//!
//! Go's linker puts the variables of a section in order of their sizes (`dodataSect`,
//! cmd/link/internal/ld/data.go), so none is longer than the distance between the beginnings of any
//! two that come after it. The array behind a slice that the compiler laid out is a variable of its own
//! (`slicelit`, cmd/compile/internal/walk/complit.go), and its header says so: an address, and twice the
//! same number of elements.

use std::ops::Range;

use crate::image::{ImageObject, Slot, Variable};
use crate::load::Go;

/// Longest array whose elements are looked at one by one.
const MOST_LOOKED_AT: u64 = 512;

/// The variables of which it is known where they begin, ascending.
pub(super) fn known(object: &ImageObject) -> Vec<Variable> {
    let Some(go) = &object.file.go else {
        return Vec::new();
    };
    let mut arrays: Vec<(u64, u64)> = object
        .words
        .slots
        .iter()
        .filter_map(|word| match word.slot {
            Slot::Address(at) => array(object, go, word.at, at.0),
            Slot::Resolver(_) | Slot::Value(_) => None,
        })
        .collect();
    // Of several slices of one array the longest says most.
    arrays.sort_unstable();
    let mut found = Vec::new();
    for part in &go.data {
        let part = part.start.wrapping_add(object.base)..part.end.wrapping_add(object.base);
        let from = arrays.partition_point(|(at, _)| *at < part.start);
        let to = arrays.partition_point(|(at, _)| *at < part.end);
        let (mut end, mut longest) = (part.end, u64::MAX);
        let mut variables = Vec::new();
        for &(start, count) in arrays[from..to.max(from)].iter().rev() {
            if variables
                .last()
                .is_some_and(|v: &Variable| v.start == start)
            {
                continue;
            }
            longest = longest.min(end - start);
            longest = longest.min(shorter(object, go, start, count, longest));
            variables.push(Variable {
                start,
                end: start + longest,
                longest,
            });
            end = start;
        }
        found.extend(variables.into_iter().rev());
    }
    found.sort_unstable_by_key(|v| v.start);
    found
}

/// The array that the header of a slice at `at` leads to, if one is there: where it begins, how many
/// elements it has.
fn array(object: &ImageObject, go: &Go, at: u64, array: u64) -> Option<(u64, u64)> {
    let number = |at: u64| object.file.memory.u64(at.wrapping_sub(object.base));
    let is_variable = go.is_variable(array.wrapping_sub(object.base));
    let count = number(at.checked_add(8)?).filter(|&n| is_variable && n > 0)?;
    let capacity = number(at.checked_add(16)?)?;
    let pointers = [0, 8, 16].map(|n| go.pointers.at((at + n).wrapping_sub(object.base)));
    let pointers = pointers.map(|known| known.unwrap_or(true));
    let told = go.pointers.at(at.wrapping_sub(object.base)).is_some();
    let header = !told || pointers == [true, false, false];
    (count == capacity && header).then_some((array, count))
}

/// How long an array of so many elements can be, by what is a pointer in it: all elements have one type.
fn shorter(object: &ImageObject, go: &Go, start: u64, count: u64, longest: u64) -> u64 {
    if count < 2 || longest > MOST_LOOKED_AT {
        return longest;
    }
    let pointer = |at: u64| go.pointers.at(at.wrapping_sub(object.base));
    let words = |range: Range<u64>| range.step_by(8).map(pointer);
    let alike = |size: &u64| {
        let end = start + count * size;
        match size % 8 {
            0 => (1..count).all(|n| {
                let next = start + n * size;
                words(start..start + size).eq(words(next..next + size))
            }),
            _ => words(start..end).all(|pointer| pointer == Some(false)),
        }
    };
    let told = words(start..start + longest).all(|pointer| pointer.is_some());
    let size = (1..=longest / count).rev().find(alike).filter(|_| told);
    size.map_or(longest, |size| count * size)
}

#[cfg(test)]
mod tests {
    use crate::image::Addr;
    use crate::load::program;

    /// Where symbols tell how long variables really are.
    #[test]
    fn no_variable_is_longer_than_it_is_said_to_be() {
        let image = program::linked(&[]);
        let object = &image.objects[0];
        // Those that the compiler names itself have no symbols.
        let inside = |at: u64| object.file.names.data.iter().any(|d| d.0 < at && at < d.1);
        for variable in &object.variables {
            assert!(!inside(variable.start), "{variable:x?}");
        }
        let mut told = 0;
        for &(start, end) in &object.file.names.data {
            if let Some(range) = image.go_variable(Addr(start)) {
                assert!(end <= range.end, "{start:#x} {end:#x} {range:x?}");
                told += usize::from(range.end - start < 256);
            }
        }
        assert!(object.variables.len() > 20, "{}", object.variables.len());
        assert!(told > 200, "only {told} are told");
    }
}
