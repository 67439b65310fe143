//! What an instruction does, as values.

use super::super::Reference;
use super::super::state::{FOREIGN, detached, part};
use super::super::value::{ANY, Input, Value, ValueId};
use super::pointer::{Pointer, holds_return_address, is_address, pointer};
use super::{Lower, THREAD_POINTER};
use crate::image::Addr;
use crate::isa::{Binary, Compare, Condition, Lane, Machine, Reg};

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
