//! From instructions to a [`Summary`]: a fixpoint over the states at block starts, then one
//! pass that writes down what each block does.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use super::explore::{Extent, Tables, explore, inside};
use super::hub::Hubs;
use super::jump_table::{self, Target, trusted};
use super::lower::{Lower, Uses};
use super::settle::OneValue;
use super::state::{Exposed, State, part};
use super::value::{Graph, Input, Value, ValueId};
use super::{Block, Call, Entry, Exit, Lost, Reference, Summary};
use crate::image::{Addr, Image};
use crate::isa::x86_64::{CALLEE_SAVED, CALLER_SAVED, Lifter, RAX, RSP, SYSCALL_ARGUMENTS};
use crate::isa::{Binary, Compare, Condition, Flow};

/// Visits of one block before nothing is known at its start; each visit but the first needs a
/// place that became unknown or a slot that was lost, so real code is far below.
const MOST_VISITS: u32 = 400;

/// The predecessor that stands for the function's callers.
pub const OUTSIDE: u32 = u32::MAX;

/// What a function may rely on across the calls that it makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trust {
    /// Its frame keeps what it put there: no call in it returns twice.
    pub frame: bool,
    /// Callee-saved registers are kept.
    pub saved: bool,
}

/// Summarises the function at `entry`.
pub fn summarise(image: &Image, lifter: &mut Lifter, entry: u64, trust: Trust) -> Summary {
    let mut tables = Tables::new();
    loop {
        let (extents, too_large) = explore(image, lifter, entry, &tables);
        let mut builder = Builder::new(image, lifter, entry, trust, extents, tables.clone());
        builder.solve();
        if builder.find_tables(&mut tables) {
            continue;
        }
        return builder.finish(&tables, too_large);
    }
}

struct Builder<'a> {
    image: &'a Image,
    lifter: &'a mut Lifter,
    entry: u64,
    trust: Trust,
    /// Blocks of instructions, then hubs.
    extents: Vec<Extent>,
    tables: Tables,
    hubs: Hubs,
    first_hub: usize,
    /// Blocks of instructions by address.
    index: FxHashMap<u64, u32>,
    graph: Graph,
    exposed: Exposed,
    keeps_return_address: bool,
    replaces_return_address: bool,
    saved: u16,
    /// State at the start of each block, with the predecessors that brought it.
    states: Vec<Option<(State, Vec<u32>)>>,
    /// The jump's target per block that ends in a computed jump.
    jumps: BTreeMap<u32, ValueId>,
}

/// Where control goes after a block, with the state it takes along.
struct Edge {
    to: u32,
    state: State,
}

impl<'a> Builder<'a> {
    fn new(
        image: &'a Image,
        lifter: &'a mut Lifter,
        entry: u64,
        trust: Trust,
        mut extents: Vec<Extent>,
        tables: Tables,
    ) -> Self {
        if let Some(at) = extents.iter().position(|e| e.start == entry) {
            extents[..=at].rotate_right(1);
        }
        let index = extents
            .iter()
            .enumerate()
            .map(|(n, e)| (e.start, n as u32))
            .collect();
        let hubs = Hubs::find(&tables);
        let first_hub = extents.len();
        extents.extend(hubs.addresses().map(|at| Extent {
            start: at,
            last: at,
            after: at,
            flow: Flow::Stop,
        }));
        let states = vec![None; extents.len()];
        Builder {
            image,
            lifter,
            entry,
            trust,
            extents,
            tables,
            hubs,
            first_hub,
            index,
            graph: Graph::default(),
            exposed: Exposed::new(),
            keeps_return_address: false,
            replaces_return_address: false,
            saved: 0,
            states,
            jumps: BTreeMap::new(),
        }
    }

    /// Brings the states at all block starts to a fixpoint.
    fn solve(&mut self) {
        loop {
            let before = self.exposed.clone();
            self.graph = Graph::default();
            self.states = vec![None; self.extents.len()];
            self.jumps.clear();
            self.fixpoint();
            // An address that was taken late can have been used early, around a loop.
            if self.exposed == before {
                break;
            }
        }
        self.settle();
    }

    /// Simplifies the states that were found, and looks at the computed jumps again.
    fn settle(&mut self) {
        let one_value = OneValue::find(&self.graph);
        if one_value.is_empty() {
            return;
        }
        for (state, _) in self.states.iter_mut().flatten() {
            state.settle(&self.graph, &one_value);
        }
        for block in 0..self.extents.len() as u32 {
            if let Flow::JumpIndirect(()) = self.extents[block as usize].flow
                && let Some((state, _)) = self.states[block as usize].clone()
                && let (Flow::JumpIndirect(target), ..) = self.run(block, state, false)
            {
                self.jumps.insert(block, target);
            }
        }
    }

    fn fixpoint(&mut self) {
        if self.extents.is_empty() {
            return;
        }
        let order = places(self.extents.len(), |block| self.successors(block));
        let mut visits = vec![0u32; self.extents.len()];
        let entry = State::entry(&mut self.graph);
        self.states[0] = Some((entry, vec![OUTSIDE]));
        let mut pending = BTreeSet::from([(order[0], 0u32)]);
        while let Some((_, block)) = pending.pop_first() {
            visits[block as usize] += 1;
            if visits[block as usize] == MOST_VISITS
                && let Some((state, _)) = &mut self.states[block as usize]
            {
                *state = State::unknown(&mut self.graph);
            }
            let Some((state, _)) = self.states[block as usize].clone() else {
                continue;
            };
            let (flow, state, _) = self.run(block, state, false);
            for edge in self.edges(block, flow, state) {
                let to = edge.to;
                let changed = match &mut self.states[to as usize] {
                    empty @ None => {
                        *empty = Some((edge.state, vec![block]));
                        true
                    }
                    Some((state, seen)) => {
                        if seen[..] == [block] {
                            // The only way in so far tells anew.
                            let changed = *state != edge.state;
                            *state = edge.state;
                            changed
                        } else {
                            let changed = state.join(&mut self.graph, to, seen, block, &edge.state);
                            if !seen.contains(&block) {
                                seen.push(block);
                            }
                            changed
                        }
                    }
                };
                if changed {
                    pending.insert((order[to as usize], to));
                }
            }
        }
    }

    fn successors(&self, block: u32) -> Vec<u32> {
        let extent = &self.extents[block as usize];
        let mut all = Vec::new();
        if let Some(hub) = self.hub_at(block) {
            return self.blocks(self.hubs.targets(hub));
        }
        match extent.flow {
            Flow::Next | Flow::Syscall | Flow::ForeignSyscall(_) => all.push(extent.after),
            Flow::Jump(to) => all.push(to),
            Flow::Branch((), to) => all.extend([extent.after, to]),
            Flow::Call(_) | Flow::CallIndirect(()) => {
                all.push(extent.after);
                let pad = self
                    .image
                    .landing_pad(Addr(extent.last), Addr(extent.after));
                all.extend(pad.map(|p| p.0));
            }
            Flow::JumpIndirect(()) => {
                if let Some(hub) = self.hub_of(extent.last) {
                    return vec![hub];
                }
                all.extend(self.tables.get(&extent.last).into_iter().flatten());
            }
            Flow::Return | Flow::Stop | Flow::Invalid => {}
        }
        self.blocks(&all)
    }

    /// The function's own blocks among those that begin at these addresses.
    fn blocks(&self, starts: &[u64]) -> Vec<u32> {
        let blocks = starts.iter().filter_map(|a| self.index.get(a).copied());
        blocks.collect()
    }

    /// The hub that a block is.
    fn hub_at(&self, block: u32) -> Option<usize> {
        (block as usize).checked_sub(self.first_hub)
    }

    /// The hub that the jump at an address goes through, as a block.
    fn hub_of(&self, jump: u64) -> Option<u32> {
        Some((self.first_hub + self.hubs.of(jump)?) as u32)
    }

    /// Runs a block from `state`; the state at its end, before what its last instruction does
    /// to control, and what it used when `record`ing.
    fn run(&mut self, block: u32, state: State, record: bool) -> (Flow<ValueId>, State, Uses) {
        if self.hub_at(block).is_some() {
            return (Flow::Stop, state, Uses::default());
        }
        let Extent { start, last, .. } = self.extents[block as usize];
        let mut lower = Lower {
            image: self.image,
            graph: &mut self.graph,
            state,
            entry: self.entry,
            at: start,
            exposed: &mut self.exposed,
            trust: self.trust,
            keeps_return_address: &mut self.keeps_return_address,
            saved: &mut self.saved,
            uses: record.then(Uses::default),
        };
        let mut flow = Flow::Invalid;
        if let Some(code) = self.image.code(Addr(start)) {
            loop {
                let offset = (lower.at - start) as usize;
                let (length, step) =
                    self.lifter
                        .lift(code.get(offset..).unwrap_or(&[]), lower.at, &mut lower);
                flow = step;
                if lower.at >= last || length == 0 {
                    let after = lower.at + length as u64;
                    // A call of the next instruction is how code learns where it is.
                    if flow == Flow::Call(after) {
                        lower.push(after);
                        flow = Flow::Next;
                    }
                    break;
                }
                lower.at += length as u64;
            }
        }
        let uses = lower.uses.take().unwrap_or_default();
        (flow, lower.state, uses)
    }

    fn lower(&mut self, at: u64, state: State) -> Lower<'_> {
        Lower {
            image: self.image,
            graph: &mut self.graph,
            state,
            entry: self.entry,
            at,
            exposed: &mut self.exposed,
            trust: self.trust,
            keeps_return_address: &mut self.keeps_return_address,
            saved: &mut self.saved,
            uses: None,
        }
    }

    fn edges(&mut self, block: u32, flow: Flow<ValueId>, state: State) -> Vec<Edge> {
        let Extent { last, after, .. } = self.extents[block as usize];
        if let Some(hub) = self.hub_at(block) {
            return all_edges(&self.blocks(self.hubs.targets(hub)), &state);
        }
        let ways = match flow {
            Flow::Next => vec![(after, state)],
            Flow::Jump(to) => vec![(to, state)],
            Flow::Branch(test, to) => {
                let mut taken = state.clone();
                let mut not_taken = state;
                self.assume(&mut taken, test, true);
                self.assume(&mut not_taken, test, false);
                vec![(after, not_taken), (to, taken)]
            }
            Flow::Call(_) | Flow::CallIndirect(_) => {
                let mut returned = self.lower(last, state.clone());
                returned.after_call();
                let mut ways = vec![(after, returned.state)];
                if let Some(pad) = self.image.landing_pad(Addr(last), Addr(after)) {
                    let mut thrown = self.lower(last, state);
                    thrown.after_throw();
                    ways.push((pad.0, thrown.state));
                }
                ways
            }
            Flow::Syscall | Flow::ForeignSyscall(_) => {
                let mut lower = self.lower(last, state);
                lower.after_syscall();
                vec![(after, lower.state)]
            }
            Flow::JumpIndirect(target) => {
                self.jumps.insert(block, target);
                let to = match self.hub_of(last) {
                    Some(hub) => vec![hub],
                    None => self.blocks(self.tables.get(&last).map_or(&[], |t| &t[..])),
                };
                return all_edges(&to, &state);
            }
            Flow::Return | Flow::Stop | Flow::Invalid => Vec::new(),
        };
        ways.into_iter()
            .filter_map(|(to, state)| {
                let to = *self.index.get(&to)?;
                Some(Edge { to, state })
            })
            .collect()
    }

    /// Narrows `state` by the outcome of a test.
    fn assume(&mut self, state: &mut State, test: ValueId, outcome: bool) {
        let Value::Test(condition, flags) = self.graph.get(test) else {
            return;
        };
        let condition = if outcome {
            condition
        } else {
            condition.negated()
        };
        let Value::Flags(kind, bits, a, b) = self.graph.get(flags) else {
            return;
        };
        let (value, bound) = match kind {
            Compare::Difference if self.graph.constant_of(b).is_some() => (a, b),
            Compare::Difference if self.graph.constant_of(a).is_some() => {
                let Some(swapped) = swapped(condition) else {
                    return;
                };
                return state.refine(&mut self.graph, b, swapped, bits, a);
            }
            Compare::Conjunction if a == b => {
                let zero = self.graph.constant(0);
                (a, zero)
            }
            _ => return,
        };
        // Sign tests say about `a - 0` what a compare with zero would.
        let condition = match (kind, condition) {
            (Compare::Conjunction, Condition::Negative) => Condition::Less,
            (Compare::Conjunction, Condition::NotNegative) => Condition::GreaterEq,
            (Compare::Conjunction, Condition::Above) => Condition::Ne,
            (Compare::Conjunction, Condition::BelowEq) => Condition::Eq,
            (_, Condition::Negative | Condition::NotNegative) => return,
            (_, condition) => condition,
        };
        state.refine(&mut self.graph, value, condition, bits, bound);
        self.assume_shifted(state, value, condition, bits, bound);
    }

    /// What the outcome of comparing `x + c` says of `x`: a range that begins elsewhere.
    fn assume_shifted(
        &mut self,
        state: &mut State,
        value: ValueId,
        condition: Condition,
        bits: u8,
        bound: ValueId,
    ) {
        let mask = u64::MAX >> (64 - u32::from(bits));
        let Some(bound) = self.graph.constant_of(bound).map(|b| b & mask) else {
            return;
        };
        let (low, high) = match condition {
            Condition::Eq => (bound, bound),
            Condition::Below if bound > 0 => (0, bound - 1),
            Condition::BelowEq => (0, bound),
            Condition::Above if bound < mask => (bound + 1, mask),
            Condition::AboveEq => (bound, mask),
            _ => return,
        };
        let mut sum = value;
        while let Value::ZeroExtend(x, n) = self.graph.get(sum)
            && n >= bits
        {
            sum = x;
        }
        let Value::Binary(Binary::Add, x, c) = self.graph.get(sum) else {
            return;
        };
        let Some(c) = self.graph.constant_of(c) else {
            return;
        };
        let low = low.wrapping_sub(c) & mask;
        let high = high.wrapping_sub(c) & mask;
        if low <= high {
            let low = self.graph.constant(low);
            let high = self.graph.constant(high);
            let before = x;
            state.refine(&mut self.graph, before, Condition::AboveEq, bits, low);
            let after = Value::Refine(before, Condition::AboveEq, bits, low);
            let after = self.graph.find(after).unwrap_or(before);
            state.refine(&mut self.graph, after, Condition::BelowEq, bits, high);
        }
    }

    /// Adds what the tables of computed jumps lead to; whether any of it is new.
    fn find_tables(&mut self, tables: &mut Tables) -> bool {
        let mut grown = false;
        for (&block, &target) in &self.jumps {
            let function = self.jumping();
            if let Target::Table(targets) = jump_table::resolve(&function, target) {
                let known = tables.entry(self.extents[block as usize].last).or_default();
                for to in targets {
                    if !known.contains(&to) {
                        known.push(to);
                        grown |= inside(self.image, self.entry, to);
                    }
                }
            }
        }
        grown
    }

    fn jumping(&self) -> jump_table::Function<'_> {
        jump_table::Function {
            image: self.image,
            graph: &self.graph,
            entry: self.entry,
        }
    }

    fn finish(mut self, tables: &Tables, too_large: bool) -> Summary {
        let mut blocks = Vec::with_capacity(self.extents.len());
        let mut stubs = Vec::new();
        let mut escaping = Vec::new();
        for block in 0..self.extents.len() as u32 {
            let Extent { start, last, .. } = self.extents[block as usize];
            let Some((state, _)) = self.states[block as usize].clone() else {
                // Only a call that lower() saw no way past leads here: kept for its place.
                blocks.push(Block {
                    start,
                    last,
                    references: Vec::new(),
                    exit: Exit::Stop,
                });
                continue;
            };
            let (flow, state, uses) = self.run(block, state, true);
            escaping.extend(uses.escaping);
            let exit = self.exit(block, flow, state, tables, &mut stubs, too_large);
            escape_by(&exit, &mut escaping);
            blocks.push(Block {
                start,
                last,
                references: uses.references,
                exit,
            });
        }
        for (exit, at) in stubs {
            escape_by(&exit, &mut escaping);
            blocks.push(Block {
                start: at,
                last: at,
                references: Vec::new(),
                exit,
            });
        }
        if blocks.is_empty() {
            blocks.push(Block {
                start: self.entry,
                last: self.entry,
                references: Vec::new(),
                exit: Exit::Lost(Lost::NotCode),
            });
        }
        self.prune_references(&mut blocks, escaping);
        let clobbered = self.clobbered(&blocks);
        let places = places(blocks.len(), |b| blocks[b as usize].successors().collect());
        self.graph.seal();
        Summary {
            entry: self.entry,
            saved: self.saved,
            clobbered,
            blocks,
            places,
            graph: self.graph,
            keeps_return_address: self.keeps_return_address,
            replaces_return_address: self.replaces_return_address,
        }
    }

    /// Drops references to data whose address never leaves loads that are noted themselves,
    /// and reads of jump tables, whose targets are edges already.
    fn prune_references(&self, blocks: &mut [Block], escaping: Vec<ValueId>) {
        let mut seen: FxHashSet<ValueId> = FxHashSet::default();
        let mut constants: FxHashSet<u64> = FxHashSet::default();
        let mut pending = escaping;
        while let Some(v) = pending.pop() {
            if !seen.insert(v) {
                continue;
            }
            match self.graph.get(v) {
                Value::Const(c) => {
                    constants.insert(c);
                }
                Value::Binary(_, a, b) | Value::Select(_, a, b) => pending.extend([a, b]),
                Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Refine(a, ..) => {
                    pending.push(a);
                }
                Value::Kept(_, _, before) => pending.push(before),
                Value::Phi(index) => {
                    let phi = &self.graph.phis[index as usize];
                    pending.extend(phi.operands.iter().map(|o| o.1));
                }
                // The loaded word leaves, not the address it was loaded from.
                Value::Load(..) => {}
                _ => {}
            }
        }
        let function = self.jumping();
        let tables: FxHashSet<ValueId> = self
            .jumps
            .values()
            .filter(|&&t| matches!(jump_table::resolve(&function, t), Target::Table(_)))
            .filter_map(|&t| jump_table::table_address(&self.graph, t))
            .collect();
        for block in blocks {
            block.references.retain(|r| match r {
                Reference::Address(a) => {
                    constants.contains(a) || self.image.function_start(Addr(*a))
                }
                Reference::Indexed { address, .. } => !tables.contains(address),
                Reference::Bytes { .. } | Reference::Written { .. } => true,
            });
        }
    }

    fn exit(
        &mut self,
        block: u32,
        flow: Flow<ValueId>,
        state: State,
        tables: &Tables,
        stubs: &mut Vec<(Exit, u64)>,
        too_large: bool,
    ) -> Exit {
        let Extent { last, after, .. } = self.extents[block as usize];
        let mut go = |builder: &mut Self, to: u64, state: &State| -> Option<u32> {
            if let Some(&at) = builder.index.get(&to) {
                return Some(at);
            }
            let exit = if !builder.image.is_code(Addr(to)) {
                Exit::Lost(Lost::NotCode)
            } else if inside(builder.image, builder.entry, to) {
                Exit::Lost(if too_large {
                    Lost::TooLarge
                } else {
                    Lost::NotCode
                })
            } else {
                let target = builder.graph.constant(to);
                Exit::TailCall(builder.call(target, state, 0))
            };
            stubs.push((exit, last));
            Some((builder.extents.len() + stubs.len() - 1) as u32)
        };
        let jump = |to: Option<u32>| to.map_or(Exit::Stop, Exit::Jump);
        if let Some(hub) = self.hub_at(block) {
            let targets = self.hubs.targets(hub).to_vec();
            let all = targets.into_iter().filter_map(|to| go(self, to, &state));
            return Exit::Switch(all.collect(), Vec::new());
        }
        match flow {
            Flow::Next => jump(go(self, after, &state)),
            Flow::Jump(to) => jump(go(self, to, &state)),
            Flow::Branch(test, to) => match (go(self, to, &state), go(self, after, &state)) {
                (Some(a), Some(b)) => Exit::Branch(test, a, b),
                _ => Exit::Stop,
            },
            Flow::Call(target) => {
                let target = self.graph.constant(target);
                let call = self.call(target, &state, 8);
                let next = go(self, after, &state);
                let pad = self.image.landing_pad(Addr(last), Addr(after));
                Exit::Call(call, next, pad.and_then(|p| go(self, p.0, &state)))
            }
            Flow::CallIndirect(target) => {
                let call = self.call(target, &state, 8);
                let next = go(self, after, &state);
                let pad = self.image.landing_pad(Addr(last), Addr(after));
                Exit::Call(call, next, pad.and_then(|p| go(self, p.0, &state)))
            }
            Flow::Syscall => {
                let entry = Entry {
                    number: state.register(RAX),
                    arguments: SYSCALL_ARGUMENTS.map(|r| state.register(r)),
                };
                Exit::Syscall(Box::new(entry), go(self, after, &state))
            }
            Flow::ForeignSyscall(kind) => Exit::Foreign(kind, go(self, after, &state)),
            Flow::Return => match self.elsewhere(&state) {
                None => Exit::Return(Box::new(state.registers())),
                Some(target) => Exit::TailCall(self.call(target, &state, -8)),
            },
            Flow::Stop => Exit::Stop,
            Flow::Invalid => Exit::Lost(Lost::NotCode),
            Flow::JumpIndirect(target) => {
                // Where it leads was found while less was known; only what holds now counts.
                let resolved = match jump_table::resolve(&self.jumping(), target) {
                    Target::Table(_) => {
                        Target::Table(tables.get(&last).cloned().unwrap_or_default())
                    }
                    other => other,
                };
                match resolved {
                    Target::Return => Exit::Return(Box::new(state.registers())),
                    Target::Pointer => Exit::TailCall(self.call(target, &state, 0)),
                    Target::Unknown => Exit::Lost(Lost::Table),
                    Target::Table(_) if let Some(hub) = self.hub_of(last) => {
                        Exit::Switch(vec![hub], trusted(&self.graph, target))
                    }
                    Target::Table(targets) => {
                        let all: BTreeSet<u32> = targets
                            .into_iter()
                            .filter_map(|to| go(self, to, &state))
                            .collect();
                        Exit::Switch(all.into_iter().collect(), trusted(&self.graph, target))
                    }
                }
            }
        }
    }

    /// Callee-saved registers that some way out leaves changed, and that were never saved.
    fn clobbered(&self, blocks: &[Block]) -> u16 {
        let mut clobbered = 0;
        for block in blocks {
            let registers = match &block.exit {
                Exit::Return(registers) => &registers[..],
                Exit::TailCall(call) => &call.registers[..],
                _ => continue,
            };
            for reg in CALLEE_SAVED {
                let bit = 1 << reg.0;
                let value = registers[usize::from(reg.0)];
                if self.saved & bit == 0 && !self.graph.is_input(value, Input::Register(reg)) {
                    clobbered |= bit;
                }
            }
        }
        clobbered
    }

    /// Where a return goes when not to the caller: what the function itself put in place of its
    /// return address, or under it.
    fn elsewhere(&mut self, state: &State) -> Option<ValueId> {
        let top = state.frame_offset(&self.graph, RSP)?;
        if part(top) != 0 && part(top) != -1 {
            // A stack of another height: what is there is not known, nor that it is not ours.
            return None;
        }
        // Its return address is dropped or replaced: what comes then returns to the caller's
        // caller.
        self.replaces_return_address |= top > 0;
        match state.load(&mut self.graph, top, 8) {
            Some(held) => match self.graph.get(held) {
                Value::Entry(Input::Stack(_)) => None,
                _ => {
                    // What is entered then returns to the caller's caller.
                    self.replaces_return_address |= top >= 0;
                    Some(held)
                }
            },
            None if top >= 0 => None,
            None => Some(self.graph.intern(Value::Opaque(u64::MAX, 0))),
        }
    }

    /// What a callee finds; `pushed` bytes of return address go on the stack first.
    fn call(&mut self, target: ValueId, state: &State, pushed: i64) -> Box<Call> {
        let mut stack = Vec::new();
        if let Some(top) = state.frame_offset(&self.graph, RSP) {
            for offset in (8..=64).step_by(8) {
                if let Some(v) = state.load(&mut self.graph, top - pushed + offset, 8) {
                    stack.push((offset as i32, v));
                }
            }
        }
        Box::new(Call {
            target,
            registers: state.registers(),
            stack,
        })
    }
}

fn all_edges(to: &[u32], state: &State) -> Vec<Edge> {
    let edges = to.iter().map(|&to| Edge {
        to,
        state: state.clone(),
    });
    edges.collect()
}

/// The places of so many blocks in reverse postorder, from the first one on.
fn places(blocks: usize, successors: impl Fn(u32) -> Vec<u32>) -> Vec<u32> {
    let mut places = vec![u32::MAX; blocks];
    let mut next = blocks as u32;
    let mut seen = vec![false; blocks];
    seen[0] = true;
    let mut stack = vec![(0u32, successors(0), 0usize)];
    while let Some((block, to, at)) = stack.last_mut() {
        if let Some(&to) = to.get(*at) {
            *at += 1;
            if !seen[to as usize] {
                seen[to as usize] = true;
                stack.push((to, successors(to), 0));
            }
        } else {
            next -= 1;
            places[*block as usize] = next;
            stack.pop();
        }
    }
    places
}

/// Notes what leaves the function by its exits.
fn escape_by(exit: &Exit, escaping: &mut Vec<ValueId>) {
    match exit {
        Exit::Call(call, ..) | Exit::TailCall(call) => {
            escaping.extend(CALLER_SAVED.map(|r| call.registers[usize::from(r.0)]));
            escaping.extend(call.stack.iter().map(|s| s.1));
        }
        Exit::Return(registers) => escaping.push(registers[usize::from(RAX.0)]),
        Exit::Syscall(entry, _) => escaping.extend(entry.arguments),
        _ => {}
    }
}

/// The condition on swapped operands.
fn swapped(condition: Condition) -> Option<Condition> {
    Some(match condition {
        Condition::Eq | Condition::Ne => condition,
        Condition::Below => Condition::Above,
        Condition::Above => Condition::Below,
        Condition::BelowEq => Condition::AboveEq,
        Condition::AboveEq => Condition::BelowEq,
        Condition::Less => Condition::Greater,
        Condition::Greater => Condition::Less,
        Condition::LessEq => Condition::GreaterEq,
        Condition::GreaterEq => Condition::LessEq,
        Condition::Negative | Condition::NotNegative | Condition::Unknown => return None,
    })
}
