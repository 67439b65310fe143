//! Addresses whose page one function names and whose rest another one adds, around the calls that are known.

use super::walk::Walk;
use super::{FunctionId, Solver};
use crate::image::{Addr, Slot};
use crate::summary::{Call, Exit, Origin, Rest, Summary, ValueId};

impl Solver<'_> {
    /// Hands out the addresses that come about when `callee` is called at `at`: it finds pages in registers, or
    /// leaves some there. Nobody but an outliner parts an address so, and it calls what it makes by its name: a
    /// call of anything else passes no pages.
    pub(super) fn finish_pages(
        &mut self,
        walk: &Walk<'_>,
        callee: FunctionId,
        at: u64,
        call: &Call,
    ) {
        let caller = walk.body;
        if caller.graph.constant_of(call.target).is_none() {
            return;
        }
        let function = &self.functions.all[callee.0 as usize];
        let summary = &function.summary;
        let mut whole = Vec::new();
        if !caller.pages.is_empty() {
            for rest in &summary.rests {
                if let Origin::Passed(reg) = rest.origin
                    && let Some(page) = page_in(caller, call.registers[reg])
                {
                    whole.push(page + rest.by);
                }
            }
        }
        if !summary.pages.is_empty() {
            let from_here = |rest: &&Rest| match rest.origin {
                Origin::Left(by, _) => by == at,
                Origin::Passed(_) => false,
            };
            for rest in caller.rests.iter().filter(from_here) {
                let Origin::Left(_, reg) = rest.origin else {
                    continue;
                };
                for block in &summary.blocks {
                    if let Exit::Return(registers) = &block.exit
                        && let Some(page) = page_in(summary, registers[reg])
                    {
                        whole.push(page + rest.by);
                    }
                }
            }
        }
        for address in whole {
            if self.image.region(Addr(address)).is_some_and(|r| r.linkage) {
                self.reach_read(address, 8, at);
                if let Some(Slot::Address(held)) = self.image.slot(Addr(address)) {
                    self.handed.insert(held.0);
                }
                continue;
            }
            if self.image.can_change(Addr(address))
                && !self.image.region(Addr(address)).is_some_and(|r| r.writable)
            {
                // Where it is protected later, start code perhaps writes to it.
                self.write_early(address, 0);
            }
            self.handed.insert(address);
            self.shared.insert(address);
            self.hand_out(walk.id, address, at);
        }
    }
}

/// The page that a value is.
fn page_in(summary: &Summary, value: ValueId) -> Option<u64> {
    let page = summary.graph.constant_of(value)?;
    summary.pages.contains(&page).then_some(page)
}
