//! Names in descriptions of types, which tell what else is there: words that hold distances look like
//! addresses where a program lies low.

use super::super::memory::Memory;
use super::{Go, varint};

/// From the start of a type's description (`Type`, internal/abi/type.go) to its last two numbers: where its
/// name is, and where the type of pointers to it is, or zero.
const NAME: u64 = 40;
/// The bits of the number of its kind, and the highest (`UnsafePointer`).
const KIND: u8 = 31;
const LAST_KIND: u8 = 26;
/// A name begins with this many flags, and its length.
const FLAGS: u8 = 4;

impl Go {
    /// Whether the word at `at` says where the name of a type is, to which no type of pointers belongs: what
    /// stands before it has the form of the rest of the description, and there is a name.
    pub(crate) fn is_name_of_type(&self, memory: &Memory, at: u64) -> bool {
        let Some(start) = at.checked_sub(NAME).filter(|s| self.types.contains(s)) else {
            return false;
        };
        let words = [0, 8, 16, 24, 32, NAME].map(|n| memory.u64(start.saturating_add(n)));
        let [
            Some(size),
            Some(pointers),
            Some(about),
            Some(equal),
            Some(mask),
            Some(name),
        ] = words
        else {
            return false;
        };
        // A hash of 32 bits comes first.
        let [.., _, align, field_align, kind] = about.to_le_bytes();
        let aligned = |n: u8| n.is_power_of_two() && n <= 8;
        let compares = |value: u64| memory.u64(value).is_some_and(|code| self.begins(code));
        pointers <= size
            && pointers.is_multiple_of(8)
            && aligned(align)
            && aligned(field_align)
            && (1..=LAST_KIND).contains(&(kind & KIND))
            && (equal == 0 || compares(equal))
            && (mask == 0 || memory.bytes(mask, 1).is_some())
            && name >> 32 == 0
            && self.is_name(memory, self.name_at(name))
    }

    /// Where the name at a distance from the first type is.
    pub(super) fn name_at(&self, distance: u64) -> u64 {
        self.types.start.saturating_add(distance)
    }

    /// Whether a name is here (`Name`, internal/abi/type.go).
    pub(super) fn is_name(&self, memory: &Memory, at: u64) -> bool {
        let bytes = memory.from(at).filter(|_| self.types.contains(&at));
        let mut bytes = bytes.unwrap_or(&[]).iter();
        let flags = bytes.next().is_some_and(|flags| flags >> FLAGS == 0);
        let Some(length) = varint(&mut bytes).filter(|&n| flags && n > 0) else {
            return false;
        };
        let text = usize::try_from(length).ok();
        let text = text.and_then(|length| bytes.as_slice().get(..length));
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        text.is_some_and(|text| !text.contains(char::is_control))
    }
}

#[cfg(test)]
mod tests {
    use crate::load::program;

    /// Where the loader fills in addresses, it says so.
    #[test]
    fn no_address_is_taken_for_the_place_of_a_name() {
        let image = program::linked(&["-buildmode=pie"]);
        let object = &image.objects[0];
        let go = object.file.go.as_ref().unwrap();
        let names = go.types.clone().step_by(8);
        let names = names.filter(|&at| go.is_name_of_type(&object.file.memory, at));
        let mut count = 0;
        for at in names.map(|at| at + object.base) {
            let filled = object.words.slots.binary_search_by_key(&at, |word| word.at);
            assert!(filled.is_err(), "{at:#x}");
            count += 1;
        }
        assert!(count > 200, "only {count}");
    }
}
