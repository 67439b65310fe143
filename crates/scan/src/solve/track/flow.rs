//! What one function does with the places that it holds.

use std::collections::BTreeSet;

use super::super::{FunctionId, Solver};
use super::kernel::STATE;
use super::{Holder, MOST_PLACES, Piece, Place, Places, Track, constant};
use crate::image::{Addr, Slot};
use crate::isa::{Binary, Reg};
use crate::summary::{Call, Exit, Graph, Input, LEFT, OUTCOME, Traffic, Value, ValueId};

impl Solver<'_> {
    /// Follows what is known of a function's values once more.
    pub(super) fn follow(&mut self, track: &mut Track, function: FunctionId) {
        self.values(track, function);
        let blocks = track.holders[&function].summary.blocks.len();
        let holds_any = track.holders[&function]
            .values
            .iter()
            .any(|p| !p.is_empty());
        if !holds_any {
            return;
        }
        let traffic = track.holders[&function].summary.traffic.clone();
        for one in traffic {
            if track.holders[&function].reached[one.block as usize] {
                self.traffic(track, function, one);
            }
        }
        for block in 0..blocks {
            if track.holders[&function].reached[block] {
                let block = &track.holders[&function].summary.blocks[block];
                let (at, exit) = (block.last, block.exit.clone());
                self.leave(track, function, at, &exit);
            }
        }
    }

    /// Brings the places of all values of a function up to date.
    fn values(&self, track: &mut Track, function: FunctionId) {
        loop {
            let mut changed = false;
            let count = track.holders[&function].values.len() as u32;
            track.steps += u64::from(count);
            for value in (0..count).map(ValueId) {
                let mut places = self.places(track, function, value);
                // Of what is lost nothing will be known, wherever it goes.
                places.retain(|p| !track.lost.contains(&p.piece));
                if places.len() > MOST_PLACES {
                    track.lose_all(&places);
                    places = places.into_iter().take(MOST_PLACES).collect();
                }
                if let Some(holder) = track.holders.get_mut(&function) {
                    let known = &mut holder.values[value.0 as usize];
                    let before = known.len();
                    if before <= MOST_PLACES {
                        known.extend(places);
                    }
                    changed |= known.len() != before;
                }
            }
            track.changed |= changed;
            if !changed {
                return;
            }
        }
    }

    /// What a value is, given what its operands are.
    fn places(&self, track: &mut Track, function: FunctionId, value: ValueId) -> Places {
        let holder = &track.holders[&function];
        let graph = &holder.summary.graph;
        let of = |v: ValueId| &holder.values[v.0 as usize];
        let somewhere = |v: ValueId| {
            let all = of(v).iter();
            all.map(|p| Place { offset: None, ..*p })
                .collect::<Places>()
        };
        let returned = |at: u64, reg: Reg| {
            let returned = track.returned.get(&(function, at, reg));
            returned.cloned().unwrap_or_default()
        };
        match graph.get(value) {
            Value::Const(at) => match track.piece_of(at) {
                Some(piece) => Places::from([Place {
                    piece,
                    offset: Some(at as i64),
                }]),
                None => Places::new(),
            },
            Value::Frame(_) if !track.follows(function) => Places::new(),
            Value::Frame(offset) => Places::from([Place {
                piece: Piece::Frame(function),
                offset: (!holder.shifts).then_some(offset),
            }]),
            Value::Entry(input) => {
                let passed = track.passed.get(&(function, input));
                passed.cloned().unwrap_or_default()
            }
            Value::Ret(at) => returned(at, self.image.convention.results[0]),
            Value::Opaque(at, index @ LEFT..OUTCOME) => returned(at, Reg(index - LEFT)),
            Value::Load(address, 8, _) if let Some(at) = self.linked(graph, address) => {
                let piece = track.piece_of(at).map(|piece| Place {
                    piece,
                    offset: Some(at as i64),
                });
                piece.into_iter().collect()
            }
            Value::Load(address, size, _) => {
                let from = of(address).clone();
                let held = from.into_iter().map(|place| track.load(place, size));
                held.flatten().collect()
            }
            Value::Binary(Binary::Add, a, b) => {
                let moved = |v: ValueId, by: i64| {
                    let all = of(v).iter();
                    all.map(|p| p.moved(by)).collect::<Places>()
                };
                match (constant(graph, a), constant(graph, b)) {
                    (_, Some(by)) if of(b).is_empty() => moved(a, by),
                    (Some(by), _) if of(a).is_empty() => moved(b, by),
                    _ => somewhere(a).union(&somewhere(b)).copied().collect(),
                }
            }
            Value::Binary(_, a, b) => somewhere(a).union(&somewhere(b)).copied().collect(),
            Value::ZeroExtend(a, _) | Value::SignExtend(a, _) => somewhere(a),
            Value::Kept(at, reg, before) => {
                let mut left = returned(at, reg);
                if self.may_keep(function, at, reg) {
                    left.extend(of(before));
                }
                left
            }
            Value::Refine(a, ..) => of(a).clone(),
            Value::Select(_, a, b) => of(a).union(of(b)).copied().collect(),
            Value::Phi(index) => {
                let operands = graph.phis[index as usize].operands.iter();
                operands.flat_map(|o| of(o.1)).copied().collect()
            }
            Value::Any | Value::Opaque(..) | Value::Test(..) | Value::Flags(..) => Places::new(),
        }
    }

    /// The address that is in a linkage table, at a place of it that is a constant.
    fn linked(&self, graph: &Graph, address: ValueId) -> Option<u64> {
        self.in_linkage(graph.constant_of(address)?)
    }

    /// The address that the word of a linkage table at `at` holds.
    pub(super) fn in_linkage(&self, at: u64) -> Option<u64> {
        self.linkage_at(at)?;
        match self.image.slot(Addr(at))? {
            Slot::Address(held) => Some(held.0),
            Slot::Value(_) | Slot::Resolver(_) => None,
        }
    }

    /// Where the linkage table begins that `at` is in.
    pub(super) fn linkage_at(&self, at: u64) -> Option<u64> {
        let region = self.image.region(Addr(at))?;
        region.linkage.then_some(region.range.start)
    }

    /// Whether some call at an address in a function leaves the register as it is.
    fn may_keep(&self, function: FunctionId, at: u64, reg: Reg) -> bool {
        let mut instances = self.by_context.get(&function).into_iter().flatten();
        instances.any(|(_, id)| self.instances[id.0 as usize].found.keeps(at, reg))
    }

    /// A write, or a value that goes out of sight.
    fn traffic(&self, track: &mut Track, function: FunctionId, one: Traffic) {
        let holder = &track.holders[&function];
        let mut to = holder.values[one.address.0 as usize].clone();
        let what = holder.values[one.value.0 as usize].clone();
        let variable = holder.summary.graph.constant_of(one.address);
        // What lies behind a piece is written by its own name.
        to.retain(|p| variable.is_none() || !track.is_behind(*p));
        for place in &to {
            if place.offset.is_none() || one.size == 0 {
                track.lose(place.piece);
            }
            track.lose_beyond(*place, one.size);
        }
        let is_code = |p: &Place| matches!(p.piece, Piece::Code(_)) && p.offset == Some(0);
        if one.size != 8
            || what.is_empty()
            || !what.iter().all(is_code)
            || !self.is_exact(track, function, one.value)
        {
            for place in &to {
                let words = place.offset.map(|o| (o - 7)..(o + i64::from(one.size)));
                for word in words.into_iter().flatten() {
                    track.changed |= track.mixed.insert((place.piece, word));
                }
            }
        }
        if what.is_empty() {
            return;
        }
        track.variables.extend(variable);
        if one.size != 8 || to.is_empty() || !self.is_exact(track, function, one.address) {
            track.lose_all(&what);
        }
        for place in &to {
            if let Some(offset) = place.offset {
                track.add(|t| t.held.entry((place.piece, offset)).or_default(), &what);
            }
        }
    }

    /// What a block does with places at its end.
    fn leave(&mut self, track: &mut Track, function: FunctionId, at: u64, exit: &Exit) {
        match exit {
            Exit::Call(call, ..) | Exit::TailCall(call) => self.pass(track, function, at, call),
            Exit::Return(registers) => self.hand_back(track, function, registers),
            Exit::Syscall(entry, _) => self.tell_kernel(track, function, at, entry),
            Exit::Foreign(..) | Exit::Lost(_) => track.lose_held_by(function),
            Exit::Switch(_, trusted) => {
                if !trusted.is_empty() && self.is_unresolved(function, at) {
                    track.lose_held_by(function);
                }
            }
            Exit::Jump(_) | Exit::Branch(..) | Exit::Stop => {}
        }
    }

    /// A call, with what it passes.
    fn pass(&mut self, track: &mut Track, function: FunctionId, at: u64, call: &Call) {
        let values = &track.holders[&function].values;
        let of = |v: ValueId| values[v.0 as usize].clone();
        let registers: Vec<(Reg, Places)> = call
            .registers
            .iter()
            .map(|(reg, value)| (reg, of(value)))
            .filter(|(_, places)| !places.is_empty())
            .collect();
        let stack: Vec<(i32, Places)> = call
            .stack
            .iter()
            .map(|&(offset, v)| (offset, of(v)))
            .filter(|(_, places)| !places.is_empty())
            .collect();
        for place in of(call.target) {
            match place.piece {
                Piece::Code(code) => {
                    track.changed |= track.called.entry(at).or_default().insert(code);
                }
                piece => track.lose(piece),
            }
        }
        let convention = self.image.convention;
        // Functions of Go are passed nine words in registers, and their own closure.
        let go = self
            .image
            .is_go(Addr(track.holders[&function].summary.entry));
        let passing = match go {
            true => convention.go_passing.or(convention.passing),
            false => convention.passing,
        };
        let passes = |reg: Reg| passing.contains(reg);
        let mut callees: BTreeSet<FunctionId> = self
            .callees
            .get(&at)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        if self.is_unresolved(function, at) {
            match self.only_functions(track, function, call.target) {
                // It will be known once it is known what the memory holds.
                Some(all) => {
                    callees.extend(
                        all.into_iter()
                            .map(|code| self.functions.at(self.image, code)),
                    );
                }
                None => {
                    let graph = &track.holders[&function].summary.graph;
                    let taken = self.passed_to_vdso(graph, call);
                    for (reg, places) in &registers {
                        match taken {
                            Some(taken) if taken.get(STATE) == Some(reg) => {
                                self.tell_parameters(track, places);
                            }
                            // What a caller left in others is not looked at.
                            Some(taken) if !taken.contains(reg) => {}
                            None if !passes(*reg) => {}
                            _ => track.lose_all(places),
                        }
                    }
                    // All that the vDSO is passed is in registers.
                    let above = match taken {
                        None => self.above(track, function, call),
                        Some(_) => Vec::new(),
                    };
                    for (_, places) in stack.iter().filter(|_| taken.is_none()) {
                        track.lose_all(places);
                    }
                    for (_, places) in above {
                        track.lose_all(&places);
                    }
                }
            }
        }
        for callee in callees {
            let summary = &self.functions.all[callee.0 as usize].summary;
            // Registers that carry no argument by the convention are followed to who is seen to read them.
            let reads = summary.reads;
            for (reg, places) in &registers {
                if *reg == convention.stack_pointer || (!passes(*reg) && !reads.contains(*reg)) {
                    continue;
                }
                let input = Input::Register(*reg);
                track.add(|t| t.passed.entry((callee, input)).or_default(), places);
                self.hold(track, callee);
            }
            for (offset, places) in &stack {
                let input = Input::Stack(*offset);
                track.add(|t| t.passed.entry((callee, input)).or_default(), places);
                let at = (Piece::Frame(callee), i64::from(*offset));
                track.add(|t| t.held.entry(at).or_default(), places);
                self.hold(track, callee);
            }
            self.pass_stack(track, function, callee, call);
        }
    }

    /// What a callee finds on the stack of its caller: a part of a function that lies elsewhere reads
    /// all of its frame, and an argument can be a structure.
    fn pass_stack(
        &mut self,
        track: &mut Track,
        function: FunctionId,
        callee: FunctionId,
        call: &Call,
    ) {
        if !self.functions.all[callee.0 as usize].summary.takes_stack {
            return;
        }
        let entry = Addr(self.functions.all[callee.0 as usize].summary.entry);
        let mut above = self.above(track, function, call);
        if self.image.is_go(entry) {
            // Behind the return address, or the word for it, is its part of the caller's frame.
            let caller = Addr(self.functions.all[function.0 as usize].summary.entry);
            let shared = 16 + i64::from(self.image.go_shares(caller, Some(entry)));
            above.retain(|(offset, _)| *offset < shared);
        }
        for (offset, places) in above {
            let at = (Piece::Frame(callee), offset);
            track.add(|t| t.held.entry(at).or_default(), &places);
            if let Ok(offset) = i32::try_from(offset) {
                let input = Input::Stack(offset);
                track.add(|t| t.passed.entry((callee, input)).or_default(), &places);
            }
            self.hold(track, callee);
        }
    }

    /// Places that a call finds on the stack, by the offsets that they have for who is called: below, at
    /// or above where a return address goes.
    fn above(&self, track: &Track, function: FunctionId, call: &Call) -> Vec<(i64, Places)> {
        let convention = self.image.convention;
        let top = call.registers[convention.stack_pointer];
        let Value::Frame(top) = track.holders[&function].summary.graph.get(top) else {
            return Vec::new();
        };
        let pushed = convention.pushed();
        let frame = Piece::Frame(function);
        let held = track.held.range((frame, top)..=(frame, i64::MAX));
        let all = held.flat_map(|(&(_, at), places)| {
            let offset = at - top;
            [offset + pushed, offset, offset - pushed].map(|offset| (offset, places.clone()))
        });
        all.filter(|(offset, _)| *offset > pushed - 8).collect()
    }

    /// Whether the target of the call at `at` may be anything.
    pub(super) fn is_unresolved(&self, function: FunctionId, at: u64) -> bool {
        let mut ids = self.by_context.get(&function).into_iter().flatten();
        ids.any(|(_, id)| self.instances[id.0 as usize].unresolved.contains(&at))
    }

    /// The functions that a value is one of, when it is read from followed memory that holds nothing
    /// else.
    fn only_functions(
        &self,
        track: &Track,
        function: FunctionId,
        target: ValueId,
    ) -> Option<BTreeSet<u64>> {
        let holder = &track.holders[&function];
        let Value::Load(address, 8, _) = holder.summary.graph.get(target) else {
            return None;
        };
        let from = &holder.values[address.0 as usize];
        if from.is_empty() || !self.is_exact(track, function, address) {
            return None;
        }
        let mut all = BTreeSet::new();
        let lost = track.all_lost();
        for place in from {
            let key = (place.piece, place.offset?);
            if lost.contains(&place.piece) || track.mixed.contains(&key) {
                return None;
            }
            for held in track.held.get(&key)? {
                match held.piece {
                    Piece::Code(code) if held.offset == Some(0) => _ = all.insert(code),
                    _ => return None,
                }
            }
        }
        Some(all)
    }

    /// Whether a value is one of its places, and nothing else.
    pub(super) fn is_exact(&self, track: &Track, function: FunctionId, value: ValueId) -> bool {
        let mut seen = BTreeSet::new();
        let mut pending = vec![(function, value)];
        while let Some((function, value)) = pending.pop() {
            if !seen.insert((function, value)) {
                continue;
            }
            if seen.len() > 1000 {
                return false;
            }
            let Some(Holder { summary, .. }) = track.holders.get(&function) else {
                return false;
            };
            let graph = &summary.graph;
            match graph.get(value) {
                Value::Const(at)
                    if track.piece_of(at).is_some() || self.image.is_code(Addr(at)) => {}
                Value::Frame(_) => {}
                Value::Load(address, 8, _) if self.linked(graph, address).is_some() => {}
                Value::Binary(Binary::Add, a, b) => {
                    match (constant(graph, a), constant(graph, b)) {
                        (_, Some(_)) => pending.push((function, a)),
                        (Some(_), _) => pending.push((function, b)),
                        _ => return false,
                    }
                }
                Value::Refine(a, ..) => pending.push((function, a)),
                Value::Select(_, a, b) => pending.extend([(function, a), (function, b)]),
                Value::Phi(index) => {
                    let operands = graph.phis[index as usize].operands.iter();
                    pending.extend(operands.map(|o| (function, o.1)));
                }
                Value::Entry(input) => {
                    if self.is_entered_otherwise(function) {
                        return false;
                    }
                    for &(caller, at) in self.callers.get(&function).into_iter().flatten() {
                        let Some(holder) = track.holders.get(&caller) else {
                            return false;
                        };
                        let calls = holder.summary.calls_at(at);
                        pending.extend(calls.map(|call| (caller, call.passed(input))));
                    }
                }
                _ => return false,
            }
        }
        true
    }
}
