//! Variables that decide branches and that the program only reads and writes by their names: of these all
//! writes are seen where they happen, without following any address.
//!
//! As with the memory that `track.rs` follows, a round relies on what the one before it found, and its own
//! result must bear that out.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::domain::Domain;
use super::evaluate::{Evaluator, Surroundings};
use super::memory::{By, Content, Memory};
use super::track::{Piece, Track, Wants};
use super::{FunctionId, Instance, InstanceId, Solver};
use crate::image::{Addr, Slot};
use crate::summary::{Exit, Graph, Reference, Value, ValueId};

/// Values below a test that are looked at for what is read.
const MOST_LOOKED_AT: usize = 64;

/// A branch that depends on memory: in which function, at the end of which block, by what, and the
/// addresses that are read.
struct Decision {
    function: FunctionId,
    block: u32,
    test: ValueId,
    read: BTreeSet<u64>,
}

impl Solver<'_> {
    /// What variables hold that tell more of branches than is known, and those that are `relied` on.
    pub(super) fn variables(&self, relied: &Memory) -> Memory {
        // Code that is not understood may write to anything, and so may the kernel where it is called in
        // another way.
        let unseen = |i: &Instance| !i.lost.is_empty() || !i.foreign.is_empty();
        if self.instances.iter().any(unseen) {
            return Memory::default();
        }
        let decisions = self.decisions();
        let mut wants = Wants::default();
        for &start in relied.data.keys() {
            self.want_data(start, &mut wants);
        }
        for at in decisions.iter().flat_map(|d| &d.read) {
            self.want_data(*at, &mut wants);
        }
        // A variable of its own by assumption alone is none.
        wants.data.retain(|(_, apart)| !apart);
        let mut track = Track::following(&wants);
        self.lose_named(&mut track);
        let mut found = Memory::default();
        for (start, end) in track.kept() {
            found.data.insert(start, (end, Content::default()));
        }
        self.assign(&mut found);
        let tells = self.telling(&decisions, &found);
        found
            .data
            .retain(|start, _| relied.data.contains_key(start) || tells.contains(start));
        found
    }

    /// Branches of functions that run which read what the program can change.
    fn decisions(&self) -> Vec<Decision> {
        let functions = (0..).map(FunctionId).zip(&self.functions.all);
        let reached = functions.filter(|(id, _)| self.by_context.contains_key(id));
        let mut all = Vec::new();
        for (function, body) in reached {
            let graph = &body.summary.graph;
            for (block, n) in body.summary.blocks.iter().zip(0..) {
                let Exit::Branch(test, ..) = block.exit else {
                    continue;
                };
                let mut read = variables_below(graph, test);
                read.retain(|&at| self.image.can_change(Addr(at)));
                if !read.is_empty() {
                    all.push(Decision {
                        function,
                        block: n,
                        test,
                        read,
                    });
                }
            }
        }
        all
    }

    /// Loses the data whose address somebody holds, or that somebody comes to in another way than by
    /// reading and writing it at its own address.
    fn lose_named(&self, track: &mut Track) {
        let mut walked = BTreeSet::new();
        for &(function, block) in &self.referred {
            let summary = &self.functions.all[function.0 as usize].summary;
            for reference in &summary.blocks[block as usize].references {
                let Some(naming) = self.naming(track, reference, &mut walked) else {
                    continue;
                };
                // What is read or written across an end is of two pieces, or of none.
                let whole = naming.pieces.len() == 1 && !naming.computed;
                for piece in naming.pieces {
                    if !whole || track.piece_of(naming.at) != Some(piece) {
                        track.lose(piece);
                    }
                }
            }
        }
        self.lose_handed(track);
        // Modules that are not known can name these.
        let kept: Vec<(u64, u64)> = track.kept().collect();
        for (start, end) in kept {
            if self.image.exports_any(start..end) {
                track.lose(Piece::Data(start));
            }
        }
        let words = self.data.slots(self.image);
        for (_, held) in words.chain(self.image.read_by_place()) {
            if let Slot::Address(held) = held
                && let Some(piece) = track.piece_of(held.0)
            {
                track.lose(piece);
            }
        }
    }

    /// Adds what reached code writes to the variables.
    fn assign(&self, found: &mut Memory) {
        for &(function, block) in &self.referred {
            let summary = &self.functions.all[function.0 as usize].summary;
            for reference in &summary.blocks[block as usize].references {
                let (Reference::Assigned { at, size, value }
                | Reference::Written { at, size, value }) = *reference
                else {
                    continue;
                };
                let Some(start) = found.start_of(at) else {
                    continue;
                };
                let mut sum = Domain::Nothing;
                for id in self.instances_at(function, block) {
                    let around = self.surroundings_of(id, &self.memory);
                    sum = sum.join(&self.evaluate(id, around, value));
                }
                if let Some((_, content)) = found.data.get_mut(&start)
                    && let Ok(offset) = i64::try_from(at)
                {
                    content.write((offset, size, By::Others), &sum);
                }
            }
        }
    }

    /// The variables by which a branch can be decided that is not.
    fn telling(&self, decisions: &[Decision], found: &Memory) -> BTreeSet<u64> {
        let memory = self.memory.with(found);
        let mut all = BTreeSet::new();
        for decision in decisions {
            let starts = decision.read.iter().filter_map(|&at| found.start_of(at));
            let starts: BTreeSet<u64> = starts.collect();
            if starts.is_subset(&all) {
                continue;
            }
            let summary = &self.functions.all[decision.function.0 as usize].summary;
            let next = summary.blocks[decision.block as usize].successors();
            let next: Vec<u32> = next.collect();
            let tells = self
                .instances_at(decision.function, decision.block)
                .filter(|id| {
                    let instance = &self.instances[id.0 as usize];
                    next.iter().all(|&to| instance.goes(decision.block, to))
                })
                .any(|id| {
                    let around = self.surroundings_of(id, &memory);
                    self.evaluate(id, around, decision.test).single().is_some()
                });
            if tells {
                all.extend(starts);
            }
        }
        all
    }

    /// Instances of a function that come to a block.
    fn instances_at(&self, function: FunctionId, block: u32) -> impl Iterator<Item = InstanceId> {
        let all = self.by_context.get(&function).into_iter().flatten();
        all.map(|(_, id)| *id).filter(move |id| {
            let instance = &self.instances[id.0 as usize];
            instance.begun && instance.found.comes_to(block)
        })
    }

    fn surroundings_of<'b>(&'b self, id: InstanceId, memory: &'b Memory) -> Surroundings<'b> {
        let instance = &self.instances[id.0 as usize];
        Surroundings {
            memory,
            ..self.surroundings(instance.function, &instance.context)
        }
    }

    /// What a value of an instance can be.
    fn evaluate(&self, id: InstanceId, around: Surroundings<'_>, value: ValueId) -> Domain {
        let instance = &self.instances[id.0 as usize];
        let graph = &self.functions.all[instance.function.0 as usize]
            .summary
            .graph;
        let found = instance.found.clone();
        Evaluator::new(graph, around, found, Default::default()).value(value)
    }
}

/// The constant addresses that are read for a test.
fn variables_below(graph: &Graph, test: ValueId) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut seen = FxHashSet::default();
    let mut pending = vec![test];
    while let Some(v) = pending.pop() {
        if seen.len() > MOST_LOOKED_AT || !seen.insert(v) {
            continue;
        }
        match graph.get(v) {
            Value::Load(address, ..) => found.extend(graph.constant_of(address)),
            Value::Test(_, a)
            | Value::ZeroExtend(a, _)
            | Value::SignExtend(a, _)
            | Value::Refine(a, ..) => pending.push(a),
            Value::Flags(_, _, a, b) | Value::Binary(_, a, b) | Value::Select(_, a, b) => {
                pending.extend([a, b]);
            }
            Value::Phi(index) => {
                let operands = &graph.phis[index as usize].operands;
                pending.extend(operands.iter().map(|o| o.1));
            }
            _ => {}
        }
    }
    found
}
