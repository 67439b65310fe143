//! What a function writes on every way to its return through an address that it is passed, or that memory keeps: of
//! what its caller had there before, nothing is left.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::super::domain::Domain;
use super::super::memory::{Memory, Overwritten};
use super::super::{Entered, FunctionId, Solver};
use super::{Holder, Piece, Track, constant};
use crate::image::Addr;
use crate::isa::{Binary, Reg};
use crate::summary::{Call, Exit, Graph, Input, Value, ValueId};

/// Bytes at an address: what it is counted from, how far from there, and how many.
type Write = (Base, i64, u8);

/// What the address of a write is counted from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Base {
    /// What a register passes.
    Passed(Reg),
    /// The frame of a function, of which memory keeps an address.
    Frame(FunctionId),
}

/// Calls from the program's start to a function whose frame there is once: deeper ones are not looked for.
const MOST_CALLERS: usize = 64;

impl Solver<'_> {
    /// Places of the frames that `memory` has that are written by the time that a call returns, whatever it does
    /// besides. Each call by its address, in the function whose frame it is.
    pub(super) fn overwritten(&self, track: &Track, memory: &Memory) -> BTreeSet<Overwritten> {
        let mut all = BTreeSet::new();
        let mut known: BTreeMap<FunctionId, BTreeSet<Write>> = BTreeMap::new();
        for &function in memory.frames.keys() {
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
            let once = OnceCell::new();
            let mut found: BTreeMap<u64, BTreeSet<(i64, u8)>> = BTreeMap::new();
            for (at, call) in calls {
                let writes = self.written_by(track, memory, function, at, &mut known);
                let places = writes.iter().filter_map(|&(base, offset, size)| {
                    let start = match base {
                        Base::Passed(reg) => frame_offset(&summary.graph, call, reg)?,
                        Base::Frame(of) if of == function => {
                            let once = *once.get_or_init(|| self.is_entered_once(function));
                            once.then_some(0)?
                        }
                        Base::Frame(_) => return None,
                    };
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
        memory: &Memory,
        function: FunctionId,
        at: u64,
        known: &mut BTreeMap<FunctionId, BTreeSet<Write>>,
    ) -> BTreeSet<Write> {
        let mut all: Option<BTreeSet<Write>> = None;
        for &callee in self.callees.get(&at).into_iter().flatten() {
            let own = known
                .entry(callee)
                .or_insert_with(|| self.always_written(track, memory, callee));
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
    fn always_written(
        &self,
        track: &Track,
        memory: &Memory,
        function: FunctionId,
    ) -> BTreeSet<Write> {
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
            if let Some((base, offset)) = self.base(memory, &summary.graph, one.address) {
                writes[one.block as usize].insert((base, offset, one.size));
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

    /// What an address is counted from, and how far from there it is.
    fn base(&self, memory: &Memory, graph: &Graph, address: ValueId) -> Option<(Base, i64)> {
        match graph.get(address) {
            Value::Entry(Input::Register(reg)) => Some((Base::Passed(reg), 0)),
            Value::Load(place, 8, _) => {
                let kept = memory.in_data(self.image, graph.constant_of(place)?, 8)?;
                match kept {
                    Domain::Frames(all, _) if all.len() == 1 => {
                        let &(of, offset) = all.first()?;
                        Some((Base::Frame(of), offset))
                    }
                    _ => None,
                }
            }
            Value::Refine(a, ..) => self.base(memory, graph, a),
            Value::Binary(Binary::Add, a, b) => {
                let (base, offset) = self.base(memory, graph, a)?;
                Some((base, offset.checked_add(constant(graph, b)?)?))
            }
            _ => None,
        }
    }

    /// Whether there is one frame of a function in the whole run: it is called at one place that control comes to
    /// once, by one that is entered once, and no thread does the same again.
    fn is_entered_once(&self, function: FunctionId) -> bool {
        let starts = &self.image.kernel().starts_thread;
        let mut sites = self.instances.iter().flat_map(|one| one.sites.values());
        if sites.any(|site| starts.iter().any(|call| site.can_be(call.number))) {
            return false;
        }
        let mut current = function;
        for _ in 0..MOST_CALLERS {
            let instances = self.by_context.get(&current).into_iter().flatten();
            let ids: BTreeSet<_> = instances.map(|(_, id)| *id).collect();
            let mut entries = self.entries.iter().filter(|(id, _)| ids.contains(id));
            let (Some(&(_, by)), None) = (entries.next(), entries.next()) else {
                return false;
            };
            let Entered::From(caller, at) = by else {
                return by == Entered::Root;
            };
            current = self.instances[caller.0 as usize].function;
            let trust = self.functions.trust(self.image, current);
            if !trust.frame || self.comes_again(current, at) {
                return false;
            }
        }
        false
    }

    /// Whether control can come to the call at `at` of a function again after it.
    fn comes_again(&self, function: FunctionId, at: u64) -> bool {
        let blocks = &self.functions.all[function.0 as usize].summary.blocks;
        let calls = (0..).zip(blocks).filter(|(_, block)| block.last == at);
        let calls: BTreeSet<u32> = calls.map(|(n, _)| n).collect();
        let mut seen = BTreeSet::new();
        let mut pending: Vec<u32> = calls.iter().copied().collect();
        while let Some(block) = pending.pop() {
            for next in blocks[block as usize].successors() {
                if calls.contains(&next) {
                    return true;
                }
                if seen.insert(next) {
                    pending.push(next);
                }
            }
        }
        false
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

/// Whether a write of `function` to `piece` is one to its own frame, by its place there.
pub(super) fn is_own(graph: &Graph, function: FunctionId, piece: Piece, address: ValueId) -> bool {
    piece == Piece::Frame(function) && matches!(graph.get(address), Value::Frame(_))
}
