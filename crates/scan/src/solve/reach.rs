//! What reached code hands out: functions that whoever calls what he does not know may enter, and data
//! whose words lead on.

use std::collections::btree_map::Entry;

use super::{Context, Entered, FunctionId, InstanceId, Solver, domain};
use crate::image::{Addr, Slot};

impl Solver<'_> {
    /// `address` can be called by whoever calls what he does not know, because it is at `by`.
    pub(super) fn take(&mut self, address: u64, by: u64) {
        if !self.image.is_code(Addr(address)) {
            return;
        }
        if self.image.is_mixed(Addr(address)) {
            self.reach_object(address);
        }
        if !self.image.can_begin(Addr(address)) {
            return;
        }
        if *self.holders.entry(address).or_insert(by) != by {
            self.shared.insert(address);
        }
        if self.image.function_around(Addr(address)).is_some() {
            self.labels.entry(address).or_insert(by);
        } else {
            self.take_code(address, by);
        }
    }

    fn take_code(&mut self, address: u64, by: u64) {
        if let Entry::Vacant(new) = self.taken.entry(address) {
            new.insert(by);
            if !self.open.is_empty() {
                self.enter_taken(address);
            }
        }
    }

    /// Takes the addresses inside functions that are not for these functions alone.
    pub(super) fn take_labels(&mut self) {
        for (address, by) in std::mem::take(&mut self.labels) {
            let around = self.image.function_around(Addr(address));
            let nobodys = around.is_some_and(|start| {
                let function = self.functions.at(self.image, start.0);
                self.functions.all[function.0 as usize].owns(address)
                    || self.is_number(function, address)
            });
            if !nobodys {
                self.take_code(address, by);
            }
        }
    }

    /// Whether what looks like an address of code of `function` is a number that happens to look so. A file at fixed
    /// addresses does not say which words hold addresses, and nobody jumps into the middle of an instruction that runs
    /// but the function itself.
    fn is_number(&mut self, function: FunctionId, address: u64) -> bool {
        let referred = &self.referred;
        let runs = |block| referred.contains(&(function, block));
        self.image.is_fixed(Addr(address))
            && self
                .functions
                .is_inside_instruction(self.image, function, address, runs)
    }

    fn enter_taken(&mut self, address: u64) {
        let id = self.instance(address, Context::new());
        self.free.insert(self.instances[id.0 as usize].function);
        self.enter(id, Entered::Taken);
    }

    /// Somebody calls at `at` what may be any function whose address is taken.
    pub(super) fn open(&mut self, id: InstanceId, at: u64) {
        let first = self.open.is_empty();
        if self.opened.insert((id, at)) {
            self.open.push((id, at));
        }
        if first {
            for address in self.taken.keys().copied().collect::<Vec<_>>() {
                self.enter_taken(address);
            }
        }
    }

    /// What the resolver at `address` returns is taken.
    pub(super) fn take_results(&mut self, address: u64) {
        if self.resolvers.insert(address) {
            let id = self.instance(address, Context::new());
            self.enter(id, Entered::Root);
            self.instances[id.0 as usize].feeds_taken = true;
            self.take_result_of(id);
        }
    }

    pub(super) fn take_result_of(&mut self, id: InstanceId) {
        let instance = &self.instances[id.0 as usize];
        let result = instance.result.clone();
        let by = self.functions.all[instance.function.0 as usize]
            .summary
            .entry;
        if let Some(all) = result.values(domain::MOST_VALUES as u64) {
            for address in all {
                self.take(address, by);
            }
        }
    }

    /// Code at `by` has an address: who holds it may use all of what is there.
    pub(super) fn hand_out(&mut self, id: InstanceId, at: u64, by: u64) {
        if self.image.is_code(Addr(at)) {
            self.note_part(id, at);
            self.take(at, by);
        } else {
            self.data.string(self.image, at, (id, by));
            self.look_up_by_library(id, at);
            self.reach_object(at);
        }
    }

    /// Notes that the function of an instance has the address `at` of code, if that is inside the function.
    pub(super) fn note_part(&mut self, id: InstanceId, at: u64) {
        let function = self.instances[id.0 as usize].function;
        let summary = &self.functions.all[function.0 as usize].summary;
        let last = summary.blocks.iter().map(|b| b.last).max();
        if summary.entry < at && last >= Some(at) {
            self.parts.insert(at, function);
        }
    }

    /// A relocated word that code can read.
    fn reach_slot(&mut self, (at, slot): (Addr, Slot)) {
        match slot {
            Slot::Address(a) if self.image.is_code(a) => {
                if !self.memory.private.contains(&at.0) {
                    self.take(a.0, at.0);
                }
            }
            Slot::Address(a) => self.reach_object(a.0),
            Slot::Resolver(a) => self.take_results(a.0),
            Slot::Value(_) => {}
        }
    }

    /// Code that runs writes to data that is protected later.
    pub(super) fn write_early(&mut self, at: u64, size: u8) {
        let end = match (size, self.image.data_extent(Addr(at))) {
            (0, Some(extent)) => extent.end,
            (0, None) => self.image.region(Addr(at)).map_or(at, |r| r.range.end),
            _ => at.saturating_add(u64::from(size)),
        };
        let range = at & !7..end;
        if !self.written.covers(&range) {
            self.newly_written.add(range);
        }
    }

    pub(super) fn reach_object(&mut self, at: u64) {
        self.look_up_in_services(at);
        let slots = self.data.reach_object(self.image, at);
        for slot in slots {
            self.reach_slot(slot);
        }
    }

    /// Code at `by` reads `size` bytes at `at`. What a linkage table holds is handed out by who reads it
    /// there, like an address in the code itself: nobody comes to it but by its place.
    pub(super) fn reach_read(&mut self, at: u64, size: u8, by: u64) {
        let linkage = self.image.region(Addr(at)).is_some_and(|r| r.linkage);
        match self.image.slot(Addr(at)).filter(|_| linkage && size == 8) {
            Some(Slot::Address(a)) if self.image.is_code(a) => self.take(a.0, by),
            _ => self.reach_bytes(at, u64::from(size)),
        }
    }

    pub(super) fn reach_bytes(&mut self, at: u64, size: u64) {
        let slots = self.data.reach_bytes(self.image, at, size);
        for slot in slots {
            self.reach_slot(slot);
        }
    }

    pub(super) fn reach_around(&mut self, at: u64) {
        let slots = self.data.reach_around(self.image, at);
        for slot in slots {
            self.reach_slot(slot);
        }
    }
}
