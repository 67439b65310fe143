//! What the registers and the frame hold at one point of a function.

use std::collections::BTreeMap;

use super::settle::OneValue;
use super::value::{self, ANY, Graph, Input, Phi, Value, ValueId};
use crate::isa::{Binary, Condition, Convention, Lane, Reg};
use crate::summary::Registers;

/// The flags, the version of memory, then registers, as many as any architecture has.
const PLACES: usize = REGISTERS + 32;
const FLAGS: usize = 0;
const MEMORY: usize = 1;
const REGISTERS: usize = 2;

/// A word of the frame whose content is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) offset: i64,
    pub(super) size: u8,
    pub(super) value: ValueId,
}

/// What is known at a point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    places: [ValueId; PLACES],
    /// Ascending, not overlapping.
    slots: Vec<Slot>,
    /// Arguments on the stack still hold what the caller put there.
    incoming: bool,
    convention: &'static Convention,
    /// Memory operands that a compare has bounded on this path.
    facts: Vec<(ValueId, ValueId)>,
}

/// The lowest offset, per part of the stack, whose address may be known elsewhere: what is
/// above it in the same part can change behind the function's back.
pub(super) type Exposed = BTreeMap<i64, i64>;

/// Parts of the stack that cannot overlap: caller's side, own frame, each dynamic allocation.
pub(super) fn part(offset: i64) -> i64 {
    offset >> 32
}

/// Vector registers are words of a part of the stack that no address leads to: few of them hold
/// anything that is known.
const LANES: i64 = 1 << 40;

fn place(reg: Reg) -> usize {
    REGISTERS + usize::from(reg.0)
}

fn lane_offset(lane: Lane) -> i64 {
    LANES + (i64::from(lane.0) * 4 + i64::from(lane.1)) * 8
}

impl State {
    pub(super) fn entry(graph: &mut Graph, convention: &'static Convention) -> State {
        let mut places = [ANY; PLACES];
        for reg in (0..convention.registers).map(Reg) {
            let input = match convention.link {
                Some(link) if reg == link => Input::ReturnAddress,
                _ => Input::Register(reg),
            };
            places[place(reg)] = graph.intern(Value::Entry(input));
        }
        places[place(convention.stack_pointer)] = graph.intern(Value::Frame(0));
        places[MEMORY] = graph.intern(Value::Opaque(0, value::MEMORY));
        State {
            places,
            slots: Vec::new(),
            incoming: true,
            convention,
            facts: Vec::new(),
        }
    }

    /// Nothing is known, the height of the stack included.
    pub(super) fn unknown(graph: &mut Graph, convention: &'static Convention) -> State {
        let mut places = [ANY; PLACES];
        places[place(convention.stack_pointer)] = graph.intern(Value::Frame(detached(1 << 29)));
        State {
            places,
            slots: Vec::new(),
            incoming: false,
            convention,
            facts: Vec::new(),
        }
    }

    pub(super) fn register(&self, reg: Reg) -> ValueId {
        self.places[place(reg)]
    }

    pub(super) fn set_register(&mut self, reg: Reg, value: ValueId) {
        self.places[place(reg)] = value;
    }

    pub(super) fn registers(&self) -> Registers {
        Registers(self.places[REGISTERS..self.used()].into())
    }

    /// Where the places end that the architecture has.
    fn used(&self) -> usize {
        REGISTERS + usize::from(self.convention.registers)
    }

    /// What a part of a vector register holds, when it is known.
    pub(super) fn lane(&self, lane: Lane) -> Option<ValueId> {
        let offset = lane_offset(lane);
        let at = self.slots.binary_search_by_key(&offset, |s| s.offset);
        at.ok().map(|at| self.slots[at].value)
    }

    pub(super) fn set_lane(&mut self, lane: Lane, value: ValueId) {
        self.store(lane_offset(lane), 8, value);
    }

    pub(super) fn forget_lane(&mut self, lane: Lane) {
        let offset = lane_offset(lane);
        if let Ok(at) = self.slots.binary_search_by_key(&offset, |s| s.offset) {
            self.slots.remove(at);
        }
    }

    pub(super) fn forget_lanes(&mut self) {
        let first = self.slots.partition_point(|s| s.offset < LANES);
        self.slots.truncate(first);
    }

    /// Code of Go is entered, or returned to.
    pub(super) fn zero_lanes(&mut self, graph: &mut Graph) {
        if let Some(vector) = self.convention.go_zero {
            let zero = graph.constant(0);
            for part in 0..2 {
                self.set_lane(Lane(vector, part), zero);
            }
        }
    }

    pub(super) fn flags(&self) -> ValueId {
        self.places[FLAGS]
    }

    pub(super) fn set_flags(&mut self, flags: ValueId) {
        self.places[FLAGS] = flags;
    }

    pub(super) fn memory(&self) -> ValueId {
        self.places[MEMORY]
    }

    pub(super) fn set_memory(&mut self, version: ValueId) {
        self.places[MEMORY] = version;
        self.facts.clear();
    }

    pub(super) fn frame_offset(&self, graph: &Graph, reg: Reg) -> Option<i64> {
        match graph.get(self.register(reg)) {
            Value::Frame(o) => Some(o),
            _ => None,
        }
    }

    /// Puts in place of each phi the one value that it was found to be.
    pub(super) fn settle(&mut self, graph: &Graph, one_value: &OneValue) {
        let slots = self.slots.iter_mut().map(|s| &mut s.value);
        for value in self.places.iter_mut().chain(slots) {
            if let Some(one) = one_value.resolve(graph, *value) {
                *value = one;
            }
        }
    }

    pub(super) fn forget_frame(&mut self) {
        self.slots.clear();
        self.incoming = false;
    }

    /// Forgets every slot that `kill` names, and the caller's arguments if `incoming`.
    pub(super) fn forget(&mut self, incoming: bool, mut kill: impl FnMut(&Slot) -> bool) {
        self.slots.retain(|s| !kill(s));
        if incoming {
            self.incoming = false;
        }
    }

    pub(super) fn store(&mut self, offset: i64, size: u8, value: ValueId) {
        let end = offset + i64::from(size);
        self.slots
            .retain(|s| s.offset + i64::from(s.size) <= offset || s.offset >= end);
        let at = self.slots.partition_point(|s| s.offset < offset);
        self.slots.insert(
            at,
            Slot {
                offset,
                size,
                value,
            },
        );
    }

    /// The content of a word of the frame, when it is known.
    pub(super) fn load(&self, graph: &mut Graph, offset: i64, size: u8) -> Option<ValueId> {
        let end = offset + i64::from(size);
        let at = self
            .slots
            .partition_point(|s| s.offset + i64::from(s.size) <= offset);
        match self.slots.get(at) {
            Some(s) if s.offset <= offset && s.offset + i64::from(s.size) >= end => {
                let shift = graph.constant(((offset - s.offset) * 8) as u64);
                let value = graph.binary(crate::isa::Binary::Shr, s.value, shift);
                Some(graph.zero_extend(value, size * 8))
            }
            Some(s) if s.offset < end => None,
            _ if offset >= self.convention.pushed()
                && self.incoming
                && offset < 4096
                && offset % 8 == 0 =>
            {
                let value = graph.intern(Value::Entry(Input::Stack(offset as i32)));
                Some(graph.zero_extend(value, size * 8))
            }
            // The upper half of a word: Go's assembly code is passed structures.
            _ if offset >= self.convention.pushed() + 4
                && self.incoming
                && offset < 4096
                && offset % 8 == 4
                && size == 4 =>
            {
                let value = graph.intern(Value::Entry(Input::Stack(offset as i32 - 4)));
                let half = graph.constant(32);
                Some(graph.binary(Binary::Shr, value, half))
            }
            _ => None,
        }
    }

    /// A word that is passed on the stack: one value, or two of half its size beside each other.
    pub(super) fn passed(&self, graph: &mut Graph, offset: i64) -> Option<ValueId> {
        if let Some(word) = self.load(graph, offset, 8) {
            return Some(word);
        }
        let low = self.load(graph, offset, 4)?;
        let high = self.load(graph, offset + 4, 4)?;
        let half = graph.constant(32);
        let high = graph.binary(Binary::Shl, high, half);
        Some(graph.binary(Binary::Or, low, high))
    }

    /// What a bounded memory operand is known to be on this path.
    pub(super) fn fact(&self, value: ValueId) -> ValueId {
        self.facts
            .iter()
            .find(|(v, _)| *v == value)
            .map_or(value, |&(_, refined)| refined)
    }

    /// Everything that equals `value` in its low `bits` bits now also compares so with `bound`.
    pub(super) fn refine(
        &mut self,
        graph: &mut Graph,
        value: ValueId,
        condition: Condition,
        bits: u8,
        bound: ValueId,
    ) {
        if !has_identity(graph, value) || graph.constant_of(value).is_some() {
            return;
        }
        let used = self.used();
        let compared = low_part(graph, value, bits);
        let places = self.places[REGISTERS..used].iter_mut();
        for v in places.chain(self.slots.iter_mut().map(|s| &mut s.value)) {
            let same = low_part(graph, *v, bits) == compared;
            if same && graph.constant_of(*v).is_none() {
                *v = graph.intern(Value::Refine(*v, condition, bits, bound));
            }
        }
        let refined = graph.intern(Value::Refine(value, condition, bits, bound));
        self.facts.retain(|(v, _)| *v != value);
        if self.facts.len() < 4 {
            self.facts.push((value, refined));
        }
    }

    /// Joins what another edge brings into the state at the start of `block`; whether that
    /// changed anything. `seen` are the predecessors that agreed with the state so far.
    pub(super) fn join(
        &mut self,
        graph: &mut Graph,
        block: u32,
        seen: &[u32],
        from: u32,
        other: &State,
    ) -> bool {
        let mut changed = false;
        let caller = self.convention.pushed()..LANES;
        let stack_pointer = place(self.convention.stack_pointer);
        for n in 0..self.used() {
            if n == stack_pointer && self.places[n] != other.places[n] {
                // Two stack heights meet: a place of its own, nothing known of it.
                let apart = graph.intern(Value::Frame(detached(u64::from(block) | 1 << 28)));
                if self.places[n] != apart {
                    self.places[n] = apart;
                    self.forget_frame();
                    changed = true;
                }
                continue;
            }
            let merged = merge(graph, block, seen, from, self.places[n], other.places[n]);
            changed |= merged.1;
            self.places[n] = merged.0;
        }
        let mut kept = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let theirs = match other.slots.binary_search_by_key(&slot.offset, |s| s.offset) {
                Ok(at) if other.slots[at].size == slot.size => Some(other.slots[at].value),
                _ if caller.contains(&slot.offset) => other.load(graph, slot.offset, slot.size),
                _ => None,
            };
            let Some(theirs) = theirs else {
                changed = true;
                continue;
            };
            let merged = merge(graph, block, seen, from, slot.value, theirs);
            changed |= merged.1;
            kept.push(Slot {
                value: merged.0,
                ..*slot
            });
        }
        // A slot that only the other edge has, over an argument that this side still has.
        let argument = |s: &&Slot| caller.contains(&s.offset);
        if self.incoming && other.slots.iter().any(|s| argument(&s)) {
            let ours = self.slots.iter().map(|s| s.offset).collect::<Vec<_>>();
            let mut theirs = other.slots.iter().filter(argument);
            if theirs.any(|s| !ours.contains(&s.offset)) {
                self.incoming = false;
                changed = true;
            }
        }
        self.slots = kept;
        if self.incoming && !other.incoming {
            self.incoming = false;
            changed = true;
        }
        let facts = self.facts.len();
        self.facts.retain(|f| other.facts.contains(f));
        changed | (facts != self.facts.len())
    }
}

/// In the key of a part of the stack: it is not the function's own.
pub(super) const FOREIGN: u64 = 1 << 27;

/// Whether an address is on a stack that the function was not entered on.
pub(super) fn is_foreign(offset: i64) -> bool {
    let key = (-2i64).wrapping_sub(part(offset)) as u64;
    key < 2 * FOREIGN && key & FOREIGN != 0
}

/// An offset in a part of the stack that nothing else is in.
pub(super) fn detached(key: u64) -> i64 {
    let key = (key & 0x3fff_ffff) as i64;
    -((key + 2) << 32) + (1 << 31)
}

fn merge(
    graph: &mut Graph,
    block: u32,
    seen: &[u32],
    from: u32,
    ours: ValueId,
    theirs: ValueId,
) -> (ValueId, bool) {
    if let Value::Phi(index) = graph.get(ours)
        && graph.phis[index as usize].block == block
    {
        let operands = &mut graph.phis[index as usize].operands;
        match operands.iter_mut().find(|(p, _)| *p == from) {
            Some((_, value)) if ours != theirs => *value = theirs,
            None if ours != theirs => operands.push((from, theirs)),
            _ => {}
        }
        // The node is the same; only what it may be has grown.
        return (ours, false);
    }
    if ours == theirs || ours == ANY {
        return (ours, false);
    }
    if theirs == ANY {
        return (ANY, true);
    }
    let phi = graph.phi(block);
    let Value::Phi(index) = graph.get(phi) else {
        return (ANY, true);
    };
    let operands: Vec<_> = seen
        .iter()
        .filter(|&&p| p != from)
        .map(|&p| (p, ours))
        .chain([(from, theirs)])
        .collect();
    graph.phis[index as usize] = Phi { block, operands };
    (phi, true)
}

/// What has the low `bits` bits of `value`, without what only changes others, or only says what compares found.
fn low_part(graph: &Graph, mut value: ValueId, bits: u8) -> ValueId {
    loop {
        value = match graph.get(value) {
            Value::Refine(x, ..) => x,
            Value::ZeroExtend(x, n) | Value::SignExtend(x, n) if n >= bits => x,
            // A narrow write merged into a wider register.
            Value::Binary(Binary::Or, kept, new) if spares(graph, kept, bits) => new,
            _ => return value,
        };
    }
}

/// Whether `value` has none of the low `bits` bits.
fn spares(graph: &Graph, value: ValueId, bits: u8) -> bool {
    let Value::Binary(Binary::And, _, mask) = graph.get(value) else {
        return false;
    };
    graph
        .constant_of(mask)
        .is_some_and(|mask| mask.trailing_zeros() >= u32::from(bits))
}

/// Whether two uses of the node are surely the same number.
fn has_identity(graph: &Graph, value: ValueId) -> bool {
    let mut pending = vec![value];
    for _ in 0..64 {
        let Some(v) = pending.pop() else { return true };
        match graph.get(v) {
            Value::Any => return false,
            Value::Binary(_, a, b) | Value::Flags(_, _, a, b) => pending.extend([a, b]),
            Value::Select(t, a, b) => pending.extend([t, a, b]),
            Value::ZeroExtend(a, _)
            | Value::SignExtend(a, _)
            | Value::Refine(a, ..)
            | Value::Kept(_, _, a)
            | Value::Test(_, a) => pending.push(a),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::x86_64;

    /// Whether the node is below a compare with `bound`.
    fn is_below(graph: &Graph, value: ValueId, bound: u64) -> bool {
        match graph.get(value) {
            Value::Refine(_, Condition::BelowEq, 32, b) if graph.constant_of(b) == Some(bound) => {
                true
            }
            Value::Refine(x, ..) => is_below(graph, x, bound),
            _ => false,
        }
    }

    #[test]
    fn each_compare_of_a_register_tells_of_its_copies() {
        let mut graph = Graph::default();
        let mut state = State::entry(&mut graph, &x86_64::CONVENTION);
        let number = state.register(Reg(3));
        let copy = graph.zero_extend(number, 32);
        let narrow = graph.zero_extend(number, 16);
        state.store(-16, 8, copy);
        state.store(-24, 8, narrow);
        for bound in [64, 6] {
            let compared = graph.zero_extend(state.register(Reg(3)), 32);
            let most = graph.constant(bound);
            state.refine(&mut graph, compared, Condition::BelowEq, 32, most);
        }
        for bound in [64, 6] {
            let held = state.load(&mut graph, -16, 8).unwrap();
            assert!(is_below(&graph, held, bound));
        }
        // Of the lower half alone nothing was said.
        assert_eq!(state.load(&mut graph, -24, 8), Some(narrow));
    }
}
