//! What a block of a function uses and does, noted while it is lowered for the last time.

use rustc_hash::FxHashSet;

use super::page::Rest;
use super::value::{Graph, Input, Value, ValueId};
use super::{Above, Reference};
use crate::isa::RegSet;

/// What a function uses of the image, collected in the last pass.
#[derive(Default)]
pub(super) struct Uses {
    /// Of the block being lowered.
    pub(super) references: Vec<Reference>,
    /// Values that leave the function's sight: stored, passed, or used as a pointer that is
    /// not a constant plus an index.
    pub(super) escaping: Vec<ValueId>,
    /// Addresses that are only those of pages yet, and addresses that were made whole.
    pub(super) pages: Vec<u64>,
    pub(super) whole: Vec<u64>,
    /// What is added to what may be the address of a page.
    pub(super) rests: FxHashSet<Rest>,
    /// Registers of which it uses what they hold at entry.
    pub(super) reads: RegSet,
    /// It uses what lies on its caller's stack.
    pub(super) takes_stack: bool,
    /// What it writes of it.
    pub(super) above: Above,
    /// Where it reads its frame.
    pub(super) frame_reads: FxHashSet<i64>,
    /// What the block does to memory: where, how many bytes, what.
    pub(super) traffic: Vec<(ValueId, u8, ValueId)>,
}

impl Uses {
    /// Forgets registers that were put on the stack to make room and are written over before anybody reads them: a
    /// function's first block alone writes to its frame when no pointer to it can be about yet.
    pub(super) fn forget_padding(&mut self, graph: &Graph) {
        let place = |address: ValueId, size: u8| match graph.get(address) {
            Value::Frame(offset) if offset < 0 && size > 0 => Some((offset, i64::from(size))),
            _ => None,
        };
        let traffic = std::mem::take(&mut self.traffic);
        for (n, &one) in traffic.iter().enumerate() {
            let (address, size, value) = one;
            let is_padding = place(address, size).is_some_and(|(offset, size)| {
                let inside = |at: i64| at - 8 < offset + size && offset < at + 8;
                let mut later = traffic[n + 1..].iter();
                matches!(graph.get(value), Value::Entry(Input::Register(_)))
                    && !self.frame_reads.iter().any(|&at| inside(at))
                    && later.any(|&(address, over, _)| place(address, over) == Some((offset, size)))
            });
            if !is_padding {
                self.traffic.push(one);
            }
        }
    }
}
