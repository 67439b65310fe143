//! Which memory it would be good to know: what numbers of system calls are read from.

use std::collections::BTreeSet;
use std::ops::Range;

use rustc_hash::FxHashSet;

use super::super::relevance::sources_of_outcomes;
use super::super::{Entered, FunctionId, MOST_NUMBERS, Solver};
use super::{Piece, Track, Write};
use crate::image::{Addr, Slot};
use crate::isa::Binary;
use crate::summary::{Input, Value, ValueId};

/// Values that are looked at for all of it.
const MOST_LOOKED_AT: usize = 20_000;
/// Pieces that are followed.
const MOST_WANTED: usize = 256;

/// Memory that is wanted.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(in super::super) struct Wants {
    /// Stretches of data; of each, whether it is taken to be a variable of its own.
    pub(in super::super) data: Vec<(Range<u64>, bool)>,
    /// Frames of functions.
    pub(super) frames: BTreeSet<FunctionId>,
    /// Words of them that numbers are read from.
    pub(super) words: BTreeSet<(FunctionId, i64)>,
    /// Functions of Go, whose closures are wanted.
    pub(super) closures: BTreeSet<FunctionId>,
    /// What too many functions come to hold: of that nothing is known.
    pub(super) dropped: BTreeSet<Piece>,
    /// Values that were looked at so far.
    pub(super) steps: u64,
    /// Only what leads somewhere is followed: all would be too much.
    pub(super) lean: bool,
    /// Some of it can only be known once more inputs are told apart.
    pub(super) waits: bool,
    /// What a system call was handed whose number is read from followed memory: until that number was
    /// known once, the call was taken not to write there.
    pub(super) spared: BTreeSet<Piece>,
    /// More may be spared.
    pub(super) hopeful: bool,
}

impl Wants {
    /// Whether what was found was found to depend on more.
    pub(in super::super) fn waits(&self) -> bool {
        self.waits
    }

    /// How many pieces of memory were taken not to be written to by calls whose numbers were not known.
    pub(in super::super) fn hopes(&self) -> usize {
        self.spared.len()
    }

    /// Whether a number is read from some of these bytes of a frame.
    pub(super) fn reads(&self, function: FunctionId, offset: i64, size: u8) -> bool {
        let end = offset.saturating_add(i64::from(size));
        let near = (function, offset.saturating_sub(7))..(function, end);
        self.words.range(near).next().is_some()
    }

    pub(super) fn is_full(&self) -> bool {
        self.data.len() + self.frames.len() + self.closures.len() >= MOST_WANTED
    }
}

/// On the way to what is wanted.
#[derive(Default)]
struct Search {
    pending: Vec<(FunctionId, ValueId, Role)>,
    seen: FxHashSet<(FunctionId, ValueId, Role)>,
}

/// What a value is to the number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    /// It, or a part of it.
    Number,
    /// The address that it is read from.
    Address,
}

impl Solver<'_> {
    /// Adds to `wants` what unknown numbers of system calls are read from, and in Go programs unknown
    /// protections of memory; whether that is more.
    pub(in super::super) fn want(&self, wants: &mut Wants) -> bool {
        let before = wants.clone();
        let mut search = Search::default();
        for instance in &self.instances {
            let unknown = instance
                .sites
                .iter()
                .filter(|(_, site)| site.number.values(MOST_NUMBERS).is_none());
            for (&at, _) in unknown {
                let summary = &self.functions.all[instance.function.0 as usize].summary;
                let entries = summary.entries_at(at);
                let found = entries.map(|e| (instance.function, e.number, Role::Number));
                search.pending.extend(found);
            }
        }
        self.look_at_all(search, wants);
        if self.image.has_go() {
            self.want_protections(wants);
        }
        *wants != before
    }

    /// Wants the memory that what is written depends on through what callers pass: those that hand the memory on
    /// that it is written to, where that is passed too.
    pub(super) fn want_passed(&self, track: &Track, write: &Write, wants: &mut Wants) {
        let graph = &track.holders[&write.function].summary.graph;
        let through = sources_of_outcomes(graph, write.address).inputs;
        let sources = sources_of_outcomes(graph, write.value);
        let numbers = sources.inputs.iter().map(|&input| (input, Role::Number));
        let addresses = sources.pointers.iter().map(|&input| (input, Role::Address));
        let mut search = Search::default();
        for (input, role) in numbers.chain(addresses) {
            let callers = self.callers.get(&write.function).into_iter().flatten();
            let callers = callers.filter(|(caller, at)| {
                through.is_empty() || track.hands(*caller, *at, &through, write.piece)
            });
            for &(caller, at) in callers {
                let summary = &self.functions.all[caller.0 as usize].summary;
                let calls = summary.calls_at(at);
                let found = calls.map(|call| (caller, call.passed(input), role));
                search.pending.extend(found);
            }
        }
        self.look_at_all(search, wants);
    }

    fn look_at_all(&self, mut search: Search, wants: &mut Wants) {
        while let Some(next) = search.pending.pop() {
            if search.seen.len() < MOST_LOOKED_AT && !wants.is_full() && search.seen.insert(next) {
                self.look(next, &mut search, wants);
            }
        }
    }

    fn look(
        &self,
        (function, value, role): (FunctionId, ValueId, Role),
        search: &mut Search,
        wants: &mut Wants,
    ) {
        let summary = &self.functions.all[function.0 as usize].summary;
        let graph = &summary.graph;
        let mut below = |v: ValueId| search.pending.push((function, v, role));
        match graph.get(value) {
            Value::Const(at) if role == Role::Address => self.want_data(at, wants),
            Value::Frame(_) if role == Role::Address => _ = wants.frames.insert(function),
            Value::Load(address, ..) => {
                if let (Value::Frame(offset), Role::Number) = (graph.get(address), role) {
                    wants.words.insert((function, offset));
                }
                search.pending.push((function, address, Role::Address));
            }
            Value::Binary(Binary::Add, a, b) => {
                below(a);
                below(b);
            }
            Value::ZeroExtend(a, _)
            | Value::SignExtend(a, _)
            | Value::Refine(a, ..)
            | Value::Kept(_, _, a) => below(a),
            Value::Select(_, a, b) => {
                below(a);
                below(b);
            }
            Value::Phi(index) => {
                let operands = &graph.phis[index as usize].operands;
                operands.iter().for_each(|o| below(o.1));
            }
            Value::Entry(input) if input != Input::ReturnAddress => {
                self.look_at_callers(function, input, role, search, wants);
            }
            _ => {}
        }
    }

    fn look_at_callers(
        &self,
        function: FunctionId,
        input: Input,
        role: Role,
        search: &mut Search,
        wants: &mut Wants,
    ) {
        for &(caller, at) in self.callers.get(&function).into_iter().flatten() {
            let summary = &self.functions.all[caller.0 as usize].summary;
            let calls = summary.calls_at(at);
            let found = calls.map(|call| (caller, call.passed(input), role));
            search.pending.extend(found);
        }
        let entry = self.functions.all[function.0 as usize].summary.entry;
        if self.free.contains(&function) {
            // Whoever holds its address enters it: data that has it, above all.
            for (at, slot) in self.data.slots(self.image) {
                if slot == Slot::Address(Addr(entry)) {
                    self.want_data(at.0, wants);
                }
            }
        }
    }

    /// Wants the data that `at` is in.
    pub(in super::super) fn want_data(&self, at: u64, wants: &mut Wants) {
        let Some(region) = self.image.region(Addr(at)) else {
            return;
        };
        if !self.image.can_change(Addr(at)) || region.linkage || region.executable {
            return;
        }
        let (range, apart) = match self.image.data_extents(Addr(at)) {
            // What the linker collects is walked from end to end.
            _ if region.set => (region.range.clone(), false),
            // Go checks each index: nobody comes here from another variable.
            Some(extent) if self.image.is_go_variable(Addr(at)) => (extent, true),
            None if self.image.is_go_variable(Addr(at)) => {
                let word = at & !7;
                (word..word.saturating_add(8), true)
            }
            Some(extent) => (extent, false),
            None if self.image.object_of(Addr(at)) == self.lookups.library() => {
                // glibc's data has few symbols: see docs/soundness.md.
                (at..at.saturating_add(8), true)
            }
            None => {
                let start = self.image.data_symbol_end(Addr(at));
                let start = start.map_or(region.range.start, |s| s.0.max(region.range.start));
                let end = self.image.next_data_symbol(Addr(at));
                let end = end.map_or(region.range.end, |e| e.0.min(region.range.end));
                (start..end, false)
            }
        };
        let overlaps =
            |(other, _): &(Range<u64>, bool)| other.start < range.end && range.start < other.end;
        if !wants.data.iter().any(overlaps) && !wants.is_full() {
            wants.data.push((range, apart));
        }
    }

    /// Whether somebody else than the calls that are known can enter the function.
    pub(super) fn is_entered_otherwise(&self, function: FunctionId) -> bool {
        let instances = self.by_context.get(&function).into_iter().flatten();
        let ids: BTreeSet<_> = instances.map(|(_, id)| *id).collect();
        self.free.contains(&function)
            || self
                .entries
                .iter()
                .any(|(id, by)| ids.contains(id) && !matches!(by, Entered::From(..)))
    }
}
