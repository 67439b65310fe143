//! From instructions to a [`Summary`]: a fixpoint over the states at block starts, then one
//! pass that writes down what each block does.

mod assume;
mod finish;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use super::explore::{Extent, Tables, explore, inside};
use super::hub::Hubs;
use super::jump_table::{self, Target};
use super::lower::Lower;
use super::settle::OneValue;
use super::state::{Exposed, State};
use super::uses::Uses;
use super::value::{Graph, ValueId};
use super::{Above, Summary};
use crate::image::{Addr, Image};
use crate::isa::{Flow, Lifter, RegSet};

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
    /// What callees write of its frame, though it lies where they find no arguments, perhaps.
    pub above: Above,
}

/// Summarises the function at `entry`, in which the calls at the addresses `stops` do not return.
pub fn summarise(
    image: &Image,
    lifter: &mut Lifter,
    entry: u64,
    trust: Trust,
    stops: &BTreeSet<u64>,
) -> Summary {
    make(image, lifter, entry, Calls { trust, stops }, false)
}

/// The same summary, with what the function does to memory.
pub fn watch(
    image: &Image,
    lifter: &mut Lifter,
    entry: u64,
    trust: Trust,
    stops: &BTreeSet<u64>,
) -> Summary {
    make(image, lifter, entry, Calls { trust, stops }, true)
}

fn make(
    image: &Image,
    lifter: &mut Lifter,
    entry: u64,
    calls: Calls<'_>,
    watched: bool,
) -> Summary {
    let mut tables = Tables::new();
    loop {
        let (extents, too_large) = explore(image, lifter, entry, &tables, calls.stops);
        let mut builder = Builder::new(image, lifter, entry, calls, extents, tables.clone());
        builder.watched = watched;
        builder.solve();
        if builder.find_tables(&mut tables) {
            continue;
        }
        return builder.finish(&tables, too_large);
    }
}

/// What is known of the calls that a function makes.
#[derive(Clone, Copy)]
struct Calls<'a> {
    trust: Trust,
    /// Those that do not return.
    stops: &'a BTreeSet<u64>,
}

struct Builder<'a> {
    image: &'a Image,
    lifter: &'a mut Lifter,
    entry: u64,
    /// It is Go's.
    go: bool,
    calls: Calls<'a>,
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
    saved: RegSet,
    /// What it does to memory is wanted.
    watched: bool,
    /// State at the start of each block, with the predecessors that brought it.
    states: Vec<Option<(State, Vec<u32>)>>,
    /// The jump's target per block that ends in a computed jump.
    jumps: BTreeMap<u32, ValueId>,
}

/// Blocks that control goes on to, mostly one or two.
type Blocks = SmallVec<[u32; 2]>;

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
        calls: Calls<'a>,
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
            go: image.is_go(Addr(entry)),
            calls,
            extents,
            tables,
            hubs,
            first_hub,
            index,
            graph: Graph::default(),
            exposed: Exposed::new(),
            keeps_return_address: false,
            replaces_return_address: false,
            saved: RegSet::NONE,
            watched: false,
            states,
            jumps: BTreeMap::new(),
        }
    }

    /// Brings the states at all block starts to a fixpoint.
    fn solve(&mut self) {
        self.fixpoint();
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
                && let Some(state) = self.state(block)
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
        let retreats = self.retreats(&order);
        let mut visits = vec![0u32; self.extents.len()];
        let mut entry = State::entry(&mut self.graph, self.image.convention);
        if self.go {
            entry.zero_lanes(&mut self.graph);
        }
        self.states[0] = Some((entry, vec![OUTSIDE]));
        let mut pending = BTreeSet::from([(order[0], 0u32)]);
        while let Some((_, block)) = pending.pop_first() {
            visits[block as usize] += 1;
            if visits[block as usize] == MOST_VISITS
                && let Some((state, _)) = &mut self.states[block as usize]
            {
                *state = State::unknown(&mut self.graph, self.image.convention);
            }
            let Some(state) = self.state(block) else {
                continue;
            };
            let exposed = self.exposure();
            let (flow, state, _) = self.run(block, state, false);
            let edges = self.edges(block, flow, state);
            if self.exposure() != exposed {
                // An address that is taken here can be used in every block that comes after.
                let first = earliest_after(&retreats, order[block as usize]);
                let visited = (0..visits.len()).filter(|&b| visits[b] > 0 && order[b] >= first);
                pending.extend(visited.map(|b| (order[b], b as u32)));
            }
            for edge in edges {
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

    /// What is known at the start of a block.
    fn state(&self, block: u32) -> Option<State> {
        let known = self.states[block as usize].as_ref();
        known.map(|(state, _)| state.clone())
    }

    /// How much of the frame is exposed: it only grows, and this changes with it.
    fn exposure(&self) -> (usize, i64) {
        let lowest = self
            .exposed
            .values()
            .fold(0, |sum: i64, &o| sum.wrapping_add(o));
        (self.exposed.len(), lowest)
    }

    /// Edges that lead back, or to their own block, by the places of their ends in `order`.
    fn retreats(&self, order: &[u32]) -> Vec<(u32, u32)> {
        let blocks = (0..self.extents.len() as u32).filter(|&b| order[b as usize] != u32::MAX);
        let edges = blocks.flat_map(|b| {
            let from = order[b as usize];
            let all = self.successors(b).into_iter();
            all.map(move |to| (from, order[to as usize]))
        });
        edges.filter(|&(from, to)| to <= from).collect()
    }

    fn successors(&self, block: u32) -> Blocks {
        let extent = &self.extents[block as usize];
        let mut all: SmallVec<[u64; 2]> = SmallVec::new();
        if let Some(hub) = self.hub_at(block) {
            return self.blocks(self.hubs.targets(hub));
        }
        match extent.flow {
            Flow::Next | Flow::Syscall | Flow::ForeignSyscall(_) => all.push(extent.after),
            Flow::Jump(to) => all.push(to),
            Flow::Branch((), to) => all.extend([extent.after, to]),
            Flow::Call(_) | Flow::CallIndirect(()) => {
                all.extend(self.returns_to(extent));
                let pad = self
                    .image
                    .landing_pad(Addr(extent.last), Addr(extent.after));
                all.extend(pad.map(|p| p.0));
            }
            Flow::JumpIndirect(()) => {
                if let Some(hub) = self.hub_of(extent.last) {
                    return smallvec![hub];
                }
                all.extend(self.tables.get(&extent.last).into_iter().flatten().copied());
            }
            Flow::Return | Flow::Stop | Flow::Invalid => {}
        }
        self.blocks(&all)
    }

    /// Where the call at the end of a block returns to, if it does.
    fn returns_to(&self, extent: &Extent) -> Option<u64> {
        let stops = self.calls.stops.contains(&extent.last)
            || (self.go && self.image.go_ends(Addr(extent.last), Addr(extent.after)));
        (!stops).then_some(extent.after)
    }

    /// The function's own blocks among those that begin at these addresses.
    fn blocks(&self, starts: &[u64]) -> Blocks {
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
            go: self.go,
            at: start,
            exposed: &mut self.exposed,
            trust: self.calls.trust,
            keeps_return_address: &mut self.keeps_return_address,
            saved: &mut self.saved,
            watched: self.watched && record,
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
                        lower.link(after);
                        flow = Flow::Next;
                    }
                    break;
                }
                lower.at += length as u64;
            }
        }
        let mut uses = lower.uses.take().unwrap_or_default();
        let state = lower.state;
        if start == self.entry {
            uses.forget_padding(&self.graph);
        }
        (flow, state, uses)
    }

    fn lower(&mut self, at: u64, state: State) -> Lower<'_> {
        Lower {
            image: self.image,
            graph: &mut self.graph,
            state,
            entry: self.entry,
            go: self.go,
            at,
            exposed: &mut self.exposed,
            trust: self.calls.trust,
            keeps_return_address: &mut self.keeps_return_address,
            saved: &mut self.saved,
            watched: false,
            uses: None,
        }
    }

    fn edges(&mut self, block: u32, flow: Flow<ValueId>, state: State) -> SmallVec<[Edge; 2]> {
        let Extent { last, after, .. } = self.extents[block as usize];
        if let Some(hub) = self.hub_at(block) {
            return all_edges(&self.blocks(self.hubs.targets(hub)), &state);
        }
        let ways: SmallVec<[(u64, State); 2]> = match flow {
            Flow::Next => smallvec![(after, state)],
            Flow::Jump(to) => smallvec![(to, state)],
            // Wherever it goes, nothing is known by that.
            Flow::Branch(_, to) if to == after => smallvec![(after, state)],
            Flow::Branch(test, to) => {
                let mut taken = state.clone();
                let mut not_taken = state;
                self.assume(&mut taken, test, true);
                self.assume(&mut not_taken, test, false);
                smallvec![(after, not_taken), (to, taken)]
            }
            Flow::Call(_) | Flow::CallIndirect(_) => {
                let mut ways = SmallVec::new();
                if let Some(after) = self.returns_to(&self.extents[block as usize]) {
                    let callee = match flow {
                        Flow::Call(to) => Some(to),
                        Flow::CallIndirect(to) => self.graph.constant_of(to),
                        _ => None,
                    };
                    let mut returned = self.lower(last, state.clone());
                    returned.after_call(callee);
                    ways.push((after, returned.state));
                }
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
                smallvec![(after, lower.state)]
            }
            Flow::JumpIndirect(target) => {
                self.jumps.insert(block, target);
                let to = match self.hub_of(last) {
                    Some(hub) => smallvec![hub],
                    None => self.blocks(self.tables.get(&last).map_or(&[], |t| &t[..])),
                };
                return all_edges(&to, &state);
            }
            Flow::Return | Flow::Stop | Flow::Invalid => SmallVec::new(),
        };
        ways.into_iter()
            .filter(|(to, _)| *to != self.entry || !self.go)
            .filter_map(|(to, state)| {
                let to = *self.index.get(&to)?;
                Some(Edge { to, state })
            })
            .collect()
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
}

fn all_edges(to: &[u32], state: &State) -> SmallVec<[Edge; 2]> {
    let edges = to.iter().map(|&to| Edge {
        to,
        state: state.clone(),
    });
    edges.collect()
}

/// The first place that control can come to after it left `place`, given the edges that lead back.
fn earliest_after(retreats: &[(u32, u32)], place: u32) -> u32 {
    let mut first = place + 1;
    loop {
        let earlier = retreats
            .iter()
            .filter(|&&(from, to)| to < first && from + 1 >= first);
        match earlier.map(|e| e.1).min() {
            Some(to) => first = to,
            None => return first,
        }
    }
}

/// The places of so many blocks in reverse postorder, from the first one on.
fn places(blocks: usize, successors: impl Fn(u32) -> Blocks) -> Vec<u32> {
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
