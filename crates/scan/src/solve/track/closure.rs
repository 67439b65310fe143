//! What closures of Go capture.
//!
//! A closure begins with the address of its function, and who calls it passes its address in a register.
//! The compiler makes it in one piece where the function is written, and nobody changes it: what is
//! captured and changes is captured by its address (`walkClosure`, cmd/compile/internal/walk/closure.go).
//! So whoever may call such a function, what it finds in its closure is what is put there beside its
//! address where that is named.

use std::collections::BTreeSet;

use super::super::domain::Domain;
use super::super::evaluate::Evaluator;
use super::super::memory::{By, Content, Memory};
use super::super::{FunctionId, Solver};
use super::Wants;
use crate::image::{Addr, Slot};
use crate::isa::Binary;
use crate::summary::{Exit, Graph, Reference, Summary, Value, ValueId};

/// No closure is longer.
const LONGEST: i64 = 1024;

impl Solver<'_> {
    /// Adds to `memory` what is known of the closures that are wanted; whether more will be, once more of
    /// what callers pass is told apart.
    pub(super) fn closures(&mut self, wants: &Wants, memory: &mut Memory) -> bool {
        let mut waits = false;
        for &function in &wants.closures {
            if let Some((content, more)) = self.closure(function) {
                match more {
                    true => waits = true,
                    false => _ = memory.closures.insert(function, content),
                }
            }
        }
        waits
    }

    fn closure(&mut self, function: FunctionId) -> Option<(Content, bool)> {
        let entry = self.functions.all[function.0 as usize].summary.entry;
        // One that captures nothing lies among the constants.
        let held = Slot::Address(Addr(entry));
        if self.data.slots(self.image).any(|(_, slot)| slot == held) {
            return None;
        }
        let mut makers = BTreeSet::new();
        for &(maker, block) in &self.referred {
            let summary = &self.functions.all[maker.0 as usize].summary;
            let references = &summary.blocks[block as usize].references;
            let names = |r: &Reference| matches!(*r, Reference::Address(at) | Reference::Stored(at) if at == entry);
            if references.iter().any(names) {
                makers.insert(maker);
            }
        }
        let mut known: Option<Content> = None;
        let mut more = false;
        for maker in makers {
            let summary = self.functions.watched(self.image, maker);
            if !self.is_watched(maker, &summary) {
                return None;
            }
            let made = self.made(maker, &summary, entry)?;
            for values in made {
                let mut content = Content::default();
                for (offset, size, value) in values {
                    let domain = self.captured(maker, &summary, value);
                    if domain.values(1 << 8).is_none() {
                        more |= self.would_matter(maker, &summary.graph, value);
                    }
                    content.write((offset, size, By::Others), &domain);
                }
                known = Some(match known {
                    None => content,
                    Some(others) => others.either(&content),
                });
            }
        }
        Some((known?, more))
    }

    /// What a function writes beside each place where it puts the address of another one: by the distance,
    /// how many bytes, what.
    fn made(
        &self,
        maker: FunctionId,
        summary: &Summary,
        entry: u64,
    ) -> Option<Vec<Vec<(i64, u8, ValueId)>>> {
        let graph = &summary.graph;
        let reached = |block: u32| {
            let mut ids = self.by_context.get(&maker).into_iter().flatten();
            ids.any(|(_, id)| self.instances[id.0 as usize].found.comes_to(block))
        };
        let traffic = summary.traffic.iter().filter(|one| reached(one.block));
        let mut places = BTreeSet::new();
        for one in traffic.clone() {
            if graph.constant_of(one.value) == Some(entry) {
                // It goes out of sight.
                if one.size != 8 {
                    return None;
                }
                places.insert(place(graph, one.address));
            }
        }
        let beside = |(base, start): (Base, i64)| {
            let near = traffic.clone().filter_map(move |one| {
                let (other, at) = place(graph, one.address);
                let distance = at.wrapping_sub(start);
                let inside = other == base && (0..LONGEST).contains(&distance);
                inside.then_some((distance, one.size, one.value))
            });
            near.collect::<Vec<_>>()
        };
        let all: Vec<_> = places.iter().map(|&place| beside(place)).collect();
        // A part that somebody else fills in is not seen.
        for (&(base, start), values) in places.iter().zip(&all) {
            let mut end = start;
            let mut parts: Vec<_> = values.iter().map(|(at, size, _)| (*at, *size)).collect();
            parts.sort_unstable();
            for (at, size) in parts {
                if start + at <= end {
                    end = end.max(start + at + i64::from(size));
                }
            }
            let handed = |value: ValueId| {
                let (other, at) = place(graph, value);
                other == base && start < at && at < end
            };
            let calls = summary.blocks.iter().filter_map(|block| match &block.exit {
                Exit::Call(call, ..) | Exit::TailCall(call) => Some(call),
                _ => None,
            });
            let convention = self.image.convention;
            let passing = convention.go_passing.or(convention.passing);
            for call in calls {
                let registers = passing.iter().map(|reg| call.registers[reg]);
                let stack = call.stack.iter().map(|(_, value)| *value);
                if registers.chain(stack).any(handed) {
                    return None;
                }
            }
        }
        Some(all)
    }

    /// What a value of a function can be.
    fn captured(&self, function: FunctionId, summary: &Summary, value: ValueId) -> Domain {
        let mut sum = Domain::Nothing;
        for (context, id) in self.by_context.get(&function).into_iter().flatten() {
            let instance = &self.instances[id.0 as usize];
            if instance.begun {
                let around = self.surroundings(function, context);
                let found = instance.found.clone();
                let mut evaluator =
                    Evaluator::new(&summary.graph, around, found, Default::default());
                sum = sum.join(&evaluator.value(value));
            }
        }
        sum
    }
}

/// What an address is counted from: the function's frame, or some value.
type Base = Option<ValueId>;

fn place(graph: &Graph, address: ValueId) -> (Base, i64) {
    match graph.get(address) {
        Value::Frame(offset) => (None, offset),
        Value::Binary(Binary::Add, a, b) => match graph.constant_of(b) {
            Some(by) => {
                let (base, offset) = place(graph, a);
                (base, offset.wrapping_add(by.cast_signed()))
            }
            None => (Some(address), 0),
        },
        _ => (Some(address), 0),
    }
}
