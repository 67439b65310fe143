//! Values of one function under one context: what its graph's nodes can be.

use std::collections::hash_map::Entry;

use rustc_hash::{FxHashMap, FxHashSet};

use super::FunctionId;
use super::domain::{Domain, decide};
use super::memory::Memory;
use super::written::Written;
use crate::image::{Addr, Image, Slot};
use crate::isa::{Reg, RegSet};
use crate::summary::{Graph, Input, MEMORY, OUTSIDE, Value, ValueId};

/// Rounds after which a value that still grows around a loop is widened.
const PATIENCE: u32 = 8;
/// Bounds that widening stops at.
const MOST_BOUNDS: usize = 8;
/// Entries of a table that are read one by one.
const MOST_READS: u64 = 1024;
/// Addresses below are never mapped (`CONFIG_DEFAULT_MMAP_MIN_ADDR`, at least a page).
pub(super) const NEVER_MAPPED: u64 = 4096;

/// What the outside supplies to a function.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// The image.
    pub image: &'a Image,
    /// What callers pass.
    pub context: &'a [(Input, Domain)],
    /// Words that are protected later, and written before.
    pub written: &'a Written,
    /// The function.
    pub function: FunctionId,
    /// Memory that is written to, and known.
    pub memory: &'a Memory,
}

/// What was found so far of the ways through a function and of its calls; it only grows.
#[derive(Clone, Default, Debug)]
pub(super) struct Found {
    /// Edges between blocks that can be taken.
    edges: FxHashSet<(u32, u32)>,
    /// What the call at an address returned.
    results: FxHashMap<u64, Domain>,
    /// Registers that the call at an address keeps.
    kept: FxHashMap<u64, RegSet>,
}

/// Memory that evaluators use one after the other.
#[derive(Default)]
pub(super) struct Scratch {
    /// Per node, its place in `known`, counted from one.
    slots: Vec<u32>,
    known: Vec<(ValueId, Domain)>,
    /// Per node, when it was discovered, counted from one, while it is in `open`.
    places: Vec<u32>,
    open: Vec<ValueId>,
    visits: Vec<Visit>,
    operands: Vec<ValueId>,
}

/// A node whose operands are looked at.
struct Visit {
    node: ValueId,
    /// The lowest place that it leads back to.
    lowest: u32,
    /// It is an operand of itself.
    own: bool,
    /// Where its operands begin, and the next of them.
    first: usize,
    next: usize,
}

/// Evaluates nodes, each once, while more is found of the function.
pub(super) struct Evaluator<'a> {
    graph: &'a Graph,
    around: Surroundings<'a>,
    found: Found,
    scratch: Scratch,
    /// Blocks and calls that known values depend on.
    used_blocks: FxHashSet<u32>,
    used_calls: FxHashSet<u64>,
    stale: bool,
}

impl Found {
    /// Whether control can go from block to block.
    pub(super) fn goes(&self, from: u32, to: u32) -> bool {
        self.edges.contains(&(from, to))
    }

    /// Whether the call at an address was found to keep the register.
    pub(super) fn keeps(&self, at: u64, reg: Reg) -> bool {
        self.kept.get(&at).is_some_and(|kept| kept.contains(reg))
    }

    /// Whether control can come to the block.
    pub(super) fn comes_to(&self, block: u32) -> bool {
        block == 0 || self.edges.iter().any(|&(_, to)| to == block)
    }
}

impl<'a> Evaluator<'a> {
    /// An evaluator that knows no value yet.
    pub(super) fn new(
        graph: &'a Graph,
        around: Surroundings<'a>,
        found: Found,
        mut scratch: Scratch,
    ) -> Self {
        let size = graph.len().max(scratch.slots.len());
        scratch.slots.resize(size, 0);
        scratch.places.resize(size, 0);
        Evaluator {
            graph,
            around,
            found,
            scratch,
            used_blocks: FxHashSet::default(),
            used_calls: FxHashSet::default(),
            stale: false,
        }
    }

    /// What was found, and the memory that was used.
    pub(super) fn finish(mut self) -> (Found, Scratch) {
        self.forget();
        (self.found, self.scratch)
    }

    /// Some value that was asked for depends on what was found since.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Forgets all values.
    pub(super) fn forget(&mut self) {
        for (v, _) in self.scratch.known.drain(..) {
            self.scratch.slots[v.0 as usize] = 0;
        }
        self.used_blocks.clear();
        self.used_calls.clear();
        self.stale = false;
    }

    /// Whether control can go from block to block, as far as is known.
    pub(super) fn goes(&self, from: u32, to: u32) -> bool {
        self.found.goes(from, to)
    }

    /// Control can go from block to block.
    pub(super) fn take(&mut self, from: u32, to: u32) {
        if self.found.edges.insert((from, to)) {
            self.stale |= self.used_blocks.contains(&to);
        }
    }

    /// The call at `at` can return `result` and keeps the registers `kept`.
    ///
    /// Joined with what was known: a call can move on to another context of its callee, of
    /// which less is known so far.
    pub(super) fn returned(&mut self, at: u64, result: &Domain, kept: RegSet) {
        let known = self.found.results.entry(at).or_default();
        let both = known.join(result);
        let mut changed = both != *known;
        *known = both;
        match self.found.kept.entry(at) {
            Entry::Vacant(empty) => {
                empty.insert(kept);
                changed = true;
            }
            Entry::Occupied(mut known) => {
                changed |= !kept.contains_all(*known.get());
                *known.get_mut() = known.get().and(kept);
            }
        }
        self.stale |= changed && self.used_calls.contains(&at);
    }

    /// Whether the call at `at` keeps the register, as far as is known.
    pub(super) fn may_keep(&mut self, at: u64, reg: Reg) -> bool {
        self.used_calls.insert(at);
        let kept = self.found.kept.get(&at);
        kept.is_none_or(|k| k.contains(reg))
    }

    /// Whether `value` is what the register held at entry.
    pub(super) fn preserved(&mut self, value: ValueId, reg: Reg) -> bool {
        let graph = self.graph;
        match graph.get(value) {
            Value::Entry(Input::Register(r)) if r == reg => return true,
            Value::Kept(_, r, _) if r == reg => {}
            Value::Phi(_) | Value::Refine(..) => {}
            _ => return false,
        }
        let mut pending = vec![value];
        let mut seen = FxHashSet::default();
        while let Some(v) = pending.pop() {
            if !seen.insert(v) {
                continue;
            }
            match graph.get(v) {
                Value::Entry(Input::Register(r)) if r == reg => {}
                Value::Kept(at, r, before) if r == reg && self.may_keep(at, r) => {
                    pending.push(before);
                }
                Value::Phi(index) => {
                    let phi = &graph.phis[index as usize];
                    self.used_blocks.insert(phi.block);
                    let live = phi.operands.iter().filter(|o| self.is_live(o.0, phi.block));
                    pending.extend(live.map(|o| o.1));
                }
                Value::Refine(a, ..) => pending.push(a),
                _ => return false,
            }
        }
        true
    }

    /// What `value` can be.
    pub(super) fn value(&mut self, value: ValueId) -> Domain {
        if !self.is_ready(value) {
            self.settle(value);
        }
        self.get(value)
    }

    /// Its value can be had without looking at operands.
    fn is_ready(&self, value: ValueId) -> bool {
        match self.graph.get(value) {
            Value::Const(_)
            | Value::Any
            | Value::Opaque(..)
            | Value::Frame(_)
            | Value::Flags(..)
            | Value::Entry(_)
            | Value::Ret(_) => true,
            _ => self.scratch.slots[value.0 as usize] != 0,
        }
    }

    fn get(&mut self, value: ValueId) -> Domain {
        match self.graph.get(value) {
            Value::Const(c) => Domain::one(c),
            Value::Any | Value::Opaque(..) | Value::Flags(..) => Domain::Anything,
            Value::Frame(offset) => {
                let Surroundings {
                    memory, function, ..
                } = self.around;
                match memory.frames.contains_key(&function) {
                    true => Domain::frame(function, offset),
                    false => Domain::Anything,
                }
            }
            Value::Entry(input) => self
                .around
                .context
                .iter()
                .find(|(i, _)| *i == input)
                .map_or(Domain::Anything, |(_, d)| d.clone()),
            Value::Ret(at) => {
                self.used_calls.insert(at);
                self.found.results.get(&at).cloned().unwrap_or_default()
            }
            _ => match self.scratch.slots[value.0 as usize] {
                0 => Domain::Nothing,
                slot => self.scratch.known[slot as usize - 1].1.clone(),
            },
        }
    }

    fn set(&mut self, value: ValueId, d: Domain) {
        let Scratch { slots, known, .. } = &mut self.scratch;
        match &mut slots[value.0 as usize] {
            0 => {
                known.push((value, d));
                slots[value.0 as usize] = known.len() as u32;
            }
            slot => known[*slot as usize - 1].1 = d,
        }
    }

    /// Adds the operands of `value`, as far as it depends on them, to `all`.
    fn operands(&mut self, value: ValueId, all: &mut Vec<ValueId>) {
        let graph = self.graph;
        match graph.get(value) {
            Value::Binary(_, a, b) => all.extend([a, b]),
            Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Load(a, ..) => all.push(a),
            Value::Refine(a, _, _, bound) => all.extend([a, bound]),
            Value::Select(t, a, b) => all.extend([t, a, b]),
            Value::Kept(at, reg, a) if self.keeps(at, reg) => all.push(a),
            Value::Test(_, flags) => {
                if let Value::Flags(_, _, a, b) = graph.get(flags) {
                    all.extend([a, b]);
                }
            }
            Value::Phi(index) => {
                let phi = &graph.phis[index as usize];
                self.used_blocks.insert(phi.block);
                let live = |from: u32| self.is_live(from, phi.block);
                all.extend(phi.operands.iter().filter(|o| live(o.0)).map(|o| o.1));
            }
            _ => {}
        }
    }

    /// Whether the call at `at` is known to keep the register.
    fn keeps(&mut self, at: u64, reg: Reg) -> bool {
        self.used_calls.insert(at);
        self.found.keeps(at, reg)
    }

    fn is_live(&self, from: u32, to: u32) -> bool {
        from == OUTSIDE || self.found.edges.contains(&(from, to))
    }

    /// Evaluates what is below `value` and not known yet, one strongly connected component after
    /// the other, operands first (Tarjan's algorithm, with an explicit stack: graphs are as deep
    /// as functions are long).
    fn settle(&mut self, value: ValueId) {
        let mut open = std::mem::take(&mut self.scratch.open);
        let mut visits = std::mem::take(&mut self.scratch.visits);
        let mut operands = std::mem::take(&mut self.scratch.operands);
        let mut enter = Some(value);
        loop {
            if let Some(node) = enter.take() {
                open.push(node);
                let place = open.len() as u32;
                self.scratch.places[node.0 as usize] = place;
                let first = operands.len();
                self.operands(node, &mut operands);
                visits.push(Visit {
                    node,
                    lowest: place,
                    own: false,
                    first,
                    next: first,
                });
            }
            let Some(visit) = visits.last_mut() else {
                break;
            };
            if let Some(&operand) = operands.get(visit.next) {
                visit.next += 1;
                visit.own |= operand == visit.node;
                match self.scratch.places[operand.0 as usize] {
                    0 if self.is_ready(operand) => {}
                    0 => enter = Some(operand),
                    place => visit.lowest = visit.lowest.min(place),
                }
                continue;
            }
            let (node, lowest, own) = (visit.node, visit.lowest, visit.own);
            operands.truncate(visit.first);
            visits.pop();
            let place = self.scratch.places[node.0 as usize];
            if place != lowest {
                if let Some(above) = visits.last_mut() {
                    above.lowest = above.lowest.min(lowest);
                }
                continue;
            }
            let component = &open[place as usize - 1..];
            for v in component {
                self.scratch.places[v.0 as usize] = 0;
            }
            if component.len() == 1 && !own {
                let d = self.compute(node);
                self.set(node, d);
            } else {
                let mut component = component.to_vec();
                component.reverse();
                self.iterate(&component);
            }
            open.truncate(place as usize - 1);
        }
        self.scratch.open = open;
        self.scratch.visits = visits;
        self.scratch.operands = operands;
    }

    /// Values that depend on themselves: from nothing upwards until nothing changes.
    ///
    /// A value that keeps growing is widened to the next bound that the loop itself compares
    /// with, and in the end to anything; a widened result over-approximates, so computing it
    /// again from above may only cut it back.
    fn iterate(&mut self, component: &[ValueId]) {
        for &v in component {
            self.set(v, Domain::Nothing);
        }
        let bounds = self.bounds(component);
        let mut round = 0;
        loop {
            let mut changed = false;
            for &v in component {
                let old = self.get(v);
                let mut new = self.compute(v);
                if matches!(self.graph.get(v), Value::Phi(_)) {
                    new = old.join(&new);
                    if new != old && round >= PATIENCE {
                        new = old.widen(&new, &bounds);
                    }
                }
                if new != old {
                    changed = true;
                    self.set(v, new);
                }
            }
            if !changed {
                break;
            }
            round += 1;
            if round > 2 * PATIENCE + 4 * bounds.len() as u32 {
                // Something other than a phi does not settle: give up on all of it.
                for &v in component {
                    self.set(v, Domain::Anything);
                }
                break;
            }
        }
        if round >= PATIENCE {
            for _ in 0..3 {
                for &v in component {
                    let d = self.compute(v);
                    self.set(v, d);
                }
            }
        }
    }

    /// Constants that the component's values are compared with, ascending.
    fn bounds(&self, component: &[ValueId]) -> Vec<u64> {
        let mut all: Vec<u64> = component
            .iter()
            .filter_map(|&v| match self.graph.get(v) {
                Value::Refine(_, _, _, bound) => self.graph.constant_of(bound),
                _ => None,
            })
            .collect();
        all.sort_unstable();
        all.dedup();
        all.truncate(MOST_BOUNDS);
        all
    }

    fn compute(&mut self, value: ValueId) -> Domain {
        let graph = self.graph;
        match graph.get(value) {
            Value::Binary(op, a, b) => {
                let (a, b) = (self.get(a), self.get(b));
                Domain::binary(op, &a, &b)
            }
            Value::ZeroExtend(a, bits) => self.low(a, bits),
            Value::SignExtend(a, bits) => match self.get(a) {
                Domain::Nothing => Domain::Nothing,
                _ => self.low(a, bits).sign_extend(bits),
            },
            Value::Refine(a, condition, bits, bound) => {
                let bounds = self.get(bound);
                self.get(a).refine_by(condition, bits, &bounds)
            }
            Value::Select(test, a, b) => match self.get(test) {
                Domain::Nothing => Domain::Nothing,
                t if t.single() == Some(0) => self.get(b),
                t if t.bounds().is_some_and(|(lo, _)| lo > 0) => self.get(a),
                _ => self.get(a).join(&self.get(b)),
            },
            Value::Test(condition, flags) => {
                let Value::Flags(kind, bits, a, b) = graph.get(flags) else {
                    return Domain::of([0, 1]);
                };
                let (a, b) = (self.get(a), self.get(b));
                if a == Domain::Nothing || b == Domain::Nothing {
                    return Domain::Nothing;
                }
                match decide(condition, kind, bits, &a, &b) {
                    Some(outcome) => Domain::one(u64::from(outcome)),
                    None => Domain::of([0, 1]),
                }
            }
            Value::Phi(index) => {
                let phi = &graph.phis[index as usize];
                let mut sum = Domain::Nothing;
                for &(from, v) in &phi.operands {
                    if self.is_live(from, phi.block) {
                        sum = sum.join(&self.get(v));
                    }
                }
                sum
            }
            Value::Kept(at, reg, a) => {
                if self.keeps(at, reg) {
                    self.get(a)
                } else {
                    Domain::Anything
                }
            }
            Value::Load(address, size, memory) => {
                let known = self.read_after_call(address, size, memory);
                match known.or_else(|| self.captured(address, size)) {
                    Some(known) => known,
                    None => {
                        let address = self.get(address);
                        self.read(&address, size)
                    }
                }
            }
            _ => self.get(value),
        }
    }

    /// The low `bits` bits, cut by what compares of just these said.
    fn low(&mut self, value: ValueId, bits: u8) -> Domain {
        let mut compares = Vec::new();
        let mut inner = value;
        while let Value::Refine(below, condition, width, bound) = self.graph.get(inner)
            && width == bits
        {
            compares.push((condition, bound));
            inner = below;
        }
        let low = self.get(inner).zero_extend(bits);
        compares
            .into_iter()
            .rev()
            .fold(low, |d, (condition, bound)| {
                d.refine_by(condition, bits, &self.get(bound))
            })
    }

    /// What a word of the own frame holds in the state of memory that a call left which wrote over it.
    fn read_after_call(&self, address: ValueId, size: u8, memory: ValueId) -> Option<Domain> {
        let (Value::Frame(offset), Value::Opaque(call, MEMORY)) =
            (self.graph.get(address), self.graph.get(memory))
        else {
            return None;
        };
        let around = &self.around;
        around
            .memory
            .after_call(around.function, offset, size, call)
    }

    /// What was captured by the closure that a function of Go was called through.
    fn captured(&self, address: ValueId, size: u8) -> Option<Domain> {
        let Surroundings {
            image,
            memory,
            function,
            ..
        } = self.around;
        if !memory.closures.contains_key(&function) {
            return None;
        }
        let offset = self
            .graph
            .distance(address, Input::Register(image.convention.go_closure))?;
        memory.in_closure(function, offset, size)
    }

    /// What memory holds that the program cannot write to, or of which all writes are known.
    fn read(&self, address: &Domain, size: u8) -> Domain {
        let Surroundings {
            image,
            written,
            memory,
            ..
        } = self.around;
        if let Domain::Frames(all, _) = address {
            // A null pointer that comes along faults.
            let reads = all
                .iter()
                .map(|&(f, offset)| memory.in_frame(f, offset, size));
            let sum = reads.fold(Domain::Nothing, |sum, one| sum.join(&one));
            return if sum == Domain::Anything {
                narrow(size)
            } else {
                sum
            };
        }
        let Some(places) = address.values(MOST_READS) else {
            return narrow(size);
        };
        let mut sum = Domain::Nothing;
        for at in places.into_iter().filter(|&at| at >= NEVER_MAPPED) {
            let constant = image.constant(Addr(at), size);
            let one = match (constant.filter(|_| !written.holds(at)), size) {
                (Some(c), _) => Domain::one(c),
                (None, 8) => match fixed_slot(image, written, at) {
                    Some(Slot::Address(a)) => Domain::one(a.0),
                    Some(Slot::Value(v)) => Domain::one(v),
                    _ => match memory.in_data(image, at, size) {
                        Some(known) => known,
                        None => return Domain::Anything,
                    },
                },
                _ => match memory.in_data(image, at, size) {
                    Some(known) => known,
                    None => return narrow(size),
                },
            };
            sum = sum.join(&one);
        }
        sum
    }
}

/// Unknown content of so many bytes.
fn narrow(size: u8) -> Domain {
    if size >= 8 {
        Domain::Anything
    } else {
        Domain::Anything.zero_extend(size * 8)
    }
}

/// A relocated word that the program cannot change once the loader is done.
///
/// `written` are words that reached code writes to although they are protected later.
pub(super) fn fixed_slot(image: &Image, written: &Written, at: u64) -> Option<Slot> {
    let slot = image.fixed_slot(Addr(at))?;
    (!written.holds(at)).then_some(slot)
}
