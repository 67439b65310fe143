//! Where addresses of data and of frames go: memory whose address goes nowhere unseen is only
//! written by those who are seen to.
//!
//! Asked for numbers of system calls that are read from memory. What leads there is followed by
//! places, a piece of memory and an offset, through the values of each function that comes to hold
//! one, its calls, and memory that is followed itself. A place that goes anywhere else (into memory
//! that is not followed, to a callee that is not known, to the kernel) is lost, and with it all that
//! was known of its piece.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::domain::Domain;
use super::memory::{By, Content, Memory};
use super::{FunctionId, Solver};
use crate::image::{Addr, STEP, Slot};
use crate::isa::Reg;
use crate::summary::{Block, Graph, Input, Reference, Summary, Value, ValueId};

mod back;
mod closure;
mod content;
mod flow;
mod kernel;
mod overwrite;
mod protection;
mod want;

pub(super) use want::Wants;

/// Functions that may come to hold a place; with more, nothing is known.
const MOST_FUNCTIONS: usize = 400;
/// Values that are looked at in one program before nothing is known of memory any more: dash, redis and
/// git take 9 000 to 31 000.
const MOST_STEPS: u64 = 1_000_000;
/// Words of followed memory that hold places: where a recursion passes them on at other offsets each
/// time, there would be no end.
const MOST_HELD: usize = 50_000;
/// Pieces that are given up so that the others can be followed.
const MOST_DROPPED: usize = 32;
/// Places that one value can be; beyond, all of them are lost.
const MOST_PLACES: usize = 64;

/// A piece of memory, or a function whose address is followed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Piece {
    /// The stretch of data that begins here.
    Data(u64),
    /// The frame of a function.
    Frame(FunctionId),
    /// The code at an address.
    Code(u64),
}

/// An address: in data itself, in a frame the distance from the stack pointer at entry, in code that
/// from the function's; without it, anywhere in the piece or about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    piece: Piece,
    offset: Option<i64>,
}

impl Place {
    /// So many bytes on.
    fn moved(self, by: i64) -> Place {
        Place {
            offset: self.offset.map(|offset| offset.wrapping_add(by)),
            ..self
        }
    }
}

type Places = BTreeSet<Place>;

/// What is written to followed memory and not known.
type Unknown = BTreeSet<Write>;

/// A write of a function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Write {
    function: FunctionId,
    address: ValueId,
    value: ValueId,
    /// The memory.
    piece: Piece,
}

/// The size of `struct vgetrandom_opaque_params` (include/uapi/linux/random.h), and what of it says how the
/// pages of a state are to be mapped: `PROT_READ | PROT_WRITE`, `MAP_DROPPABLE | MAP_ANONYMOUS`
/// (`__cvdso_getrandom_data`, lib/vdso/getrandom.c).
const PARAMETERS: i64 = 64;
const ASKED_FOR: [(i64, u64); 2] = [(4, 3), (8, 0x28)];

/// A function that may hold places.
struct Holder {
    summary: Arc<Summary>,
    /// Blocks that some instance of it comes to.
    reached: Vec<bool>,
    /// Its frame has parts of unknown size.
    shifts: bool,
    /// What its values are, as far as they are places.
    values: Vec<Places>,
}

/// What was found of places so far; it only grows.
#[derive(Default)]
pub(super) struct Track {
    /// Stretches of data that are followed: start and end, and whether each is taken to be a
    /// variable of its own.
    data: BTreeMap<u64, (u64, bool)>,
    holders: BTreeMap<FunctionId, Holder>,
    /// What is passed to functions.
    passed: BTreeMap<(FunctionId, Input), Places>,
    /// What calls return, by function, address and register.
    returned: BTreeMap<(FunctionId, u64, Reg), Places>,
    /// What functions return through calls at their ends.
    passed_back: BTreeMap<(FunctionId, Reg), Places>,
    /// Places in followed memory, by piece and offset.
    held: BTreeMap<(Piece, i64), Places>,
    /// Where something else is written to followed memory than addresses of functions.
    mixed: BTreeSet<(Piece, i64)>,
    lost: BTreeSet<Piece>,
    /// Calls of functions whose addresses are followed.
    called: BTreeMap<u64, BTreeSet<u64>>,
    changed: bool,
    /// Data that is not followed and that addresses of what is are put into.
    variables: BTreeSet<u64>,
    /// Addresses of frames are followed only where the frame is wanted or holds a place.
    lean: bool,
    /// Frames that are wanted.
    frames: BTreeSet<FunctionId>,
    /// Pieces that a hopeful call was handed, now and when memory was tracked before (see [`Wants`]).
    spared: BTreeSet<Piece>,
    spared_before: BTreeSet<Piece>,
    hopeful: bool,
    /// Where the vDSO was told to put what it wants its states to be like.
    parameters: BTreeSet<Place>,
    /// There was too much to follow.
    gave_up: bool,
    /// Values that were looked at.
    steps: u64,
}

impl Solver<'_> {
    /// What is known of the memory that is wanted, and of variables that addresses of it are put into:
    /// these are wanted from then on. With `hopeful`, more may be said than was seen, and
    /// [`Wants::hopes`] grows by that: it must be tracked once more.
    pub(super) fn track(&mut self, wants: &mut Wants, hopeful: bool) -> Memory {
        wants.hopeful = hopeful;
        loop {
            let track = self.track_once(wants);
            if track.gave_up && !wants.lean {
                // Most of what is followed are addresses of frames that hold nothing: this try does not count.
                wants.lean = true;
                continue;
            }
            wants.steps = track.steps;
            if wants.steps > MOST_STEPS {
                return Memory::default();
            }
            if track.gave_up {
                match track.widest() {
                    Some(piece) if wants.dropped.len() < MOST_DROPPED => {
                        wants.dropped.insert(piece);
                        continue;
                    }
                    _ => return Memory::default(),
                }
            }
            let before = wants.clone();
            for &at in &track.variables {
                self.want_data(at, wants);
            }
            if *wants == before {
                let (mut memory, unknown) = self.contents(&track, wants);
                if self.want_sources(&track, &unknown, wants) {
                    continue;
                }
                wants.waits = self.wait_for(&track, unknown, &mut memory);
                wants.waits |= self.closures(wants, &mut memory);
                // While something is waited for, that number cannot be known yet.
                if !wants.waits {
                    wants.spared.extend(&track.spared);
                }
                return memory;
            }
        }
    }

    fn track_once(&mut self, wants: &Wants) -> Track {
        let mut track = Track {
            lost: wants.dropped.clone(),
            lean: wants.lean,
            frames: wants.frames.clone(),
            spared_before: wants.spared.clone(),
            hopeful: wants.hopeful,
            steps: wants.steps,
            ..Track::following(wants)
        };
        for &function in &wants.frames {
            self.hold(&mut track, function);
        }
        self.seed(&mut track);
        while std::mem::take(&mut track.changed) && !track.gave_up {
            let holders: Vec<FunctionId> = track.holders.keys().copied().collect();
            for function in holders {
                self.follow(&mut track, function);
                track.gave_up |= track.steps > MOST_STEPS || track.held.len() > MOST_HELD;
            }
        }
        track
    }

    /// Lets a function's values be followed.
    fn hold(&mut self, track: &mut Track, function: FunctionId) {
        if track.holders.contains_key(&function) || track.gave_up {
            return;
        }
        if track.holders.len() >= MOST_FUNCTIONS {
            track.gave_up = true;
            return;
        }
        let summary = self.functions.watched(self.image, function);
        track.gave_up |= !self.is_watched(function, &summary);
        let mut reached = vec![false; summary.blocks.len()];
        for (_, id) in self.by_context.get(&function).into_iter().flatten() {
            let instance = &self.instances[id.0 as usize];
            if instance.begun {
                for (block, reached) in (0..).zip(&mut reached) {
                    *reached |= instance.found.comes_to(block);
                }
            }
        }
        let nodes = (0..summary.graph.len() as u32).map(ValueId);
        let shifts = nodes
            .filter_map(|v| match summary.graph.get(v) {
                Value::Frame(offset) => Some(offset >> 32),
                _ => None,
            })
            .any(|part| part != 0 && part != -1);
        // Or callees write to it without being handed its address.
        if shifts || self.written_from_below.contains(&function) {
            track.lost.insert(Piece::Frame(function));
        }
        let values = vec![Places::new(); summary.graph.len()];
        track.changed = true;
        track.holders.insert(
            function,
            Holder {
                summary,
                reached,
                shifts,
                values,
            },
        );
    }

    /// Whether what was found of a function holds for this summary of it: only if they have the same blocks.
    fn is_watched(&self, function: FunctionId, summary: &Summary) -> bool {
        let usual = &self.functions.all[function.0 as usize].summary;
        let same = |(a, b): (&Block, &Block)| (a.start, a.last) == (b.start, b.last);
        usual.blocks.len() == summary.blocks.len()
            && usual.blocks.iter().zip(&summary.blocks).all(same)
    }

    /// Finds who names followed data, and what it holds at first.
    fn seed(&mut self, track: &mut Track) {
        if track.data.is_empty() {
            return;
        }
        let mut named = BTreeSet::new();
        // Linkage tables that somebody comes to otherwise than by reading one word of them.
        let mut walked = BTreeSet::new();
        for &(function, block) in &self.referred {
            let summary = &self.functions.all[function.0 as usize].summary;
            for reference in &summary.blocks[block as usize].references {
                let Some(naming) = self.naming(track, reference, &mut walked) else {
                    continue;
                };
                for piece in naming.pieces {
                    if track.piece_of(naming.at) == Some(piece) {
                        named.insert(function);
                    } else if !track.is_apart(piece) || !naming.computed {
                        track.lose(piece);
                    }
                }
            }
        }
        for function in named {
            self.hold(track, function);
        }
        self.lose_handed(track);
        for (at, held) in self
            .data
            .slots(self.image)
            .chain(self.image.read_by_place())
        {
            let Slot::Address(held) = held else { continue };
            let table = self.linkage_at(at.0);
            if let Some(piece) = track.piece_of(held.0)
                && track.piece_of(at.0).is_none()
                && table.is_none_or(|table| walked.contains(&table))
            {
                track.lose(piece);
            }
        }
        let ranges: Vec<Range<u64>> = track.data.iter().map(|(&s, &(e, _))| s..e).collect();
        for range in ranges {
            let piece = Piece::Data(range.start);
            for (at, slot) in self.image.slots(range) {
                let place = match slot {
                    Slot::Address(a) if self.image.is_code(a) => Place {
                        piece: Piece::Code(a.0),
                        offset: Some(0),
                    },
                    Slot::Address(a) => match track.piece_of(a.0) {
                        Some(piece) => Place {
                            piece,
                            offset: Some(a.0 as i64),
                        },
                        None => continue,
                    },
                    Slot::Value(_) => continue,
                    Slot::Resolver(_) => {
                        track.lose(piece);
                        continue;
                    }
                };
                let held = track.held.entry((piece, at.0 as i64)).or_default();
                held.insert(place);
            }
        }
    }

    /// What a reference of reached code names of followed data. Linkage tables that it comes to otherwise
    /// than by reading one word are added to `walked`.
    pub(super) fn naming(
        &self,
        track: &Track,
        reference: &Reference,
        walked: &mut BTreeSet<u64>,
    ) -> Option<Naming> {
        let (mut at, mut size) = match *reference {
            Reference::Address(at) => (at, 1),
            Reference::Bytes { at, size }
            | Reference::Assigned { at, size, .. }
            | Reference::Written { at, size, .. } => (at, size),
            Reference::Indexed { base, .. } => (base, 0),
            Reference::Stored(_) | Reference::Computed(_) => return None,
        };
        let mut computed = matches!(reference, Reference::Address(_)) || size == 0;
        // Who reads a word of a linkage table holds the address that it has.
        match self.in_linkage(at) {
            Some(held) if !computed && size == 8 => {
                (at, size, computed) = (held, 1, true);
            }
            _ => walked.extend(self.linkage_at(at)),
        }
        // A base can lie before what an index leads to, or after it, in its section; and who
        // counts from one names the element before the first.
        let near = self.image.beside(Addr(at)).map_or(at, |beside| beside.0);
        let region = self.image.region(Addr(near)).map(|r| r.range.clone());
        let named_range = at..at.saturating_add(u64::from(size));
        let own = self
            .image
            .data_extent(Addr(at))
            .is_some_and(|e| e.start == at);
        let ahead = (computed && !own).then(|| at..at.saturating_add(STEP));
        let section = region.filter(|r| size == 0 || near != at || r.end == at);
        let ranges = [Some(named_range), ahead, section];
        let pieces = ranges
            .into_iter()
            .flatten()
            .flat_map(|range| track.over(range))
            .collect();
        Some(Naming {
            at,
            computed,
            pieces,
        })
    }

    /// Loses what lookups by name hand out, and what data names where no word begins.
    pub(super) fn lose_handed(&self, track: &mut Track) {
        for &at in &self.handed {
            if let Some(piece) = track.piece_of(at) {
                track.lose(piece);
            }
        }
        let pieces: Vec<(u64, u64)> = track.data.iter().map(|(&s, &(e, _))| (s, e)).collect();
        for (start, end) in pieces {
            // Structures of Go are never packed.
            let go = self.image.is_go_variable(Addr(start));
            if !go && self.image.names_at_odd_places(start..end) {
                track.lose(Piece::Data(start));
            }
        }
    }

    /// What is written to memory and not known may be once more of what callers pass is told apart: until
    /// then nothing is known of the memory. Whether there is any such.
    fn wait_for(&mut self, track: &Track, unknown: Unknown, memory: &mut Memory) -> bool {
        let mut waits = false;
        for Write {
            function,
            value,
            piece,
            ..
        } in unknown
        {
            let graph = &track.holders[&function].summary.graph;
            let read = reads_frame(graph, value) && memory.frames.contains_key(&function);
            let read = read && !self.memory.frames.contains_key(&function);
            if read || self.would_matter(function, graph, value) {
                match piece {
                    Piece::Data(start) => {
                        memory.data.remove(&start);
                        memory.apart.remove(&start);
                    }
                    Piece::Frame(of) => _ = memory.frames.remove(&of),
                    Piece::Code(_) => {}
                }
                waits = true;
            }
        }
        waits
    }

    /// Wants the frames of functions that what they write to followed data is read from, and what is written to
    /// wanted frames depends on; whether that is more.
    fn want_sources(&self, track: &Track, unknown: &Unknown, wants: &mut Wants) -> bool {
        let before = wants.clone();
        for write in unknown {
            let graph = &track.holders[&write.function].summary.graph;
            if !wants.is_full() && reads_frame(graph, write.value) {
                wants.frames.insert(write.function);
            }
            if matches!(write.piece, Piece::Frame(_)) {
                self.want_passed(track, write, wants);
            }
        }
        *wants != before
    }

    /// What followed memory that was not lost can hold, and what is written to it and not known.
    fn contents(&self, track: &Track, wants: &Wants) -> (Memory, Unknown) {
        let mut memory = Memory::default();
        let lost = track.all_lost();
        for (&start, &(end, apart)) in &track.data {
            if !lost.contains(&Piece::Data(start)) {
                memory.data.insert(start, (end, Content::default()));
                if apart {
                    memory.apart.insert(start);
                }
            }
        }
        for &function in &wants.frames {
            if !lost.contains(&Piece::Frame(function)) {
                memory.frames.insert(function, Content::default());
            }
        }
        let unknown = self.writes(track, &lost, wants, &mut memory);
        for place in track.parameters.iter().filter(|p| !lost.contains(&p.piece)) {
            for at in (0..PARAMETERS).step_by(4) {
                let told = ASKED_FOR.iter().find(|(offset, _)| *offset == at);
                let value = told.map_or(Domain::Anything, |&(_, value)| Domain::one(value));
                let offset = place.offset.map(|offset| offset.saturating_add(at));
                content::write(
                    &mut memory,
                    Place { offset, ..*place },
                    4,
                    By::Others,
                    &value,
                );
            }
        }
        for (&(piece, at), places) in &track.held {
            if let Piece::Data(start) = piece
                && memory.data.contains_key(&start)
                && let Some(Slot::Address(code)) = self.image.slot(Addr(at as u64))
                && places.iter().any(|p| p.piece == Piece::Code(code.0))
                && !lost.contains(&Piece::Code(code.0))
            {
                memory.private.insert(at as u64);
            }
        }
        memory.called = track.called.clone();
        memory.overwritten = self.overwritten(track, &memory);
        (memory, unknown)
    }
}

/// What a reference names of followed data.
pub(super) struct Naming {
    /// The address that code names.
    pub(super) at: u64,
    /// More than the bytes there may be meant.
    pub(super) computed: bool,
    pub(super) pieces: BTreeSet<Piece>,
}

impl Track {
    /// Of the data that is wanted, nothing was seen yet.
    pub(super) fn following(wants: &Wants) -> Track {
        let data = wants.data.iter();
        Track {
            data: data
                .map(|(range, apart)| (range.start, (range.end, *apart)))
                .collect(),
            ..Track::default()
        }
    }

    /// Stretches of data that were not lost: start and end.
    pub(super) fn kept(&self) -> impl Iterator<Item = (u64, u64)> {
        let kept = self
            .data
            .iter()
            .filter(|(start, _)| !self.lost.contains(&Piece::Data(**start)));
        kept.map(|(&start, &(end, _))| (start, end))
    }

    /// What most functions come to hold.
    fn widest(&self) -> Option<Piece> {
        let mut held: BTreeMap<Piece, usize> = BTreeMap::new();
        for holder in self.holders.values() {
            let pieces: BTreeSet<Piece> = holder.values.iter().flatten().map(|p| p.piece).collect();
            for piece in pieces {
                *held.entry(piece).or_default() += 1;
            }
        }
        held.into_iter()
            .max_by_key(|&(_, count)| count)
            .map(|(piece, _)| piece)
    }

    /// Whether it matters where addresses of a function's frame go.
    fn follows(&self, function: FunctionId) -> bool {
        let frame = Piece::Frame(function);
        let mut held = self.held.range((frame, i64::MIN)..=(frame, i64::MAX));
        !self.lean || self.frames.contains(&function) || held.next().is_some()
    }

    /// The followed data that `at` is in. Whoever holds the address behind it can come to it from
    /// there.
    pub(super) fn piece_of(&self, at: u64) -> Option<Piece> {
        let (&start, &(end, apart)) = self.data.range(..=at).next_back()?;
        (at < end || (at == end && !apart)).then_some(Piece::Data(start))
    }

    /// The followed data that overlaps a range.
    fn over(&self, range: Range<u64>) -> Vec<Piece> {
        let before = self.piece_of(range.start);
        let inside = self.data.range(range.start..range.end.max(range.start));
        let mut all: BTreeSet<Piece> = inside.map(|(&start, _)| Piece::Data(start)).collect();
        all.extend(before);
        all.into_iter().collect()
    }

    fn is_apart(&self, piece: Piece) -> bool {
        match piece {
            Piece::Data(start) => self.data.get(&start).is_some_and(|d| d.1),
            _ => false,
        }
    }

    pub(super) fn lose(&mut self, piece: Piece) {
        self.changed |= self.lost.insert(piece);
    }

    /// Whether a place is the address behind its piece of data.
    fn is_behind(&self, place: Place) -> bool {
        match (place.piece, place.offset) {
            (Piece::Data(start), Some(at)) => self
                .data
                .get(&start)
                .is_some_and(|&(end, _)| end == at as u64),
            _ => false,
        }
    }

    /// A write that leaves its piece of data loses it, and what it comes to.
    fn lose_beyond(&mut self, place: Place, size: u8) {
        let (Piece::Data(start), Some(offset)) = (place.piece, place.offset) else {
            return;
        };
        let range = offset as u64..(offset as u64).saturating_add(u64::from(size));
        let inside = self
            .data
            .get(&start)
            .is_some_and(|&(end, _)| range.start >= start && range.end <= end);
        if !inside {
            self.lose(place.piece);
            for piece in self.over(range) {
                self.lose(piece);
            }
        }
    }

    fn lose_all(&mut self, places: &Places) {
        for place in places {
            self.lose(place.piece);
        }
    }

    /// All that is lost, with what lost memory holds.
    fn all_lost(&self) -> BTreeSet<Piece> {
        let mut lost = self.lost.clone();
        loop {
            let before = lost.len();
            for ((piece, _), places) in &self.held {
                if lost.contains(piece) {
                    lost.extend(places.iter().map(|p| p.piece));
                }
            }
            if lost.len() == before {
                return lost;
            }
        }
    }

    /// Places that `size` bytes at a place hold.
    fn load(&mut self, place: Place, size: u8) -> Places {
        let Some(offset) = place.offset else {
            let all = self
                .held
                .range((place.piece, i64::MIN)..=(place.piece, i64::MAX));
            return all.flat_map(|(_, places)| places).copied().collect();
        };
        let around = (place.piece, offset.saturating_sub(7))
            ..(place.piece, offset.saturating_add(i64::from(size)));
        let found: Vec<(i64, Places)> = self
            .held
            .range(around)
            .map(|(&(_, at), places)| (at, places.clone()))
            .collect();
        let mut all = Places::new();
        for (at, places) in found {
            if at == offset && size == 8 {
                all.extend(places);
            } else {
                // A part of an address.
                self.lose_all(&places);
            }
        }
        all
    }

    fn add(&mut self, known: impl FnOnce(&mut Self) -> &mut Places, places: &Places) {
        let known = known(self);
        let before = known.len();
        known.extend(places);
        let grown = known.len() != before;
        self.changed |= grown;
    }

    /// The rest of what `function` does is not understood: all that it holds is lost.
    fn lose_held_by(&mut self, function: FunctionId) {
        let holder = &self.holders[&function];
        let all: Places = holder.values.iter().flatten().copied().collect();
        self.lose_all(&all);
    }
}

/// Whether a value is read from the function's own frame, at a place that is known.
fn reads_frame(graph: &Graph, value: ValueId) -> bool {
    match graph.get(value) {
        Value::Load(address, ..) => matches!(graph.get(address), Value::Frame(_)),
        Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Refine(a, ..) => {
            reads_frame(graph, a)
        }
        _ => false,
    }
}

/// The offset of a sum, when one side is a constant.
fn constant(graph: &Graph, value: ValueId) -> Option<i64> {
    graph.constant_of(value).map(|c| c as i64)
}
