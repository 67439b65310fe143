//! The machine that turns instructions into values of one function.

mod calls;
mod machine;
mod pointer;

use super::page::Rest;
use super::state::{Exposed, State, part};
use super::uses::Uses;
use super::value::{ANY, Graph, Input, MEMORY, Value, ValueId};
use super::{Above, Reference, Trust};
use crate::image::{Addr, Image};
use crate::isa::{Binary, Convention, RegSet};
use pointer::{Pointer, constant_base, is_address, pointer};

/// What a function's thread has for itself: one unknown in all of it.
const THREAD_POINTER: Value = Value::Opaque(u64::MAX, 1);

/// Lowers the instructions of one block after another.
pub(super) struct Lower<'a> {
    pub(super) image: &'a Image,
    pub(super) graph: &'a mut Graph,
    pub(super) state: State,
    pub(super) entry: u64,
    /// The function is Go's.
    pub(super) go: bool,
    pub(super) at: u64,
    pub(super) exposed: &'a mut Exposed,
    pub(super) trust: Trust,
    pub(super) keeps_return_address: &'a mut bool,
    /// Callee-saved registers whose first value was put on the stack.
    pub(super) saved: &'a mut RegSet,
    /// What is done to memory is wanted.
    pub(super) watched: bool,
    pub(super) uses: Option<Uses>,
}

impl Lower<'_> {
    /// Notes that an address in the frame is used, if it lies on the caller's side.
    fn note_place(&mut self, address: ValueId) {
        if let Value::Frame(offset) = self.graph.get(address)
            && offset >= self.convention().pushed()
            && part(offset) == 0
            && let Some(uses) = &mut self.uses
        {
            uses.takes_stack = true;
        }
    }

    /// Notes the second half of an address whose page another function named.
    fn note_rest(&mut self, page: ValueId, by: u64) {
        let result = self.convention().results[0];
        if self.convention().names_pages
            && let Some(uses) = &mut self.uses
        {
            uses.rests.extend(Rest::of(self.graph, page, by, result));
        }
    }

    /// Notes a write of so many bytes, or of any number, to the frame, if that is on the caller's side.
    fn note_above(&mut self, offset: i64, size: Option<u8>) {
        if offset >= self.convention().pushed()
            && part(offset) == 0
            && let Some(uses) = &mut self.uses
        {
            uses.above = uses.above.join(Above::write(offset, size));
        }
    }

    /// Notes a write, or, to [`ANY`], a value that goes out of sight.
    fn watch(&mut self, address: ValueId, size: u8, value: ValueId) {
        if self.watched
            && let Some(uses) = &mut self.uses
        {
            uses.traffic.push((address, size, value));
        }
    }

    /// Notes that what so many bytes hold goes out of sight; without a size, all around them.
    fn watch_read(&mut self, address: ValueId, size: Option<u64>) {
        /// As long as vectors are.
        const LONGEST: u64 = 64;
        match size.filter(|&size| size <= LONGEST && self.watched) {
            None => self.watch(ANY, 0, address),
            Some(size) => {
                for word in (0..size).step_by(8) {
                    let step = self.graph.constant(word);
                    let place = self.graph.binary(Binary::Add, address, step);
                    let left = (size - word).min(8) as u8;
                    let held = self.graph.intern(Value::Load(place, left, ANY));
                    self.watch(ANY, 0, held);
                }
            }
        }
    }

    /// The choice, when an address is one of two places in the frame.
    fn chosen_place(&self, address: ValueId) -> Option<(ValueId, [ValueId; 2])> {
        let Value::Select(which, a, b) = self.graph.get(address) else {
            return None;
        };
        let frame = |v| matches!(self.graph.get(v), Value::Frame(_));
        (which != ANY && frame(a) && frame(b)).then_some((which, [a, b]))
    }

    /// Whether a place is the thread's own: what is put there is not followed.
    fn is_thread_local(&self, address: ValueId) -> bool {
        let mut terms = vec![address];
        for _ in 0..12 {
            let Some(term) = terms.pop() else { break };
            match self.graph.get(term) {
                Value::Binary(Binary::Add, a, b) => terms.extend([a, b]),
                Value::Binary(Binary::Sub, a, _) => terms.push(a),
                THREAD_POINTER => return true,
                _ => {}
            }
        }
        false
    }

    fn expose(&mut self, value: ValueId) {
        if let Value::Frame(offset) = self.graph.get(value) {
            let lowest = self.exposed.entry(part(offset)).or_insert(offset);
            *lowest = offset.min(*lowest);
        }
    }

    /// Somebody else may have written to memory: what they can name of the frame is unknown.
    pub(super) fn disturb(&mut self) {
        let exposed = &*self.exposed;
        self.state.forget(exposed.contains_key(&0), |s| {
            exposed
                .get(&part(s.offset))
                .is_some_and(|&lowest| s.offset + i64::from(s.size) > lowest)
        });
        self.renew_memory();
    }

    fn renew_memory(&mut self) {
        let version = self.graph.intern(Value::Opaque(self.at, MEMORY));
        self.state.set_memory(version);
    }

    /// Whether somebody else may know the address of all these bytes of the frame: a store to any of
    /// them leaves another state of memory.
    fn is_exposed(&self, offset: i64) -> bool {
        let lowest = self.exposed.get(&part(offset));
        lowest.is_some_and(|&lowest| offset >= lowest)
    }

    pub(super) fn convention(&self) -> &'static Convention {
        self.image.convention
    }

    fn refer(&mut self, reference: Reference) {
        if let Some(uses) = &mut self.uses
            && !uses.references.contains(&reference)
        {
            uses.references.push(reference);
        }
    }

    fn escape(&mut self, value: ValueId) {
        if let Some(uses) = &mut self.uses {
            uses.escaping.push(value);
        }
    }

    /// A value is calculated with, tested, or read or written through.
    fn note_use(&mut self, value: ValueId) {
        if let Some(uses) = &mut self.uses
            && let Value::Entry(Input::Register(reg)) = self.graph.get(value)
        {
            uses.reads.insert(reg);
        }
    }

    /// An address that became another number by constants alone can be made of that again.
    fn note_veiled(&mut self, from: ValueId, to: ValueId) {
        /// A part of an address, as of its alignment.
        const SMALL: u64 = 4096;
        let (Some(from_value), Some(to)) =
            (self.graph.constant_of(from), self.graph.constant_of(to))
        else {
            return;
        };
        if self.uses.is_some()
            && from_value != to
            && to >= SMALL
            && self.image.can_change(Addr(from_value))
            && let Some(region) = self.image.region(Addr(from_value))
            && !region.range.contains(&to)
        {
            self.refer(Reference::Address(from_value));
            self.escape(from);
            self.watch(ANY, 0, from);
        }
    }

    /// A value is put where others can read it: noted if it is the address of code.
    fn note_stored(&mut self, value: ValueId) {
        if self.uses.is_some()
            && let Some(code) = self.graph.constant_of(value)
            && self.image.is_code(Addr(code))
        {
            self.refer(Reference::Stored(code));
        }
    }

    /// A value was put where code can find it: note image addresses in it.
    fn materialise(&mut self, value: ValueId) {
        if self.uses.is_none() {
            return;
        }
        match self.graph.get(value) {
            Value::Const(c) if is_address(self.image, c) => {
                self.refer(Reference::Address(c));
            }
            Value::Binary(Binary::Add, ..) => {
                if let Some(base) = constant_base(self.image, self.graph, value) {
                    self.refer(Reference::Address(base));
                }
            }
            _ => {}
        }
    }

    /// Memory at `address` is read.
    fn touch(&mut self, address: ValueId, size: u8) {
        if self.uses.is_none() {
            return;
        }
        match self.graph.get(address) {
            Value::Const(at) => {
                if self.image.object_of(Addr(at)).is_some() {
                    self.refer(Reference::Bytes { at, size });
                }
            }
            Value::Frame(_) | Value::Any => {}
            _ => match constant_base(self.image, self.graph, address) {
                Some(base) => self.refer(Reference::Indexed {
                    base,
                    address,
                    size,
                }),
                None => self.escape(address),
            },
        }
    }

    /// Notes a write to memory of the image.
    fn assign(&mut self, address: ValueId, size: u8, value: ValueId) {
        if self.uses.is_none() {
            return;
        }
        let place = match self.graph.get(address) {
            Value::Const(at) => Some((at, size)),
            _ => constant_base(self.image, self.graph, address).map(|base| (base, 0)),
        };
        if let Some((at, size)) = place
            && let near = self.image.beside(Addr(at)).unwrap_or(Addr(at))
            && let Some(region) = self.image.region(near)
        {
            self.refer(match region.writable {
                true => Reference::Assigned { at, size, value },
                false => Reference::Written { at, size, value },
            });
        }
    }

    /// Memory at `address`, of any extent, is written by somebody.
    fn written(&mut self, address: ValueId) {
        match pointer(self.image, self.graph, address) {
            Pointer::Frame(offset) => {
                self.note_above(offset, None);
                self.exposed.insert(part(offset), i64::MIN);
                self.disturb();
            }
            Pointer::Elsewhere => self.renew_memory(),
            Pointer::Unknown => {
                self.disturb();
                self.escape(address);
            }
        }
    }
}
