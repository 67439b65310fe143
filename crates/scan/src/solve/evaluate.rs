//! Values of one function under one context: what its graph's nodes can be.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use super::domain::{Domain, decide};
use crate::image::{Addr, Image, Slot};
use crate::isa::Reg;
use crate::summary::{Graph, Input, OUTSIDE, Value, ValueId};

/// Rounds after which a value that still grows around a loop is widened.
const PATIENCE: u32 = 8;
/// Bounds that widening stops at.
const MOST_BOUNDS: usize = 8;
/// Values below a branch that are looked at to see whether it can be told.
const MOST_TOLD: usize = 64;
/// Entries of a table that are read one by one.
const MOST_READS: u64 = 1024;

/// What the outside supplies to a function.
pub(super) struct Surroundings<'a> {
    /// The image.
    pub image: &'a Image,
    /// What callers pass.
    pub context: &'a [(Input, Domain)],
    /// What the call at an address returned, as far as is known.
    pub results: &'a FxHashMap<u64, Domain>,
    /// Scratch registers that the call at an address keeps, a bit each.
    pub kept: &'a FxHashMap<u64, u16>,
    /// Edges between blocks that can be taken.
    pub edges: &'a FxHashSet<(u32, u32)>,
    /// Words that are protected later, and written before.
    pub written: &'a BTreeSet<u64>,
}

/// Evaluates nodes, each once.
pub(super) struct Evaluator<'a> {
    graph: &'a Graph,
    around: Surroundings<'a>,
    known: FxHashMap<ValueId, Domain>,
}

impl<'a> Evaluator<'a> {
    /// An evaluator that knows nothing yet.
    pub(super) fn new(graph: &'a Graph, around: Surroundings<'a>) -> Self {
        Evaluator {
            graph,
            around,
            known: FxHashMap::default(),
        }
    }

    /// What `value` can be.
    pub(super) fn value(&mut self, value: ValueId) -> Domain {
        if let Some(known) = self.leaf(value) {
            return known;
        }
        for component in self.components(value) {
            match component[..] {
                [only] if !self.operands_of(only).contains(&only) => {
                    let d = self.compute(only);
                    self.known.insert(only, d);
                }
                _ => self.iterate(&component),
            }
        }
        self.known.get(&value).cloned().unwrap_or(Domain::Anything)
    }

    fn leaf(&self, value: ValueId) -> Option<Domain> {
        match self.graph.get(value) {
            Value::Const(c) => Some(Domain::one(c)),
            Value::Any | Value::Opaque(..) | Value::Frame(_) | Value::Flags(..) => {
                Some(Domain::Anything)
            }
            Value::Entry(input) => Some(
                self.around
                    .context
                    .iter()
                    .find(|(i, _)| *i == input)
                    .map_or(Domain::Anything, |(_, d)| d.clone()),
            ),
            Value::Ret(at) => Some(self.around.results.get(&at).cloned().unwrap_or_default()),
            _ => self.known.get(&value).cloned(),
        }
    }

    fn get(&self, value: ValueId) -> Domain {
        self.leaf(value).unwrap_or_default()
    }

    fn operands(&self, value: ValueId, all: &mut Vec<ValueId>) {
        match self.graph.get(value) {
            Value::Binary(_, a, b) => all.extend([a, b]),
            Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Load(a, ..) => all.push(a),
            Value::Refine(a, _, _, bound) => all.extend([a, bound]),
            Value::Select(t, a, b) => all.extend([t, a, b]),
            Value::Kept(at, reg, a) if self.keeps(at, reg) => all.push(a),
            Value::Test(_, flags) => {
                if let Value::Flags(_, _, a, b) = self.graph.get(flags) {
                    all.extend([a, b]);
                }
            }
            Value::Phi(index) => {
                let phi = &self.graph.phis[index as usize];
                all.extend(
                    phi.operands
                        .iter()
                        .filter(|(from, _)| self.live(*from, phi.block))
                        .map(|o| o.1),
                );
            }
            _ => {}
        }
    }

    fn keeps(&self, at: u64, reg: Reg) -> bool {
        self.around
            .kept
            .get(&at)
            .is_some_and(|k| k & (1 << reg.0) != 0)
    }

    fn live(&self, from: u32, to: u32) -> bool {
        from == OUTSIDE || self.around.edges.contains(&(from, to))
    }

    fn operands_of(&self, value: ValueId) -> Vec<ValueId> {
        let mut all = Vec::new();
        self.operands(value, &mut all);
        all
    }

    /// Nodes below `value` that are not known yet, as strongly connected components, operands
    /// first (Tarjan's algorithm, with an explicit stack: graphs are as deep as functions are
    /// long).
    fn components(&self, value: ValueId) -> Vec<Vec<ValueId>> {
        struct Visit {
            node: ValueId,
            operands: Vec<ValueId>,
            next: usize,
        }
        let mut components = Vec::new();
        // Place in order of discovery, and the lowest place reached; `u32::MAX` once done.
        let mut places: FxHashMap<ValueId, (u32, u32)> = FxHashMap::default();
        let mut open: Vec<ValueId> = Vec::new();
        let mut visits: Vec<Visit> = Vec::new();
        let enter = |node, places: &mut FxHashMap<ValueId, (u32, u32)>| {
            let place = places.len() as u32;
            places.insert(node, (place, place));
            Visit {
                node,
                operands: self.operands_of(node),
                next: 0,
            }
        };
        open.push(value);
        visits.push(enter(value, &mut places));
        while let Some(visit) = visits.last_mut() {
            let node = visit.node;
            if let Some(&operand) = visit.operands.get(visit.next) {
                visit.next += 1;
                match places.get(&operand) {
                    Some(&(_, u32::MAX)) => {}
                    Some(&(place, _)) => lower(&mut places, node, place),
                    None if self.leaf(operand).is_some() => {}
                    None => {
                        open.push(operand);
                        visits.push(enter(operand, &mut places));
                    }
                }
                continue;
            }
            visits.pop();
            let (place, lowest) = places[&node];
            if place == lowest {
                let from = open.iter().rposition(|&v| v == node).unwrap_or(0);
                let mut component = open.split_off(from);
                for v in &component {
                    places.insert(*v, (0, u32::MAX));
                }
                component.reverse();
                components.push(component);
            } else if let Some(above) = visits.last() {
                let above = above.node;
                lower(&mut places, above, lowest);
            }
        }
        components
    }

    /// Values that depend on themselves: from nothing upwards until nothing changes.
    ///
    /// A value that keeps growing is widened to the next bound that the loop itself compares
    /// with, and in the end to anything; a widened result over-approximates, so computing it
    /// again from above may only cut it back.
    fn iterate(&mut self, component: &[ValueId]) {
        for &v in component {
            self.known.insert(v, Domain::Nothing);
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
                    self.known.insert(v, new);
                }
            }
            if !changed {
                break;
            }
            round += 1;
            if round > 2 * PATIENCE + 4 * bounds.len() as u32 {
                // Something other than a phi does not settle: give up on all of it.
                for &v in component {
                    self.known.insert(v, Domain::Anything);
                }
                break;
            }
        }
        if round >= PATIENCE {
            for _ in 0..3 {
                for &v in component {
                    let d = self.compute(v);
                    self.known.insert(v, d);
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

    fn compute(&self, value: ValueId) -> Domain {
        match self.graph.get(value) {
            Value::Binary(op, a, b) => Domain::binary(op, &self.get(a), &self.get(b)),
            Value::ZeroExtend(a, bits) => self.low(a, bits),
            Value::SignExtend(a, bits) => match self.get(a) {
                Domain::Nothing => Domain::Nothing,
                _ => self.low(a, bits).sign_extend(bits),
            },
            Value::Refine(a, condition, bits, bound) => match self.graph.constant_of(bound) {
                Some(bound) => self.get(a).refine(condition, bits, bound),
                None => self.get(a),
            },
            Value::Select(test, a, b) => match self.get(test) {
                Domain::Nothing => Domain::Nothing,
                t if t.single() == Some(0) => self.get(b),
                t if t.bounds().is_some_and(|(lo, _)| lo > 0) => self.get(a),
                _ => self.get(a).join(&self.get(b)),
            },
            Value::Test(condition, flags) => {
                let Value::Flags(kind, bits, a, b) = self.graph.get(flags) else {
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
                let phi = &self.graph.phis[index as usize];
                phi.operands
                    .iter()
                    .filter(|(from, _)| self.live(*from, phi.block))
                    .fold(Domain::Nothing, |sum, (_, v)| sum.join(&self.get(*v)))
            }
            Value::Kept(at, reg, a) => {
                if self.keeps(at, reg) {
                    self.get(a)
                } else {
                    Domain::Anything
                }
            }
            Value::Load(address, size, _) => self.read(&self.get(address), size),
            _ => self.leaf(value).unwrap_or(Domain::Anything),
        }
    }

    /// The low `bits` bits, cut by what compares of just these said.
    fn low(&self, value: ValueId, bits: u8) -> Domain {
        let mut compares = Vec::new();
        let mut inner = value;
        while let Value::Refine(below, condition, width, bound) = self.graph.get(inner)
            && width == bits
            && let Some(bound) = self.graph.constant_of(bound)
        {
            compares.push((condition, bound));
            inner = below;
        }
        let low = self.get(inner).zero_extend(bits);
        compares
            .into_iter()
            .rev()
            .fold(low, |d, (condition, bound)| {
                d.refine(condition, bits, bound)
            })
    }

    /// What memory that the program cannot write to holds.
    fn read(&self, address: &Domain, size: u8) -> Domain {
        let Some(places) = address.values(MOST_READS) else {
            return narrow(size);
        };
        let mut sum = Domain::Nothing;
        for at in places {
            let Surroundings { image, written, .. } = self.around;
            let constant = image.constant(Addr(at), size);
            let one = match (constant.filter(|_| !written.contains(&(at & !7))), size) {
                (Some(c), _) => Domain::one(c),
                (None, 8) => match fixed_slot(image, written, at) {
                    Some(Slot::Address(a)) => Domain::one(a.0),
                    Some(Slot::Value(v)) => Domain::one(v),
                    _ => return Domain::Anything,
                },
                _ => return narrow(size),
            };
            sum = sum.join(&one);
        }
        sum
    }
}

fn lower(places: &mut FxHashMap<ValueId, (u32, u32)>, node: ValueId, place: u32) {
    if let Some((_, lowest)) = places.get_mut(&node) {
        *lowest = place.min(*lowest);
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
pub(super) fn fixed_slot(image: &Image, written: &BTreeSet<u64>, at: u64) -> Option<Slot> {
    let region = image.region(Addr(at))?;
    if (region.writable && !region.linkage) || written.contains(&(at & !7)) {
        return None;
    }
    image.slot(Addr(at))
}

/// Whether evaluating `value` can tell anything: some way down leads to constants, inputs or
/// results only.
pub(super) fn tellable(graph: &Graph, value: ValueId) -> bool {
    let mut pending = vec![value];
    let mut seen = FxHashSet::default();
    let mut told = false;
    while let Some(v) = pending.pop() {
        if !seen.insert(v) {
            continue;
        }
        if seen.len() > MOST_TOLD {
            return false;
        }
        match graph.get(v) {
            Value::Const(_) | Value::Entry(_) | Value::Ret(_) => told = true,
            Value::Any | Value::Opaque(..) | Value::Frame(_) => {}
            Value::Binary(_, a, b) => pending.extend([a, b]),
            Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Refine(a, ..) => {
                pending.push(a);
            }
            Value::Load(a, ..) | Value::Kept(_, _, a) => pending.push(a),
            Value::Select(_, a, b) => pending.extend([a, b]),
            Value::Test(_, flags) => {
                let Value::Flags(_, _, a, b) = graph.get(flags) else {
                    return false;
                };
                // A compare tells nothing when either side is unknown for good.
                if [a, b].iter().any(|v| hopeless(graph, *v)) {
                    return false;
                }
                pending.extend([a, b]);
            }
            Value::Flags(..) => {}
            Value::Phi(index) => {
                pending.extend(graph.phis[index as usize].operands.iter().map(|o| o.1));
            }
        }
    }
    told
}

fn hopeless(graph: &Graph, value: ValueId) -> bool {
    match graph.get(value) {
        Value::Any | Value::Opaque(..) | Value::Frame(_) => true,
        Value::ZeroExtend(a, _) | Value::SignExtend(a, _) => hopeless(graph, a),
        Value::Load(a, ..) => !matches!(
            graph.get(a),
            Value::Const(_) | Value::Binary(..) | Value::Phi(_) | Value::Select(..)
        ),
        _ => false,
    }
}
