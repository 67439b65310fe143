//! What functions hand back to who called them, in registers.

use super::super::{FunctionId, Solver};
use super::{Holder, Piece, Place, Places, Track};
use crate::image::Addr;
use crate::isa::{Reg, RegSet};
use crate::summary::{Exit, Graph, Input, LEFT, Registers, Value, ValueId};

impl Solver<'_> {
    /// A return, with what registers hold then.
    pub(super) fn hand_back(
        &mut self,
        track: &mut Track,
        function: FunctionId,
        registers: &Registers,
    ) {
        let values = &track.holders[&function].values;
        let own = |p: &&Place| p.piece != Piece::Frame(function);
        let of = |reg: Reg| {
            let all = values[registers[reg].0 as usize].iter();
            all.filter(own).copied().collect::<Places>()
        };
        let convention = self.image.convention;
        let returning = self.returning(track, function);
        let graph = &track.holders[&function].summary.graph;
        let left = registers.iter().filter(|(reg, _)| returning.contains(*reg));
        let left: Vec<_> = left
            .map(|(reg, value)| match reg == convention.results[0] {
                true => (reg, of(reg), None),
                false => (reg, of(reg), graph.distance(value, Input::Register(reg))),
            })
            .collect();
        let replaced = track.holders[&function].summary.replaces_return_address;
        for (reg, places, distance) in left {
            if replaced {
                track.lose_all(&places);
            }
            match distance {
                None => self.give_back(track, function, reg, &places),
                Some(by) => self.give_back_moved(track, function, reg, by),
            }
        }
    }

    /// What a function returns goes to who calls it.
    fn give_back(&mut self, track: &mut Track, function: FunctionId, reg: Reg, places: &Places) {
        if places.is_empty() {
            return;
        }
        // Too many functions hold something: all is looked at anew with less.
        let Some(holder) = track.holders.get(&function) else {
            return;
        };
        // In the C library, whose handler for changed user ids is one: without a result.
        let result = reg == self.image.convention.results[0];
        let by_library =
            result && self.image.object_of(Addr(holder.summary.entry)) == self.lookups.library();
        if by_library && may_return_nothing(holder, reg) {
            return;
        }
        // Somebody unknown may use a result, but for the kernel and the loader. What of Go is called by its address
        // keeps to the convention, whatever it leaves in other registers.
        let convention = self.image.convention;
        let results = convention.go_passing.or(RegSet::of(&convention.results));
        if self.free.contains(&function) && results.contains(reg) {
            track.lose_all(places);
        }
        let callers: Vec<(FunctionId, u64)> = self
            .callers
            .get(&function)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        for (caller, at) in callers {
            if !self.may_use_left(function, caller, at, reg) {
                continue;
            }
            track.add(|t| t.returned.entry((caller, at, reg)).or_default(), places);
            self.hold(track, caller);
            // A tail call returns to somebody else.
            let summary = &self.functions.all[caller.0 as usize].summary;
            let tail = summary
                .blocks
                .iter()
                .any(|b| b.last == at && matches!(b.exit, Exit::TailCall(_)));
            if tail {
                self.give_back_through(track, caller, reg, places);
            }
        }
    }

    /// Registers in which a function may return something.
    fn returning(&self, track: &Track, function: FunctionId) -> RegSet {
        let Holder {
            summary, reached, ..
        } = &track.holders[&function];
        let convention = self.image.convention;
        let entry = Addr(summary.entry);
        if !self.image.is_go(entry) {
            return RegSet::of(&convention.results);
        }
        if self.image.is_go_assembly(entry) {
            return RegSet::of(&[convention.stack_pointer]).complement();
        }
        // What is a result is one on each way out.
        let mut returning = convention.go_passing.or(RegSet::of(&convention.results));
        let blocks = summary.blocks.iter().zip(reached);
        for (block, _) in blocks.filter(|(_, reached)| **reached) {
            if let Exit::Return(registers) = &block.exit {
                let junk = registers.iter();
                let junk = junk.filter(|&(reg, value)| self.is_junk(&summary.graph, reg, value));
                junk.for_each(|(reg, _)| returning.remove(reg));
            }
        }
        returning
    }

    /// Whether a register holds what a function of Go's assembly happened to leave there.
    fn is_junk(&self, graph: &Graph, reg: Reg, value: ValueId) -> bool {
        let at = match graph.get(value) {
            Value::Opaque(at, index) if index == LEFT + reg.0 => at,
            Value::Kept(at, of, _) if of == reg => at,
            _ => return false,
        };
        let is_assembly = |callee: &FunctionId| {
            let entry = self.functions.all[callee.0 as usize].summary.entry;
            self.image.is_go_assembly(Addr(entry))
        };
        let callees = self.callees.get(&at);
        !self.image.convention.results.contains(&reg)
            && callees.is_some_and(|all| !all.is_empty() && all.iter().all(is_assembly))
    }

    /// Whether a caller may use what a function leaves in a register. Compiled code of Go finds results of assembly
    /// on the stack, or in the first registers: what lies in others has been forgotten there, unless it is used
    /// (`ABI0`, and the functions that say `<ABIInternal>`, in the assembly of Go's runtime).
    fn may_use_left(&mut self, callee: FunctionId, caller: FunctionId, at: u64, reg: Reg) -> bool {
        let is_assembly = |function: FunctionId| {
            let entry = self.functions.all[function.0 as usize].summary.entry;
            self.image.is_go_assembly(Addr(entry))
        };
        let forgets = is_assembly(callee)
            && !is_assembly(caller)
            && !self.image.convention.results.contains(&reg);
        !forgets
            || self
                .functions
                .watched(self.image, caller)
                .uses_left(at, reg)
    }

    /// What was passed in a register goes back in it to who passed it, some bytes on: a function that copies
    /// leaves its pointers behind what was copied.
    fn give_back_moved(&self, track: &mut Track, function: FunctionId, reg: Reg, by: i64) {
        for &(caller, at) in self.callers.get(&function).into_iter().flatten() {
            let Some(holder) = track.holders.get(&caller) else {
                continue;
            };
            let mut back = Places::new();
            let mut beyond = Places::new();
            for block in holder.summary.blocks.iter().filter(|b| b.last == at) {
                let (call, to) = match &block.exit {
                    Exit::Call(call, ..) => (call, &mut back),
                    // It returns to somebody else.
                    Exit::TailCall(call) => (call, &mut beyond),
                    _ => continue,
                };
                let passed = &holder.values[call.registers[reg].0 as usize];
                to.extend(passed.iter().map(|place| place.moved(by)));
            }
            track.add(|t| t.returned.entry((caller, at, reg)).or_default(), &back);
            track.lose_all(&beyond);
        }
    }

    fn give_back_through(
        &mut self,
        track: &mut Track,
        function: FunctionId,
        reg: Reg,
        places: &Places,
    ) {
        // Who was given the same before has passed it on: chains of tail calls can be circles.
        let known = track.passed_back.entry((function, reg)).or_default();
        let before = known.len();
        known.extend(places);
        if known.len() != before {
            self.give_back(track, function, reg, places);
        }
    }
}

/// Whether it returns on some way with what the result register held at entry, which nobody chose.
fn may_return_nothing(holder: &Holder, result: Reg) -> bool {
    let blocks = holder.summary.blocks.iter().zip(&holder.reached);
    let mut reached = blocks.filter(|(_, reached)| **reached);
    reached.any(|(block, _)| match &block.exit {
        Exit::Return(registers) => {
            let returned = holder.summary.graph.get(registers[result]);
            returned == Value::Entry(Input::Register(result))
        }
        _ => false,
    })
}
