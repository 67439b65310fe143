//! What followed memory holds: all that is written there.

use std::collections::BTreeSet;

use super::super::domain::Domain;
use super::super::evaluate::Evaluator;
use super::super::memory::{By, Memory};
use super::super::relevance::sources_of_outcomes;
use super::super::{Entered, FunctionId, InstanceId, Solver};
use super::overwrite::is_own;
use super::{Piece, Place, Track, Unknown, Wants, Write, reads_frame};
use crate::image::Addr;
use crate::summary::{Input, Traffic};

/// Values of a write that are told one by one.
const MOST_TOLD: u64 = 1 << 8;

impl Solver<'_> {
    /// Adds what is written to followed memory that was not lost.
    pub(super) fn writes(
        &self,
        track: &Track,
        lost: &BTreeSet<Piece>,
        wants: &Wants,
        memory: &mut Memory,
    ) -> Unknown {
        let mut unknown = Unknown::new();
        for (&function, holder) in &track.holders {
            for one in &holder.summary.traffic {
                let to = &holder.values[one.address.0 as usize];
                let known = |p: &&Place| !lost.contains(&p.piece);
                if !holder.reached[one.block as usize] || !to.iter().any(|p| known(&p)) {
                    continue;
                }
                let all = self.written(track, function, one, None);
                for place in to.iter().filter(known) {
                    let graph = &holder.summary.graph;
                    let by = match is_own(graph, function, place.piece, one.address) {
                        true => By::Owner,
                        false => By::Others,
                    };
                    // Whether a number is read there.
                    let is_read = match (place.piece, place.offset) {
                        (Piece::Frame(of), Some(at)) => wants.reads(of, at, one.size),
                        _ => false,
                    };
                    // A function that copies does it for many: what others have it copy goes elsewhere.
                    let told = |value: &Domain| value.values(MOST_TOLD).is_some();
                    let value = match is_read && by == By::Others {
                        true => self.written(track, function, one, Some(place.piece)),
                        false => all.clone(),
                    };
                    write(memory, *place, one.size, by, &value);
                    let is_unknown = match place.piece {
                        Piece::Data(_) => {
                            value == Domain::Anything
                                || (!told(&value) && reads_frame(graph, one.value))
                        }
                        Piece::Frame(_) => is_read && !told(&value),
                        Piece::Code(_) => false,
                    };
                    if is_unknown {
                        unknown.insert(Write {
                            function,
                            address: one.address,
                            value: one.value,
                            piece: place.piece,
                        });
                    }
                }
            }
            self.written_by_kernel(function, holder, memory);
        }
        unknown
    }

    /// What a write can write; to one piece alone, as far as callers tell by the address that they pass.
    fn written(
        &self,
        track: &Track,
        function: FunctionId,
        one: &Traffic,
        to: Option<Piece>,
    ) -> Domain {
        let holder = &track.holders[&function];
        let places = &holder.values[one.value.0 as usize];
        if !places.is_empty() {
            if one.size != 8 || !self.is_exact(track, function, one.value) {
                return Domain::Anything;
            }
            let all = places
                .iter()
                .map(|place| match (place.piece, place.offset) {
                    (Piece::Frame(f), Some(offset)) => Domain::frame(f, offset),
                    (Piece::Data(_), Some(at)) => Domain::one(at as u64),
                    (Piece::Code(code), Some(0)) if self.image.is_code(Addr(code)) => {
                        Domain::one(code)
                    }
                    _ => Domain::Anything,
                });
            return all.fold(Domain::Nothing, |sum, d| sum.join(&d));
        }
        let through = sources_of_outcomes(&holder.summary.graph, one.address).inputs;
        let mut sum = Domain::Nothing;
        for (context, id) in self.by_context.get(&function).into_iter().flatten() {
            let instance = &self.instances[id.0 as usize];
            if !instance.begun || !instance.found.comes_to(one.block) {
                continue;
            }
            if let Some(piece) = to
                && !self.is_entered_with(track, *id, &through, piece)
            {
                continue;
            }
            let around = self.surroundings(function, context);
            let graph = &holder.summary.graph;
            let mut evaluator =
                Evaluator::new(graph, around, instance.found.clone(), Default::default());
            sum = sum.join(&evaluator.value(one.value));
        }
        sum
    }

    /// Whether some of who enters an instance may pass it an address in the piece in one of these inputs.
    fn is_entered_with(
        &self,
        track: &Track,
        id: InstanceId,
        inputs: &BTreeSet<Input>,
        piece: Piece,
    ) -> bool {
        let mut entries = self.entries.iter().filter(|(entered, _)| *entered == id);
        inputs.is_empty()
            || entries.any(|(_, by)| match *by {
                Entered::From(caller, at) => {
                    let caller = self.instances[caller.0 as usize].function;
                    track.hands(caller, at, inputs, piece)
                }
                Entered::Root | Entered::Taken => true,
            })
    }
}

impl Track {
    /// Whether a call of a function at `at` passes an address in the piece in one of these inputs.
    pub(super) fn hands(
        &self,
        caller: FunctionId,
        at: u64,
        inputs: &BTreeSet<Input>,
        piece: Piece,
    ) -> bool {
        let Some(holder) = self.holders.get(&caller) else {
            return false;
        };
        let mut passed = holder.summary.calls_at(at).flat_map(|call| {
            let passed = inputs.iter().map(|input| call.passed(*input));
            passed.flat_map(|value| &holder.values[value.0 as usize])
        });
        passed.any(|place| place.piece == piece)
    }
}

pub(super) fn write(memory: &mut Memory, place: Place, size: u8, by: By, value: &Domain) {
    let Some(offset) = place.offset else { return };
    match place.piece {
        Piece::Frame(function) => {
            if let Some(content) = memory.frames.get_mut(&function) {
                content.write((offset, size, by), value);
            }
        }
        Piece::Data(start) => {
            if let Some((_, content)) = memory.data.get_mut(&start) {
                content.write((offset, size, by), value);
            }
        }
        Piece::Code(_) => {}
    }
}
