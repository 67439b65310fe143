//! What a function writes on every way to its return through an address that it is passed: of what its
//! caller had there before, nothing is left.

use std::collections::{BTreeMap, BTreeSet};

use super::super::memory::Overwritten;
use super::super::{FunctionId, Solver};
use super::{Holder, Piece, Track, constant};
use crate::image::Addr;
use crate::isa::{Binary, Reg};
use crate::summary::{Call, Exit, Graph, Input, Value, ValueId};

/// Bytes at an address that is passed in a register: how far from there, and how many.
type Write = (Reg, i64, u8);

impl Solver<'_> {
    /// Places of the frames `of` that are written by the time that a call returns, whatever it does
    /// besides. Each call by its address, in the function whose frame it is.
    pub(super) fn overwritten(
        &self,
        track: &Track,
        of: impl Iterator<Item = FunctionId>,
    ) -> BTreeSet<Overwritten> {
        let mut all = BTreeSet::new();
        let mut known: BTreeMap<FunctionId, BTreeSet<Write>> = BTreeMap::new();
        for function in of {
            // Where a call may return again, more may have happened since the first time.
            if !self.functions.trust(self.image, function).frame {
                continue;
            }
            let Some(Holder { summary, .. }) = track.holders.get(&function) else {
                continue;
            };
            let calls = summary.blocks.iter().filter_map(|block| match &block.exit {
                Exit::Call(call, ..) => Some((block.last, call)),
                _ => None,
            });
            let mut found: BTreeMap<u64, BTreeSet<(i64, u8)>> = BTreeMap::new();
            for (at, call) in calls {
                let writes = self.written_by(track, function, at, &mut known);
                let places = writes.iter().filter_map(|&(reg, offset, size)| {
                    let start = frame_offset(&summary.graph, call, reg)?;
                    Some((start.checked_add(offset)?, size))
                });
                let places: BTreeSet<(i64, u8)> = places.collect();
                // One instruction can end several blocks.
                let both = found.entry(at).or_insert_with(|| places.clone());
                both.retain(|place| places.contains(place));
            }
            for (call, places) in found {
                all.extend(places.into_iter().map(|(offset, size)| Overwritten {
                    function,
                    call,
                    offset,
                    size,
                }));
            }
        }
        all
    }

    /// What every function writes that the call at `at` can enter.
    fn written_by(
        &self,
        track: &Track,
        function: FunctionId,
        at: u64,
        known: &mut BTreeMap<FunctionId, BTreeSet<Write>>,
    ) -> BTreeSet<Write> {
        let mut all: Option<BTreeSet<Write>> = None;
        for &callee in self.callees.get(&at).into_iter().flatten() {
            let own = known
                .entry(callee)
                .or_insert_with(|| self.always_written(track, callee));
            match &mut all {
                None => all = Some(own.clone()),
                Some(all) => all.retain(|write| own.contains(write)),
            }
        }
        match self.is_unresolved(function, at) {
            true => BTreeSet::new(),
            false => all.unwrap_or_default(),
        }
    }

    /// What a function writes on every way to where it may return.
    fn always_written(&self, track: &Track, function: FunctionId) -> BTreeSet<Write> {
        let none = BTreeSet::new();
        let Some(Holder { summary, .. }) = track.holders.get(&function) else {
            return none;
        };
        let unusual = self.image.is_go(Addr(summary.entry))
            || summary.keeps_return_address
            || summary.replaces_return_address;
        if unusual || self.comes_back_otherwise(function) {
            return none;
        }
        let mut writes: Vec<BTreeSet<Write>> = vec![BTreeSet::new(); summary.blocks.len()];
        for one in summary.traffic.iter().filter(|one| one.size > 0) {
            if let Some((reg, offset)) = passed(&summary.graph, one.address) {
                writes[one.block as usize].insert((reg, offset, one.size));
            }
        }
        if writes.iter().all(BTreeSet::is_empty) {
            return none;
        }
        // Of each block that control comes to, what was written by its end whatever the way there; it
        // only shrinks.
        let mut after: BTreeMap<u32, BTreeSet<Write>> = BTreeMap::new();
        let mut pending = vec![(0u32, none)];
        while let Some((block, before)) = pending.pop() {
            let mut end = before;
            end.extend(&writes[block as usize]);
            if let Some(known) = after.get(&block) {
                end.retain(|write| known.contains(write));
                if end == *known {
                    continue;
                }
            }
            let goes = |to: &u32| self.goes(function, block, *to);
            let next = summary.blocks[block as usize].successors().filter(goes);
            pending.extend(next.map(|to| (to, end.clone())));
            after.insert(block, end);
        }
        let mut all: Option<BTreeSet<Write>> = None;
        for (&block, end) in &after {
            let block = &summary.blocks[block as usize];
            let leaves = match &block.exit {
                Exit::Return(_) | Exit::TailCall(_) | Exit::Lost(_) => true,
                Exit::Switch(_, trusted) => !trusted.is_empty(),
                Exit::Call(..) => {
                    let callees = self.callees.get(&block.last).into_iter().flatten();
                    callees.into_iter().any(|&c| self.comes_back_otherwise(c))
                }
                _ => false,
            };
            match &mut all {
                _ if !leaves => {}
                None => all = Some(end.clone()),
                Some(all) => all.retain(|write| end.contains(write)),
            }
        }
        all.unwrap_or_default()
    }

    /// Whether a function may come back more than once, or to its caller's caller.
    fn comes_back_otherwise(&self, function: FunctionId) -> bool {
        let mut instances = self.by_context.get(&function).into_iter().flatten();
        instances.any(|(_, id)| self.instances[id.0 as usize].returns_twice())
    }

    /// Whether control goes from block to block in some instance of the function.
    fn goes(&self, function: FunctionId, from: u32, to: u32) -> bool {
        let mut instances = self.by_context.get(&function).into_iter().flatten();
        instances.any(|(_, id)| self.instances[id.0 as usize].goes(from, to))
    }
}

/// Where in the caller's frame the address is that a register passes.
fn frame_offset(graph: &Graph, call: &Call, reg: Reg) -> Option<i64> {
    match graph.get(call.registers[reg]) {
        Value::Frame(offset) => Some(offset),
        _ => None,
    }
}

/// The register whose value at entry, with something added, an address is.
fn passed(graph: &Graph, address: ValueId) -> Option<(Reg, i64)> {
    match graph.get(address) {
        Value::Entry(Input::Register(reg)) => Some((reg, 0)),
        Value::Refine(a, ..) => passed(graph, a),
        Value::Binary(Binary::Add, a, b) => {
            let (reg, offset) = passed(graph, a)?;
            Some((reg, offset.checked_add(constant(graph, b)?)?))
        }
        _ => None,
    }
}

/// Whether a write of `function` to `piece` is one to its own frame, by its place there.
pub(super) fn is_own(graph: &Graph, function: FunctionId, piece: Piece, address: ValueId) -> bool {
    piece == Piece::Frame(function) && matches!(graph.get(address), Value::Frame(_))
}
