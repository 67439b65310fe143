//! Memory that the program writes to, and of which everything that can be in it is known: data and
//! frames whose addresses go nowhere unseen (`track.rs` finds them).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::FunctionId;
use super::domain::Domain;
use crate::image::{Addr, Image};
use crate::isa::Binary;

/// What is written to a piece of memory, in any order: offset and size in bytes, who writes, and the
/// values.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Content(BTreeMap<(i64, u8, By), Domain>);

/// Who writes to a piece of memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum By {
    /// The function whose frame it is, by its place there.
    Owner,
    /// Somebody who holds the address.
    Others,
}

/// Bytes of a function's frame that are written by others during a call, whenever it returns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Overwritten {
    pub(super) function: FunctionId,
    /// The address of the call.
    pub(super) call: u64,
    pub(super) offset: i64,
    pub(super) size: u8,
}

/// What is known.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Memory {
    /// Frames of functions, by the distance from the stack pointer at entry.
    pub(super) frames: BTreeMap<FunctionId, Content>,
    /// Stretches of data: by their start, their end and what is written, by address.
    pub(super) data: BTreeMap<u64, (u64, Content)>,
    /// Words with addresses of functions that go nowhere but into calls.
    pub(super) private: BTreeSet<u64>,
    /// Those calls: which functions they may enter so.
    pub(super) called: BTreeMap<u64, BTreeSet<u64>>,
    /// What of the frames calls write over.
    pub(super) overwritten: BTreeSet<Overwritten>,
    /// Those of the stretches that are known only if each is a variable of its own.
    pub(super) apart: BTreeSet<u64>,
    /// What closures of functions of Go capture, by the distance from where these begin.
    pub(super) closures: BTreeMap<FunctionId, Content>,
}

impl Content {
    /// Somebody writes so many bytes.
    pub(super) fn write(&mut self, (offset, size, by): (i64, u8, By), value: &Domain) {
        let value = match (value, size) {
            (known, 8..) => known.clone(),
            (known, _) => known.zero_extend(size * 8),
        };
        let known = self.0.entry((offset, size, by)).or_default();
        *known = known.join(&value);
    }

    /// What so many bytes can be, beyond what they are at first, after all that the owner wrote or only
    /// by what others did.
    fn read(&self, offset: i64, size: u8, first: Domain, owner: bool) -> Domain {
        let end = offset.saturating_add(i64::from(size));
        let mut sum = first;
        let near = (offset.saturating_sub(7), 0, By::Owner)..(end, 0, By::Owner);
        for (&(at, width, by), value) in self.0.range(near) {
            let last = at + i64::from(width);
            if last <= offset || (by == By::Owner && !owner) {
                continue;
            }
            let value = match (at <= offset && end <= last, width == size) {
                (true, true) => value.clone(),
                (true, false) => {
                    let skipped = Domain::one(8 * (offset - at) as u64);
                    Domain::binary(Binary::Shr, value, &skipped).zero_extend(size * 8)
                }
                (false, _) => Domain::Anything,
            };
            sum = sum.join(&value);
        }
        sum
    }

    /// What is written as so many bytes here, and there and around there whatever else is.
    fn written(&self, offset: i64, size: u8) -> Option<Domain> {
        let own = self.0.get(&(offset, size, By::Others))?;
        Some(self.read(offset, size, own.clone(), true))
    }

    /// What both say, where both say something.
    pub(super) fn either(&self, other: &Content) -> Content {
        let both = self.0.keys().filter_map(|&(offset, size, by)| {
            let sum = self
                .written(offset, size)?
                .join(&other.written(offset, size)?);
            Some(((offset, size, by), sum))
        });
        Content(both.collect())
    }

    /// Whether it allows for all that `other` does.
    fn covers(&self, other: &Content) -> bool {
        let mut writes = other.0.iter();
        writes.all(|(place, value)| self.0.get(place).is_some_and(|d| d.join(value) == *d))
    }

    fn add(&mut self, other: &Content) {
        for (&place, value) in &other.0 {
            self.write(place, value);
        }
    }
}

impl Memory {
    /// What `size` bytes of a frame can be.
    pub(super) fn in_frame(&self, function: FunctionId, offset: i64, size: u8) -> Domain {
        match self.frames.get(&function) {
            // From the return address on it is the caller's.
            Some(content) if offset.saturating_add(i64::from(size)) <= 0 => {
                content.read(offset, size, Domain::Nothing, true)
            }
            _ => Domain::Anything,
        }
    }

    /// What `size` bytes of the own frame can be right after a call, if that wrote over them.
    pub(super) fn after_call(
        &self,
        function: FunctionId,
        offset: i64,
        size: u8,
        call: u64,
    ) -> Option<Domain> {
        let content = self.frames.get(&function)?;
        let end = offset
            .checked_add(i64::from(size))
            .filter(|&end| end <= 0)?;
        let covers = |o: &&Overwritten| {
            let own = (o.function, o.call) == (function, call);
            own && o.offset <= offset && end <= o.offset.saturating_add(i64::from(o.size))
        };
        self.overwritten.iter().find(covers)?;
        Some(content.read(offset, size, Domain::Nothing, false))
    }

    /// What `size` bytes of the closure are that a function of Go was called through.
    pub(super) fn in_closure(&self, function: FunctionId, offset: i64, size: u8) -> Option<Domain> {
        self.closures.get(&function)?.written(offset, size)
    }

    /// What `size` bytes of data that the program can change can be.
    pub(super) fn in_data(&self, image: &Image, at: u64, size: u8) -> Option<Domain> {
        let (_, (end, content)) = self.data.range(..=at).next_back()?;
        if at.checked_add(u64::from(size))? > *end {
            return None;
        }
        let first = Domain::one(image.initial(Addr(at), size)?);
        Some(content.read(i64::try_from(at).ok()?, size, first, true))
    }

    /// Whether it is known what the place that `pointer` leads to holds.
    pub(super) fn knows(&self, pointer: &Domain) -> bool {
        let held = |at: &u64| self.range(*at).is_some();
        match pointer {
            Domain::Frames(all, _) => all.iter().all(|(f, _)| self.frames.contains_key(f)),
            Domain::Set(all) => !self.data.is_empty() && all.iter().all(held),
            _ => false,
        }
    }

    /// Where the known stretch of data begins that `at` is in.
    pub(super) fn start_of(&self, at: u64) -> Option<u64> {
        self.range(at).map(|range| range.start)
    }

    /// The same, and the data of `other` beside what is known here.
    pub(super) fn with(&self, other: &Memory) -> Memory {
        let mut both = self.clone();
        for (&start, (end, content)) in &other.data {
            let before = self.data.range(..*end).next_back();
            if before.is_none_or(|(_, (last, _))| *last <= start) {
                both.data.insert(start, (*end, content.clone()));
            }
        }
        both
    }

    fn range(&self, at: u64) -> Option<Range<u64>> {
        let (&start, &(end, _)) = self.data.range(..=at).next_back()?;
        (at < end).then_some(start..end)
    }

    /// Takes over what is `found` by relying on it: what is new, and what puts it right; whether
    /// there was any. With `give_up` nothing is put right: what was wrong is not known any more.
    pub(super) fn learn(&mut self, found: Memory, give_up: bool) -> bool {
        let before = self.clone();
        let Memory {
            frames,
            data,
            private,
            called,
            mut overwritten,
            apart,
            closures,
        } = found;
        if give_up {
            overwritten.retain(|one| before.overwritten.contains(one));
            self.closures
                .retain(|f, known| closures.get(f).is_some_and(|found| known.covers(found)));
            self.frames
                .retain(|f, known| frames.get(f).is_some_and(|found| known.covers(found)));
            self.data.retain(|start, (_, known)| {
                data.get(start)
                    .is_some_and(|(_, found)| known.covers(found))
            });
        } else {
            self.closures.retain(|f, _| closures.contains_key(f));
            for (function, found) in closures {
                self.closures.entry(function).or_default().add(&found);
            }
            self.frames.retain(|f, _| frames.contains_key(f));
            self.data.retain(|start, _| data.contains_key(start));
            for (function, found) in frames {
                self.frames.entry(function).or_default().add(&found);
            }
            for (start, (end, found)) in data {
                let known = self.data.entry(start).or_insert((end, Content::default()));
                known.1.add(&found);
            }
        }
        let kept = private.into_iter().filter(|&word| {
            let known = before.private.contains(&word) || before.range(word).is_none();
            known && self.range(word).is_some()
        });
        self.private = kept.collect();
        for (at, targets) in called {
            self.called.entry(at).or_default().extend(targets);
        }
        self.overwritten = overwritten;
        self.apart = apart;
        *self != before
    }
}
