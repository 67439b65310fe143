//! The machine that turns instructions into values of one function.

use rustc_hash::FxHashSet;

use super::page::Rest;
use super::state::{Exposed, FOREIGN, State, detached, part};
use super::uses::Uses;
use super::value::{ANY, Graph, Input, LEFT, MEMORY, OUTCOME, THROWN, Value, ValueId};
use super::{Above, Reference, Trust};
use crate::image::{Addr, Image};
use crate::isa::{Binary, Compare, Condition, Convention, Lane, Machine, Reg, RegSet};

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
            let to = size.map_or(i64::MAX, |size| offset + i64::from(size));
            uses.above = uses.above.join(Above { from: offset, to });
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

    /// A call leaves the address that it returns to.
    pub(super) fn link(&mut self, back: u64) {
        let back = self.graph.constant(back);
        if let Some(link) = self.convention().link {
            return self.put(link, back);
        }
        let stack_pointer = self.convention().stack_pointer;
        let top = self.get(stack_pointer);
        let eight = self.graph.constant(8);
        let top = self.graph.binary(Binary::Sub, top, eight);
        self.put(stack_pointer, top);
        self.store(top, 8, back);
    }

    /// The callee, if it is known, has run and returned.
    pub(super) fn after_call(&mut self, callee: Option<u64>) {
        self.disturb();
        if self.go
            && let Some(top) = self
                .state
                .frame_offset(self.graph, self.convention().stack_pointer)
        {
            let shared = self.image.go_shares(Addr(self.entry), callee.map(Addr));
            // Where a call pushes nothing, the first word is where the caller keeps what it returns to.
            let top = top.saturating_add(8 - self.convention().pushed());
            let end = top.saturating_add(i64::from(shared));
            self.state.forget(false, |s| {
                s.offset < end && s.offset + i64::from(s.size) > top
            });
        }
        if !self.trust.frame {
            // It may return a second time, after the frame has changed.
            self.state.forget_frame();
        }
        let convention = self.convention();
        if !self.trust.above.is_none()
            && let Some(top) = self
                .state
                .frame_offset(self.graph, convention.stack_pointer)
        {
            let Above { from, to } = self.trust.above.moved(top - convention.pushed());
            self.state.forget(to > convention.pushed(), |s| {
                s.offset < to && s.offset + i64::from(s.size) > from
            });
        }
        let saved = match self.trust.saved {
            true => RegSet::NONE,
            false => convention.callee_saved,
        };
        for reg in convention.caller_saved.iter().chain(saved.iter()) {
            let before = self.state.register(reg);
            let after = if before == ANY {
                // Keeps its identity for what follows, a compare before a table above all.
                Value::Opaque(self.at, LEFT + reg.0)
            } else {
                Value::Kept(self.at, reg, before)
            };
            let after = self.graph.intern(after);
            self.state.set_register(reg, after);
        }
        self.state.forget_lanes();
        if self.go {
            self.state.zero_lanes(self.graph);
        }
        let result = self.graph.intern(Value::Ret(self.at));
        self.state.set_register(convention.results[0], result);
        self.forget_link();
        self.state.set_flags(ANY);
    }

    /// An exception brought control back to the frame of this call.
    pub(super) fn after_throw(&mut self) {
        self.disturb();
        // The callee has not done all that it does before it returns.
        let version = self.graph.intern(Value::Opaque(self.at, THROWN));
        self.state.set_memory(version);
        if self.go {
            let stack_pointer = self.convention().stack_pointer;
            // Any instruction may panic, not only this call: the frame is as that left it.
            let top = self.state.register(stack_pointer);
            self.state = State::unknown(self.graph, self.convention());
            self.state.set_register(stack_pointer, top);
            self.renew_memory();
            return;
        }
        for reg in self.convention().caller_saved.iter() {
            self.state.set_register(reg, ANY);
        }
        self.forget_link();
        self.state.forget_lanes();
        self.state.set_flags(ANY);
    }

    /// Where a call just returned to is of no use.
    fn forget_link(&mut self) {
        if let Some(link) = self.convention().link {
            self.state.set_register(link, ANY);
        }
    }

    /// The kernel has answered: it keeps all registers but a few, and may have written
    /// whatever its arguments point to.
    pub(super) fn after_syscall(&mut self) {
        self.disturb();
        if !self.trust.frame {
            self.state.forget_frame();
        }
        let convention = self.convention();
        if self
            .state
            .frame_offset(self.graph, convention.stack_pointer)
            .is_some_and(|o| o > 0 && part(o) == 0)
        {
            // The return address was taken off the stack: a call that lets a child use it.
            *self.keeps_return_address = true;
        }
        for (n, &reg) in (OUTCOME..).zip(convention.kernel_writes) {
            let unknown = self.graph.intern(Value::Opaque(self.at, n));
            self.state.set_register(reg, unknown);
        }
        self.state.set_flags(ANY);
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

/// Whether `value` is the return address, as it is or veiled (`PTR_MANGLE` of glibc).
fn holds_return_address(graph: &Graph, value: ValueId) -> bool {
    /// Values that are looked at: beyond, it may.
    const MOST_LOOKED_AT: usize = 4096;
    if graph.find(Value::Entry(Input::ReturnAddress)).is_none() {
        return false;
    }
    let mut pending = vec![value];
    let mut seen = FxHashSet::default();
    while let Some(v) = pending.pop() {
        if !seen.insert(v) {
            continue;
        }
        match graph.get(v) {
            Value::Entry(Input::ReturnAddress) => return true,
            Value::Binary(_, a, b) => pending.extend([a, b]),
            Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Kept(_, _, a) => {
                pending.push(a);
            }
            _ => {}
        }
        if seen.len() > MOST_LOOKED_AT {
            return true;
        }
    }
    false
}

/// What a computed address can point to.
enum Pointer {
    /// This place on the stack, with something added.
    Frame(i64),
    /// Surely not to the own frame: an object of the image, or one that the caller passed.
    Elsewhere,
    Unknown,
}

fn pointer(image: &Image, graph: &Graph, address: ValueId) -> Pointer {
    let mut terms = vec![address];
    let mut found = Pointer::Unknown;
    let mut plain = true;
    for _ in 0..12 {
        let Some(term) = terms.pop() else { break };
        match graph.get(term) {
            Value::Binary(Binary::Add | Binary::Sub, a, b) => terms.extend([a, b]),
            Value::Frame(o) => return Pointer::Frame(o),
            Value::Const(c) if image.object_of(Addr(c)).is_some() => found = Pointer::Elsewhere,
            Value::Const(_) => {}
            Value::Entry(Input::Register(_)) => {
                if plain && matches!(found, Pointer::Unknown) {
                    found = Pointer::Elsewhere;
                }
            }
            _ => plain = false,
        }
    }
    match found {
        // An entry register beside a computed term may be the index and not the pointer.
        Pointer::Elsewhere if !plain && constant_base(image, graph, address).is_none() => {
            Pointer::Unknown
        }
        found => found,
    }
}

/// Whether a number is an address of the image, or one beside its data.
fn is_address(image: &Image, number: u64) -> bool {
    image.object_of(Addr(number)).is_some() || image.beside(Addr(number)).is_some()
}

/// The image address in a sum.
pub(super) fn constant_base(image: &Image, graph: &Graph, address: ValueId) -> Option<u64> {
    let mut terms = vec![address];
    for _ in 0..12 {
        match graph.get(terms.pop()?) {
            Value::Binary(Binary::Add, a, b) => terms.extend([a, b]),
            Value::Binary(Binary::Sub, a, _) => terms.push(a),
            Value::Const(c) if is_address(image, c) => return Some(c),
            _ => {}
        }
    }
    None
}

impl Machine for Lower<'_> {
    type V = ValueId;

    fn constant(&mut self, value: u64) -> ValueId {
        self.graph.constant(value)
    }

    fn opaque(&mut self, index: u8) -> ValueId {
        self.graph.intern(Value::Opaque(self.at, index))
    }

    fn thread_pointer(&mut self) -> ValueId {
        self.graph.intern(THREAD_POINTER)
    }

    fn get(&mut self, reg: Reg) -> ValueId {
        self.state.register(reg)
    }

    fn put(&mut self, reg: Reg, value: ValueId) {
        let mut value = value;
        if reg == self.convention().stack_pointer {
            if !matches!(self.graph.get(value), Value::Frame(_)) {
                // A dynamic allocation keeps the frame; any other stack is not ours.
                let own = matches!(pointer(self.image, self.graph, value), Pointer::Frame(_));
                if !own {
                    self.state.forget_frame();
                    self.watch(ANY, 0, value);
                    self.escape(value);
                }
                let key = self.at.wrapping_sub(self.entry) & (FOREIGN - 1);
                let key = if own { key } else { key | FOREIGN };
                value = self.graph.intern(Value::Frame(detached(key)));
            }
        } else {
            if self.convention().frame_record != Some(reg) {
                self.expose(value);
            }
            self.materialise(value);
            self.note_place(value);
        }
        self.state.set_register(reg, value);
    }

    fn page(&mut self, page: ValueId) {
        if let (Some(uses), Some(at)) = (&mut self.uses, self.graph.constant_of(page)) {
            uses.pages.push(at);
        }
    }

    fn whole(&mut self, value: ValueId) {
        if let (Some(uses), Some(at)) = (&mut self.uses, self.graph.constant_of(value))
            && self.image.region(Addr(at)).is_some()
        {
            uses.whole.push(at);
        }
    }

    fn lane(&mut self, lane: Lane) -> ValueId {
        match self.state.lane(lane) {
            Some(known) => known,
            None => self.opaque(100 + 4 * (lane.0 & 31) + (lane.1 & 3)),
        }
    }

    fn put_lane(&mut self, lane: Lane, value: ValueId) {
        self.expose(value);
        self.materialise(value);
        // A lane can be forgotten before it is stored.
        self.escape(value);
        self.watch(ANY, 0, value);
        match self.graph.get(value) {
            Value::Any | Value::Opaque(..) => self.state.forget_lane(lane),
            _ => self.state.set_lane(lane, value),
        }
    }

    fn forget_lane(&mut self, lane: Lane) {
        self.state.forget_lane(lane);
    }

    fn lose(&mut self, value: ValueId) {
        self.expose(value);
        self.materialise(value);
        self.note_stored(value);
        self.escape(value);
        self.watch(ANY, 0, value);
    }

    fn binary(&mut self, op: Binary, a: ValueId, b: ValueId) -> ValueId {
        self.note_use(a);
        self.note_use(b);
        let result = match (op, self.graph.get(a), self.graph.get(b)) {
            // Aligning the stack: where a call pushes nothing it is a multiple of 16 at entry (System
            // V ABI §3.2.2, AAPCS64 §6.4.5.1). A larger alignment moves the frame by an amount that
            // shifts all its slots alike.
            (Binary::And, Value::Frame(o), Value::Const(c)) if (-4096..0).contains(&(c as i64)) => {
                let pushed = self.convention().pushed();
                let step = (c as i64).wrapping_neg();
                let down = (o - pushed).div_euclid(step) * step;
                self.graph.intern(Value::Frame(down + pushed))
            }
            _ => self.graph.binary(op, a, b),
        };
        self.whole(result);
        if let (Binary::Add, Some(by)) = (op, self.graph.constant_of(b)) {
            self.note_rest(a, by);
        }
        // The distance of two addresses is none.
        let distance = op == Binary::Sub
            && self
                .graph
                .constant_of(b)
                .is_some_and(|b| is_address(self.image, b));
        if !distance {
            self.note_veiled(a, result);
            self.note_veiled(b, result);
        }
        result
    }

    fn zero_extend(&mut self, value: ValueId, bits: u8) -> ValueId {
        self.note_use(value);
        let result = self.graph.zero_extend(value, bits);
        self.note_veiled(value, result);
        result
    }

    fn sign_extend(&mut self, value: ValueId, bits: u8) -> ValueId {
        self.note_use(value);
        self.graph.sign_extend(value, bits)
    }

    fn load(&mut self, address: ValueId, size: u8) -> ValueId {
        if self.is_thread_local(address) {
            return self.opaque(252);
        }
        if let Some((which, places)) = self.chosen_place(address) {
            let [a, b] = places.map(|place| self.load(place, size));
            return self.graph.select(which, a, b);
        }
        self.note_use(address);
        self.note_rest(address, 0);
        self.note_place(address);
        if let (Value::Frame(offset), Some(uses)) = (self.graph.get(address), &mut self.uses) {
            uses.frame_reads.insert(offset);
        }
        match self.graph.get(address) {
            Value::Frame(offset) => match self.state.load(self.graph, offset, size) {
                Some(known) => known,
                None if offset == 0
                    && size == 8
                    && self.trust.frame
                    && self.convention().link.is_none() =>
                {
                    self.graph.intern(Value::Entry(Input::ReturnAddress))
                }
                None if self.is_exposed(offset) => {
                    let memory = self.state.memory();
                    self.graph.intern(Value::Load(address, size, memory))
                }
                None => {
                    // Stores to the rest are no states of memory: each load is one of its own.
                    let now = self.opaque(250);
                    self.graph.intern(Value::Load(address, size, now))
                }
            },
            Value::Const(at) => match self.image.constant(Addr(at), size) {
                Some(c) => {
                    let constant = self.graph.constant(c);
                    self.whole(constant);
                    constant
                }
                None => {
                    self.touch(address, size);
                    let memory = self.state.memory();
                    let v = self.graph.intern(Value::Load(address, size, memory));
                    self.state.fact(v)
                }
            },
            Value::Any => self.opaque(251),
            _ => {
                self.touch(address, size);
                let memory = self.state.memory();
                let v = self.graph.intern(Value::Load(address, size, memory));
                self.state.fact(v)
            }
        }
    }

    fn load_target(&mut self, address: ValueId) -> ValueId {
        match self.graph.get(address) {
            // Nobody but this branch sees what the loader put there: it hands out no address.
            Value::Const(at) if self.image.fixed_slot(Addr(at)).is_some() => {
                let memory = self.state.memory();
                self.graph.intern(Value::Load(address, 8, memory))
            }
            _ => self.load(address, 8),
        }
    }

    fn store(&mut self, address: ValueId, size: u8, value: ValueId) {
        if self.is_thread_local(address) {
            return self.lose(value);
        }
        if let Some((which, places)) = self.chosen_place(address) {
            // One of them gets the value, the other keeps its own.
            let held = places.map(|place| self.load(place, size));
            let first = self.graph.select(which, value, held[0]);
            self.store(places[0], size, first);
            let second = self.graph.select(which, held[1], value);
            return self.store(places[1], size, second);
        }
        self.expose(value);
        self.materialise(value);
        self.note_stored(value);
        self.watch(address, size, value);
        if let Value::Frame(offset) = self.graph.get(address) {
            if let Value::Entry(Input::Register(reg)) = self.graph.get(value)
                && offset < self.convention().pushed()
            {
                self.saved.insert(reg);
            }
            self.note_above(offset, Some(size));
            let value = self.graph.zero_extend(value, size * 8);
            self.state.store(offset, size, value);
            // A word of the frame that others can name counts as memory.
            if self
                .exposed
                .get(&part(offset))
                .is_some_and(|&lowest| offset + i64::from(size) > lowest)
            {
                self.escape(value);
                self.renew_memory();
            }
        } else {
            self.note_use(address);
            self.note_rest(address, 0);
            self.note_use(value);
            *self.keeps_return_address |=
                self.uses.is_some() && holds_return_address(self.graph, value);
            self.escape(value);
            self.assign(address, size, value);
            self.written(address);
        }
    }

    fn store_unknown(&mut self, address: ValueId) {
        if self.is_thread_local(address) {
            return;
        }
        self.watch(address, 0, ANY);
        if let Value::Frame(offset) = self.graph.get(address) {
            let lowest = self.exposed.entry(part(offset)).or_insert(offset);
            *lowest = offset.min(*lowest);
            self.note_above(offset, None);
            self.disturb();
        } else {
            self.assign(address, 0, ANY);
            self.written(address);
        }
    }

    fn read_unknown(&mut self, address: ValueId, size: Option<u64>) {
        if self.is_thread_local(address) {
            return;
        }
        self.watch_read(address, size);
        match (self.graph.get(address), size) {
            (Value::Const(at), Some(size)) => {
                for word in 0..size.div_ceil(8).min(128) {
                    let at = self.graph.constant(at + word * 8);
                    self.touch(at, 8);
                }
            }
            (Value::Const(at), None) => {
                self.refer(Reference::Address(at));
                self.escape(address);
            }
            _ => {
                self.touch(address, 0);
                self.escape(address);
            }
        }
    }

    fn compare(&mut self, kind: Compare, bits: u8, a: ValueId, b: ValueId) {
        self.note_use(a);
        self.note_use(b);
        let flags = self.graph.intern(Value::Flags(kind, bits, a, b));
        self.state.set_flags(flags);
    }

    fn compare_if(
        &mut self,
        condition: ValueId,
        (kind, bits, a, b): (Compare, u8, ValueId, ValueId),
        (other, x, y): (Compare, u64, u64),
    ) {
        self.note_use(a);
        self.note_use(b);
        let yes = self.graph.intern(Value::Flags(kind, bits, a, b));
        let (x, y) = (self.graph.constant(x), self.graph.constant(y));
        let no = self.graph.intern(Value::Flags(other, 64, x, y));
        let flags = self.select(condition, yes, no);
        self.state.set_flags(flags);
    }

    fn test(
        &mut self,
        condition: Condition,
        kind: Compare,
        bits: u8,
        a: ValueId,
        b: ValueId,
    ) -> ValueId {
        self.note_use(a);
        self.note_use(b);
        let flags = self.graph.intern(Value::Flags(kind, bits, a, b));
        self.graph.test(condition, flags)
    }

    fn forget_flags(&mut self) {
        self.state.set_flags(ANY);
    }

    fn condition(&mut self, condition: Condition) -> ValueId {
        let flags = self.state.flags();
        self.graph.test(condition, flags)
    }

    fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> ValueId {
        match self.graph.get(condition) {
            Value::Const(0) => b,
            Value::Const(_) => a,
            _ => self.graph.select(condition, a, b),
        }
    }
}
