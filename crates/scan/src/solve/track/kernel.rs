//! What places the kernel is told, and what it writes there.

use std::collections::BTreeSet;

use super::super::domain::Domain;
use super::super::memory::{By, Memory};
use super::super::{FunctionId, Solver};
use super::content::write;
use super::{Holder, Piece, Place, Places, Track};
use crate::image::Addr;
use crate::isa::Reg;
use crate::summary::{Call, Entry, Exit, Graph, Reference, Value, ValueId};

/// How many arguments the vDSO's `getrandom` has, and which of them passes a state (`__cvdso_getrandom_data`,
/// lib/vdso/getrandom.c).
const ARGUMENTS: usize = 5;
pub(super) const STATE: usize = 3;

impl Solver<'_> {
    /// Loses what the system call at `at` may write to in ways that are not known.
    pub(super) fn tell_kernel(
        &self,
        track: &mut Track,
        function: FunctionId,
        at: u64,
        entry: &Entry,
    ) {
        let kernel = self.image.kernel();
        let numbers = self.numbers(function, at);
        let holder = &track.holders[&function];
        let hopeful = track.hopeful && numbers.is_none() && reads_followed(holder, entry.number);
        for (n, argument) in entry.arguments.iter().enumerate() {
            let written = numbers.as_ref().and_then(|all| {
                let mut each = all.iter().map(|&number| kernel.written_through(number, n));
                each.try_fold(0, |most, one| Some(most.max(one?)))
            });
            let places = track.holders[&function].values[argument.0 as usize].clone();
            let goes =
                |place: &Place| written.is_none_or(|size| size > 0 && place.offset.is_none());
            for Place { piece, .. } in places.into_iter().filter(goes) {
                match hopeful && !track.spared_before.contains(&piece) {
                    true => _ = track.spared.insert(piece),
                    false => track.lose(piece),
                }
            }
        }
    }

    /// The registers that the vDSO's `getrandom` takes, if that is what is called: by a variable that Go's runtime
    /// keeps its address in.
    pub(super) fn passed_to_vdso(&self, graph: &Graph, call: &Call) -> Option<&'static [Reg]> {
        /// Its name on x86_64, and on aarch64 (vdso(7)).
        const GETRANDOM: [&str; 2] = ["__vdso_getrandom", "__kernel_getrandom"];
        let Value::Load(address, 8, _) = graph.get(call.target) else {
            return None;
        };
        let variable = graph.constant_of(address)?;
        let mut names = GETRANDOM.iter();
        let known = names.any(|name| self.image.is_vdso_pointer(Addr(variable), name));
        let mut references = self.referred.iter().flat_map(|&(function, block)| {
            let summary = &self.functions.all[function.0 as usize].summary;
            summary.blocks[block as usize].references.iter()
        });
        let written = |r: &Reference| match *r {
            Reference::Assigned { at, size, .. } | Reference::Written { at, size, .. } => {
                (at..at.saturating_add(size.max(1).into())).contains(&variable)
            }
            Reference::Address(at) => at == variable,
            _ => false,
        };
        let convention = self.image.convention;
        (known && !references.any(written)).then_some(&convention.arguments[..ARGUMENTS])
    }

    /// The vDSO is passed a state. A state lies in pages that are mapped for it as it says
    /// (`__cvdso_getrandom_data`): in a frame there is none, and it is asked how these have to be.
    pub(super) fn tell_parameters(&self, track: &mut Track, places: &Places) {
        for place in places {
            match place.piece {
                Piece::Frame(_) if place.offset.is_some() => {
                    track.changed |= track.parameters.insert(*place);
                }
                piece => track.lose(piece),
            }
        }
    }

    /// Adds what the kernel writes where the function tells it to.
    pub(super) fn written_by_kernel(
        &self,
        function: FunctionId,
        holder: &Holder,
        memory: &mut Memory,
    ) {
        let kernel = self.image.kernel();
        for (block, reached) in holder.summary.blocks.iter().zip(&holder.reached) {
            let Exit::Syscall(entry, _) = &block.exit else {
                continue;
            };
            let numbers = self.numbers(function, block.last).unwrap_or_default();
            for (n, argument) in entry.arguments.iter().enumerate().filter(|_| *reached) {
                let size = numbers
                    .iter()
                    .filter_map(|&nr| kernel.written_through(nr, n))
                    .max();
                for place in &holder.values[argument.0 as usize] {
                    if let Some(size) = size.filter(|&s| s > 0) {
                        write(memory, *place, size, By::Others, &Domain::Anything);
                    }
                }
            }
        }
    }

    /// The numbers that the system call at `at` can be.
    fn numbers(&self, function: FunctionId, at: u64) -> Option<BTreeSet<u64>> {
        let mut all = BTreeSet::new();
        for (_, id) in self.by_context.get(&function).into_iter().flatten() {
            if let Some(site) = self.instances[id.0 as usize].sites.get(&at) {
                all.extend(site.number.values(8)?);
            }
        }
        Some(all)
    }
}

/// Whether a value is read from followed memory, or a choice of that and others: it will be known once
/// that memory is.
fn reads_followed(holder: &Holder, value: ValueId) -> bool {
    let graph = &holder.summary.graph;
    let mut seen = BTreeSet::new();
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        if !seen.insert(value) {
            continue;
        }
        match graph.get(value) {
            Value::Load(address, ..) if !holder.values[address.0 as usize].is_empty() => {
                return true;
            }
            Value::Binary(_, a, b) | Value::Select(_, a, b) => pending.extend([a, b]),
            Value::ZeroExtend(a, _)
            | Value::SignExtend(a, _)
            | Value::Refine(a, ..)
            | Value::Kept(_, _, a) => pending.push(a),
            Value::Phi(index) => {
                let operands = &graph.phis[index as usize].operands;
                pending.extend(operands.iter().map(|o| o.1));
            }
            _ => {}
        }
    }
    false
}
