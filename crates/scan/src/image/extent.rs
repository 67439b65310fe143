//! How far a piece of data goes: by symbols, by what refers to places around it, and by sections.

use std::ops::Range;

use super::{Addr, Image, Slot};

impl Image {
    /// The sized data symbol that `at` is in.
    pub fn data_extent(&self, at: Addr) -> Option<Range<u64>> {
        /// Symbols that may cover one place (aliases, parts of one object).
        const NEAR: usize = 4;
        let object = self.object(at)?;
        let address = at.0.wrapping_sub(object.base);
        let data = &object.file.names.data;
        let after = data.partition_point(|d| d.0 <= address);
        let near = data[..after].iter().rev().take(NEAR);
        let (start, end) = *near.into_iter().find(|d| address < d.1)?;
        Some(start.wrapping_add(object.base)..end.wrapping_add(object.base))
    }

    /// The last address before `at` that code of its file takes.
    pub fn reference_before(&self, at: Addr) -> Option<Addr> {
        let object = self.object(at)?;
        let referenced = &object.file.referenced;
        let address = at.0.wrapping_sub(object.base);
        let before = referenced
            .partition_point(|&r| r < address)
            .checked_sub(1)?;
        Some(Addr(referenced[before].wrapping_add(object.base)))
    }

    /// The first address after `at` that code of its file takes.
    pub fn next_reference(&self, at: Addr) -> Option<Addr> {
        let object = self.object(at)?;
        let referenced = &object.file.referenced;
        let address = at.0.wrapping_sub(object.base);
        let after = referenced.get(referenced.partition_point(|&r| r <= address))?;
        Some(Addr(after.wrapping_add(object.base)))
    }

    /// Where the object of constant data that begins at `at`, or before it, ends at the latest: at
    /// the next address that any code or any pointer of the image refers to.
    pub fn constant_end(&self, at: Addr) -> Option<Addr> {
        let begins = &self.object(at)?.begins;
        let after = begins.partition_point(|&b| b <= at.0);
        begins.get(after).copied().map(Addr)
    }

    /// The object of constant data that `at` is in, and those on both sides: compilers fold a part
    /// of the index into the base of an access, which is then beside the object that it is for.
    pub fn constants_around(&self, at: Addr) -> Option<Range<u64>> {
        let region = self.region(at).filter(|r| !r.writable)?;
        let begins = &self.object(at)?.begins;
        let after = begins.partition_point(|&b| b <= at.0);
        let start = after.checked_sub(2).map_or(0, |n| begins[n]);
        let end = begins.get(after + 1).copied().unwrap_or(u64::MAX);
        Some(start.max(region.range.start)..end.min(region.range.end))
    }

    /// The object of constant data that ends at `at`, where nothing is known to begin: whoever walks a
    /// table down from its end holds such an address. Without a symbol it is a table if its last word
    /// is the address of code.
    pub fn constant_that_ends(&self, at: Addr) -> Option<Range<u64>> {
        let last = Addr(at.0.wrapping_sub(1));
        let region = self.region(last);
        let region = region.filter(|r| !r.writable && !r.executable && !r.linkage)?;
        if self.data_extent(at).is_some() {
            return None;
        }
        if let Some(extent) = self.data_extent(last) {
            return (extent.end == at.0).then_some(extent);
        }
        let code = |slot: &Slot| matches!(slot, Slot::Address(held) if self.is_code(*held));
        self.slot(Addr(at.0.wrapping_sub(8))).filter(code)?;
        let object = self.object(last)?;
        let before = |begins: &[u64]| {
            let before = begins.partition_point(|&b| b <= last.0).checked_sub(1);
            before.map_or(0, |n| begins[n])
        };
        // A function value of Go is no table.
        let value_end = before(&object.function_values).saturating_add(8);
        let start = before(&object.begins).max(value_end);
        if start == at.0 {
            return None;
        }
        Some(start.max(region.range.start)..at.0)
    }

    /// The first data symbol after `at`.
    pub fn next_data_symbol(&self, at: Addr) -> Option<Addr> {
        let object = self.object(at)?;
        let address = at.0.wrapping_sub(object.base);
        let data = &object.file.names.data;
        let (start, _) = data.get(data.partition_point(|d| d.0 <= address))?;
        Some(Addr(start.wrapping_add(object.base)))
    }

    /// Where the last data symbol that begins at `at` or before it ends.
    pub fn data_symbol_end(&self, at: Addr) -> Option<Addr> {
        let object = self.object(at)?;
        let address = at.0.wrapping_sub(object.base);
        let data = &object.file.names.data;
        let before = data[..data.partition_point(|d| d.0 <= address)].iter();
        let end = before.map(|d| d.1).max()?;
        Some(Addr(end.wrapping_add(object.base)))
    }
}
