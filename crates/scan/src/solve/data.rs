//! Which data reached code can see: only words of reached objects lead on.

use std::collections::BTreeMap;
use std::iter;
use std::ops::Range;

use rustc_hash::FxHashSet;

use super::InstanceId;
use crate::image::{Addr, Image, STEP, Slot};

/// Prefixes of strings that announce code beyond the scanned files or kernel code that may
/// fall back on system calls: what libc looks up to load name services and character sets,
/// and the names of vDSO functions (Linux `Documentation/ABI/stable/vdso`).
const ANNOUNCING: [&str; 6] = [
    "libnss_",
    "__vdso_",
    "__kernel_",
    "gconv-modules",
    "gconv_init",
    "libgcc_s.so",
];

/// How far before an array of Go's its base can be: what is taken from an index is mostly a character, and
/// few elements of tables are longer than four words.
const FOLDED: u64 = 4096;

/// What was reached so far.
#[derive(Default)]
pub(super) struct Data {
    words: FxHashSet<u64>,
    /// Stretches whose words are all reached: start to end.
    stretches: BTreeMap<u64, u64>,
    /// Announcing strings that reached code refers to.
    pub(super) strings: BTreeMap<String, (InstanceId, u64)>,
}

impl Data {
    /// The words that were reached.
    pub(super) fn slots<'a>(&'a self, image: &'a Image) -> impl Iterator<Item = (Addr, Slot)> + 'a {
        let words = self.words.iter();
        words.filter_map(|&at| Some((Addr(at), image.slot(Addr(at))?)))
    }

    /// New words of the object that `at` is in: somebody holds its address.
    ///
    /// A sized symbol says how far an object goes. Without one it may go on to the next symbol or the
    /// section's end; an object of constant data ends where another begins that anything refers to.
    /// Compilers hand out addresses of an object's inside, of its end, and a step before it: in data
    /// that the program can write to, what is beside such an address counts as well, and a table of
    /// constants that ends there.
    pub(super) fn reach_object(&mut self, image: &Image, at: u64) -> Vec<(Addr, Slot)> {
        let mut found = Vec::new();
        if image.beside(Addr(at)).is_some() {
            return self.reach_around(image, at);
        }
        if image.is_function_value(Addr(at)) {
            return self.reach_bytes(image, at, 8);
        }
        if let Some(ended) = image.constant_that_ends(Addr(at)) {
            self.stretch(image, ended, &mut found);
        }
        let Some(region) = image.region(Addr(at)).filter(|r| !r.linkage) else {
            return found;
        };
        // Who holds an address in a variable of Go's does not leave it, nor go back.
        if let Some(variable) = image.go_variable(Addr(at)) {
            let known = image.data_extent(Addr(at));
            self.stretch(image, known.unwrap_or(at & !7..variable.end), &mut found);
            return found;
        }
        // A step before the first object of a section lies in another one.
        let ahead = image.region(Addr(at.wrapping_add(STEP)));
        if let Some(ahead) = ahead.filter(|r| r.writable && r.range.start > at) {
            let first = Addr(ahead.range.start);
            let variable = image.go_variable(first);
            let first = image.data_extent(first).or(variable);
            self.stretch(
                image,
                first.unwrap_or_else(|| ahead.range.clone()),
                &mut found,
            );
        }
        if let Some(set) = set_at(image, at) {
            self.stretch(image, set, &mut found);
        }
        if let Some(extent) = image.data_extent(Addr(at)) {
            let (start, end) = (extent.start, extent.end);
            self.stretch(image, extent, &mut found);
            let beside = match start == at {
                true => image.data_extent(Addr(at.wrapping_sub(1))),
                false if region.writable && end - at <= STEP => image.data_extent(Addr(end)),
                false => None,
            };
            if let Some(beside) = beside {
                self.stretch(image, beside, &mut found);
            }
            return found;
        }
        let end = image
            .next_data_symbol(Addr(at))
            .map_or(region.range.end, |a| a.0.min(region.range.end));
        let constant = (!region.writable).then(|| image.constant_end(Addr(at)));
        let end = constant.flatten().map_or(end, |next| next.0.min(end));
        let value = image.next_function_value(Addr(at));
        let end = value.map_or(end, |next| next.0.min(end));
        let before = region.writable.then(|| image.reference_before(Addr(at)));
        let start = before.map_or(at, |before| before.map_or(0, |b| b.0));
        let range = start.max(region.range.start) & !7..end;
        let range = image.without_go_variables(Addr(at), range);
        self.stretch(image, range, &mut found);
        found
    }

    /// New words at and around `at`, as far as the section goes both ways, or the objects of constant
    /// data do: an access with an index that nothing bounds. Near the border of a section it can be meant
    /// for the one on the other side.
    pub(super) fn reach_around(&mut self, image: &Image, at: u64) -> Vec<(Addr, Slot)> {
        let mut found = Vec::new();
        let at = image.beside(Addr(at)).map_or(at, |beside| beside.0);
        let start = |at| image.region(Addr(at)).map(|r| r.range.start);
        let near = || (8..=STEP).step_by(8);
        let other = |&side: &u64| start(side).is_some_and(|other| Some(other) != start(at));
        let below = near().map(|by| at.saturating_sub(by)).find(other);
        let above = near().map(|by| at.saturating_add(by)).find(other);
        for at in iter::once(at).chain(below).chain(above) {
            let Some(region) = image.region(Addr(at)).filter(|r| !r.linkage) else {
                continue;
            };
            let constants = image.constants_around(Addr(at));
            // An index stays inside the variable; what is taken from it can be folded into the base.
            let variable = image.go_variable(Addr(at));
            let variable = variable.map(|v| match image.go_variable(Addr(at + FOLDED)) {
                Some(last) => v.start..last.end,
                None => v.start..region.range.end,
            });
            let range = variable.or(constants);
            let range =
                range.unwrap_or_else(|| image.without_go_variables(Addr(at), region.range.clone()));
            // No array has function values for its elements.
            let mut start = range.start;
            while start < range.end {
                if image.is_function_value(Addr(start)) {
                    start += 8;
                    continue;
                }
                let value = image.next_function_value(Addr(start));
                let end = value.map_or(range.end, |value| value.0.min(range.end));
                self.stretch(image, start..end, &mut found);
                start = end;
            }
        }
        found
    }

    /// New words among `size` bytes at `at`.
    pub(super) fn reach_bytes(&mut self, image: &Image, at: u64, size: u64) -> Vec<(Addr, Slot)> {
        let mut found = Vec::new();
        self.words(image, at..at.saturating_add(size.max(1)), &mut found);
        found
    }

    fn stretch(&mut self, image: &Image, range: Range<u64>, found: &mut Vec<(Addr, Slot)>) {
        if let Some((_, &end)) = self.stretches.range(..=range.start).next_back()
            && end >= range.end
        {
            return;
        }
        let end = self.stretches.entry(range.start).or_insert(range.end);
        *end = range.end.max(*end);
        self.words(image, range, found);
    }

    fn words(&mut self, image: &Image, range: Range<u64>, found: &mut Vec<(Addr, Slot)>) {
        for (at, slot) in image.slots(range) {
            if self.words.insert(at.0) {
                found.push((at, slot));
            }
        }
    }

    /// Notes an announcing string at `at`.
    pub(super) fn string(&mut self, image: &Image, at: u64, from: (InstanceId, u64)) {
        let Some(bytes) = (1..=24).rev().find_map(|n| image.bytes(Addr(at), n)) else {
            return;
        };
        for prefix in ANNOUNCING {
            if bytes.starts_with(prefix.as_bytes()) {
                let end = bytes
                    .iter()
                    .position(|b| !b.is_ascii_graphic())
                    .unwrap_or(bytes.len());
                let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
                self.strings.entry(text).or_insert(from);
            }
        }
    }
}

/// What the linker collected around `at`, or before it.
fn set_at(image: &Image, at: u64) -> Option<Range<u64>> {
    let regions = [at, at.wrapping_sub(1)].map(|at| image.region(Addr(at)));
    let set = regions.into_iter().flatten().find(|r| r.set)?;
    Some(set.range.clone())
}
