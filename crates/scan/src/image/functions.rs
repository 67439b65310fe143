//! Where functions begin and end, how they are called, and where they are thrown to.

use std::ops::Range;

use super::{Addr, Image, ImageObject, Role};
use crate::demangle::demangle;

impl Image {
    /// Whether a function begins here, as far as the file tells (symbols, unwind tables, direct
    /// calls in code without them).
    pub fn function_start(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| {
            let address = at.0.wrapping_sub(o.base);
            o.file.starts.all.binary_search(&address).is_ok()
        })
    }

    /// Whether an unwind entry begins here and something calls it: it is a function of its own,
    /// not a part of another that was split off to a colder place.
    pub fn called_start(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| {
            let address = at.0.wrapping_sub(o.base);
            o.file.starts.called.binary_search(&address).is_ok()
        })
    }

    /// The start of the function that `at` is inside of, when it is not a start itself.
    pub fn function_around(&self, at: Addr) -> Option<Addr> {
        let start = self.fde_range(at)?.start;
        let inside = start != at.0 && !self.function_start(at) && self.function_start(Addr(start));
        inside.then_some(Addr(start))
    }

    /// All function starts of an object, ascending.
    pub fn starts(&self, object: usize) -> Vec<u64> {
        let Some(object) = self.objects.get(object) else {
            return Vec::new();
        };
        let starts = object.file.starts.all.iter();
        let starts = starts.map(|s| s.wrapping_add(object.base));
        starts.filter(|&s| self.is_code(Addr(s))).collect()
    }

    /// The symbol of the function that `at` is in, and where that begins.
    pub fn function_name(&self, at: Addr) -> Option<(&str, Addr)> {
        /// Symbols of one place (aliases, nested parts) that are looked at.
        const NEAR: usize = 4;
        let object = self.object(at)?;
        let address = at.0.wrapping_sub(object.base);
        let functions = &object.file.names.functions;
        let after = functions.partition_point(|f| f.start <= address);
        let covers = |end: u64, start: u64| address < end.max(start.saturating_add(1));
        let near = functions[..after].iter().rev().take(NEAR);
        let found = near.into_iter().find(|f| covers(f.end, f.start))?;
        let name = std::str::from_utf8(object.file.memory.name(found.name)).ok()?;
        Some((name, Addr(found.start.wrapping_add(object.base))))
    }

    /// Where functions of a name begin: exported ones, and in the program's own file those that a
    /// symbol names.
    pub fn functions_named(&self, name: &[u8]) -> Vec<Addr> {
        let exported = self
            .exports(name)
            .into_iter()
            .filter(|(_, resolver)| !resolver);
        let mut found: Vec<Addr> = exported.map(|(at, _)| at).collect();
        if let Some(program) = self.objects.first() {
            let functions = program.file.names.functions.iter();
            let named = functions.filter(|f| program.file.memory.name(f.name) == name);
            found.extend(named.map(|f| Addr(f.start.wrapping_add(program.base))));
        }
        found.retain(|at| self.is_code(*at));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Where the kernel enters the program and its loader.
    pub fn entries(&self) -> Vec<u64> {
        let entered = |o: &&ImageObject| matches!(o.role, Role::Program | Role::Loader);
        let objects = self.objects.iter().filter(entered);
        objects.map(|o| o.file.entry.wrapping_add(o.base)).collect()
    }

    /// The functions that a person means by a symbol, a demangled name, or an address in the program's
    /// file.
    pub fn functions_called(&self, name: &str) -> Vec<Addr> {
        let Some(program) = self.objects.first() else {
            return Vec::new();
        };
        if let Some(address) = name.strip_prefix("0x")
            && let Ok(address) = u64::from_str_radix(address, 16)
        {
            let at = Addr(address.wrapping_add(program.base));
            return self.is_code(at).then_some(at).into_iter().collect();
        }
        let named = self.functions_named(name.as_bytes());
        if !named.is_empty() {
            return named;
        }
        let functions = program.file.names.functions.iter();
        let demangled = functions.filter(|f| {
            let symbol = std::str::from_utf8(program.file.memory.name(f.name));
            symbol.is_ok_and(|symbol| demangle(symbol) == name)
        });
        let mut found: Vec<Addr> = demangled
            .map(|f| Addr(f.start.wrapping_add(program.base)))
            .filter(|at| self.is_code(*at))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// What the objects export under a name, and whether it is an IFUNC resolver: one of each
    /// object and version.
    pub fn exports(&self, name: &[u8]) -> Vec<(Addr, bool)> {
        let all = self.objects.iter().flat_map(|o| o.exports(name));
        all.collect()
    }

    /// Where control goes when the call at `call`, which ends at `after`, throws.
    pub fn landing_pad(&self, call: Addr, after: Addr) -> Option<Addr> {
        let object = self.object(call)?;
        let file_address = |a: Addr| a.0.wrapping_sub(object.base);
        let pad = object
            .file
            .landing_pad(file_address(call), file_address(after))?;
        Some(Addr(pad.wrapping_add(object.base)))
    }

    /// The range of the unwind table's entry that covers `at`, or of Go's function.
    pub fn fde_range(&self, at: Addr) -> Option<Range<u64>> {
        let object = self.object(at)?;
        let address = at.0.wrapping_sub(object.base);
        if let Some(function) = object.file.go.as_ref().and_then(|go| go.covering(address)) {
            let end = function.end.wrapping_add(object.base);
            return Some(function.start.wrapping_add(object.base)..end);
        }
        let frame = object
            .file
            .frames
            .covering(at.0.wrapping_sub(object.base))?;
        Some(frame.start.wrapping_add(object.base)..frame.end.wrapping_add(object.base))
    }
}
