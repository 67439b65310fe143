//! What the words of data hold: what the loader puts there, what is constant, and what can change.

use std::ops::Range;

use super::{Addr, Image, ImageObject, Role, Slot};
use crate::load::region_of;

impl Image {
    /// What the loader puts into the word at `at`, if it does, or what looks like a pointer there
    /// in an object at fixed addresses.
    pub fn slot(&self, at: Addr) -> Option<Slot> {
        Some(self.object(at)?.word(at.0)?.slot)
    }

    /// The same, if the program cannot change that word once the loader is done, unless code that
    /// runs before it is protected does.
    pub fn fixed_slot(&self, at: Addr) -> Option<Slot> {
        let region = self.region(at)?;
        let fixed = !region.writable || region.linkage;
        let slot = fixed.then(|| self.slot(at)).flatten();
        slot.or_else(|| self.unfilled(at))
    }

    /// What the linker put into the word of a linkage table that no relocation is for: it stays so, as
    /// only relocations fill that table. There is such a word, with zero, for a weak symbol that nothing
    /// defines in a file that is bound already.
    fn unfilled(&self, at: Addr) -> Option<Slot> {
        let object = self.object(at)?;
        let region = self.region(at).filter(|r| r.linkage)?;
        let word = at.0..at.0.checked_add(8)?;
        // A table begins with three words of the loader's.
        let own = object.file.dynamic.tables.loaders.into_iter().flatten();
        let mut own = own.map(|start| start.wrapping_add(object.base));
        if word.end > region.range.end
            || object.words(word.clone()).next().is_some()
            || object.blurred(&word)
            || own.any(|start| start < word.end && word.start < start.saturating_add(24))
        {
            return None;
        }
        let held = self.bytes(at, 8)?.try_into().map(u64::from_le_bytes);
        held.ok().map(Slot::Value)
    }

    /// The slots that overlap `range`, ascending.
    pub fn slots(&self, range: Range<u64>) -> impl Iterator<Item = (Addr, Slot)> + '_ {
        let object = self.object(Addr(range.start));
        object
            .into_iter()
            .flat_map(move |o| o.words(range.clone()))
            .map(|w| (Addr(w.at), w.slot))
    }

    /// Words that are read although no code refers to the data that they are in: those of linkage
    /// tables, and of the data that each thread gets a copy of.
    pub fn read_by_place(&self) -> impl Iterator<Item = (Addr, Slot)> + '_ {
        let tables = self.objects.iter().flat_map(|o| {
            let linkage = o.regions.iter().filter(|r| r.linkage);
            let linkage = linkage.map(|r| r.range.clone());
            let template = o.file.thread_template.clone();
            let template =
                template.map(|r| r.start.wrapping_add(o.base)..r.end.wrapping_add(o.base));
            linkage.chain(template)
        });
        tables.flat_map(|range| self.slots(range))
    }

    /// Whether an object at fixed addresses holds an address of `range` where no word begins: a member
    /// of a packed structure.
    pub fn names_at_odd_places(&self, range: Range<u64>) -> bool {
        let Some(object) = self.object(Addr(range.start)).filter(|o| o.file.fixed) else {
            return false;
        };
        let data = object.regions.iter().filter(|r| !r.executable);
        data.into_iter().any(|region| {
            let address = region.range.start.wrapping_sub(object.base);
            let length = (region.range.end - region.range.start) as usize;
            let bytes = object.file.memory.from(address).unwrap_or_default();
            let bytes = &bytes[..bytes.len().min(length)];
            let words = (region.range.start..).zip(bytes.windows(8));
            words.into_iter().any(|(at, word)| {
                let word = word.try_into().map(u64::from_le_bytes).unwrap_or(0);
                at % 8 != 0 && range.contains(&word)
            })
        })
    }

    /// The data that symbols which overlap each other cover, around one at `at`.
    pub fn data_extents(&self, at: Addr) -> Option<Range<u64>> {
        let object = self.object(at)?;
        let mut extent = self.data_extent(at)?;
        loop {
            let (start, end) = (extent.start, extent.end);
            for &(first, last) in &object.file.names.data {
                let first = first.wrapping_add(object.base);
                let last = last.wrapping_add(object.base);
                if first < extent.end && extent.start < last {
                    extent = extent.start.min(first)..extent.end.max(last);
                }
            }
            if (start, end) == (extent.start, extent.end) {
                return Some(extent);
            }
        }
    }

    /// No word of the section of `at`, or near it, holds an address: whatever an index is that is
    /// added to `at`, nothing is found by it. (A base can lie before the table that it is for, by
    /// as much as the index is at least.)
    pub fn leads_nowhere(&self, at: Addr) -> bool {
        /// Farther than compilers fold an index into a base.
        const NEAR: u64 = 1 << 16;
        let (Some(object), Some(region)) = (self.object(at), self.region(at)) else {
            return false;
        };
        let Range { start, end } = region.range;
        let mut near = object.words(start.saturating_sub(NEAR)..end.saturating_add(NEAR));
        near.next().is_none()
    }

    /// The number of `size` bytes at `at`, if nothing ever changes it: not the program, not the
    /// loader by a relocation, and not start code before it protects its own data.
    pub fn constant(&self, at: Addr, size: u8) -> Option<u64> {
        let object = self.object(at)?;
        let region = region_of(&object.regions, at.0)?;
        if region.writable || region.linkage {
            return None;
        }
        let range = at.0..at.0.checked_add(u64::from(size))?;
        if range.end > region.range.end || size > 8 || object.blurred(&range) {
            return None;
        }
        if let Some(from) = object.copied(at.0) {
            return self.constant(Addr(from), size);
        }
        if object.words(range).any(|w| !w.guessed) {
            return None;
        }
        let mut word = [0; 8];
        word[..usize::from(size)].copy_from_slice(self.bytes(at, usize::from(size))?);
        let value = u64::from_le_bytes(word);
        (!self.written_early(object, at)).then_some(value)
    }

    /// The number of `size` bytes at `at` when the program begins, in data that it can change.
    pub fn initial(&self, at: Addr, size: u8) -> Option<u64> {
        let object = self.object(at)?;
        let range = at.0..at.0.checked_add(u64::from(size))?;
        let region = region_of(&object.regions, at.0)?;
        if range.end > region.range.end || object.blurred(&range) || object.copied(at.0).is_some() {
            return None;
        }
        match object.words(range).next().map(|w| (w.at, w.slot)) {
            Some((word, Slot::Address(held))) if word == at.0 && size == 8 => Some(held.0),
            Some((word, Slot::Value(held))) if word == at.0 && size == 8 => Some(held),
            Some(_) => None,
            None => {
                let address = at.0.wrapping_sub(object.base);
                let memory = &object.file.memory;
                let segment = memory.segment(address)?;
                let mut word = [0; 8];
                for (n, byte) in (address..).zip(&mut word[..usize::from(size)]) {
                    if segment.contains(n) && n - segment.address < segment.from_file {
                        *byte = *memory.bytes(n, 1)?.first()?;
                    }
                }
                Some(u64::from_le_bytes(word))
            }
        }
    }

    /// Whether an object offers something in this range to others by a name.
    pub(crate) fn exports_any(&self, range: Range<u64>) -> bool {
        self.object(Addr(range.start)).is_some_and(|object| {
            let all = object.file.symbols.all.iter();
            let mut offered = all.filter(|s| s.defined() && !s.local() && !s.absolute());
            offered.any(|s| range.contains(&s.value.wrapping_add(object.base)))
        })
    }

    /// Whether code of the program can write to this data, or could before it was protected.
    pub(crate) fn can_change(&self, at: Addr) -> bool {
        let early = |object| self.written_early(object, at);
        self.region(at).is_some_and(|r| r.writable) || self.object(at).is_some_and(early)
    }

    /// Whether code of the object itself writes to this protected data before it is protected.
    /// glibc's loader and its static start code keep what they learn of the machine there (page
    /// size, processor features, vDSO functions), among tables that nothing changes.
    fn written_early(&self, object: &ImageObject, at: Addr) -> bool {
        let starts_itself = match object.role {
            Role::Loader => true,
            Role::Program => object.file.interpreter.is_none(),
            Role::Library | Role::Plugin | Role::Service => false,
        };
        let address = at.0.wrapping_sub(object.base);
        starts_itself
            && object
                .file
                .memory
                .segment(address)
                .is_some_and(|s| s.writable)
    }
}
