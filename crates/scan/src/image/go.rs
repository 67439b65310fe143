//! What is known of code and data of Go.

use std::ops::Range;

use super::{Addr, Image};

impl Image {
    /// Where the variable of Go that `at` is in begins at the earliest, and ends at the latest.
    pub fn go_variable(&self, at: Addr) -> Option<Range<u64>> {
        let object = self.object(at)?;
        let go = object.file.go.as_ref()?;
        let address = at.0.wrapping_sub(object.base);
        let part = go.data.iter().find(|part| part.contains(&address))?;
        let part = part.start.wrapping_add(object.base)..part.end.wrapping_add(object.base);
        let after = object.variables.partition_point(|v| v.start <= at.0);
        let next = object.variables.get(after).filter(|v| v.start < part.end);
        let last = after.checked_sub(1).map(|n| object.variables[n]);
        let last = last.filter(|v| v.start >= part.start);
        let (mut start, mut end) = (part.start, part.end);
        if let Some(next) = next {
            end = next.start.min(at.0.saturating_add(next.longest));
            start = start.max(at.0.saturating_sub(next.longest));
        }
        if let Some(last) = last {
            start = start.max(last.start);
            // What comes after its beginning may be in another one already.
            if at.0 == last.start {
                end = end.min(last.end);
            }
        }
        Some(start..end)
    }

    /// As far as no variables of Go lie, around data of another language: the linker puts whole files
    /// beside each other, and nobody comes from one to another's variables.
    pub fn without_go_variables(&self, at: Addr, range: Range<u64>) -> Range<u64> {
        let object = self.object(at);
        let go = object.and_then(|o| Some((o, o.file.go.as_ref()?)));
        let Some((object, go)) = go else { return range };
        let address = at.0.wrapping_sub(object.base);
        let before = go.data.iter().map(|part| part.end);
        let before = before.filter(|&end| end <= address).max();
        let after = go.data.iter().map(|part| part.start);
        let after = after.filter(|&start| start > address).min();
        let start = before.map_or(range.start, |end| {
            range.start.max(end.wrapping_add(object.base))
        });
        let end = after.map_or(range.end, |start| {
            range.end.min(start.wrapping_add(object.base))
        });
        start..end
    }

    /// Whether the variable at `at` is for the address of this function of the vDSO (see `link/vdso.rs`).
    pub fn is_vdso_pointer(&self, at: Addr, name: &str) -> bool {
        let all = self.objects.iter().flat_map(|o| &o.vdso);
        all.into_iter()
            .any(|(variable, held)| *variable == at.0 && held == name)
    }

    /// Whether any of it is made by the Go compiler.
    pub fn has_go(&self) -> bool {
        self.objects.iter().any(|o| o.file.go.is_some())
    }

    /// Whether the function at `at` writes a pointer for code of Go while garbage is collected. Where
    /// to is passed by a convention of its own (`go_written` of the `Convention`), and goes no further.
    pub fn is_go_write_barrier(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| {
            let go = o.file.go.as_ref();
            go.is_some_and(|go| go.is_write_barrier(at.0.wrapping_sub(o.base)))
        })
    }

    /// Whether the Go compiler or its assembler made the code at `at`.
    pub fn is_go(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| {
            let address = at.0.wrapping_sub(o.base);
            let go = o.file.go.as_ref();
            go.is_some_and(|go| go.contains(address))
        })
    }

    /// Whether the function at `at` was written in Go's assembly language: within it and between it and who
    /// calls it by its name, any register may carry anything.
    pub fn is_go_assembly(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| {
            let address = at.0.wrapping_sub(o.base);
            let go = o.file.go.as_ref();
            let function = go.and_then(|go| go.covering(address));
            function.is_some_and(|function| function.assembly)
        })
    }

    /// Whether code of Go ends at `at` and no function begins: its runtime keeps that address.
    pub(super) fn only_ends_go(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| {
            let address = at.0.wrapping_sub(o.base);
            let go = o.file.go.as_ref();
            let ends = go.is_some_and(|go| go.text.end == address);
            let begins = o.file.starts.all.binary_search(&address).is_ok();
            // Its linker marks the place with a symbol.
            let mut functions = o.file.names.functions.iter();
            let mark = !o.file.stripped()
                && o.file.frames.covering(address).is_none()
                && !functions.any(|f| f.start == address && f.end > address);
            ends && (!begins || mark)
        })
    }

    /// Whether a variable of Go code is at `at`.
    pub fn is_go_variable(&self, at: Addr) -> bool {
        self.object(at).is_some_and(|o| {
            let address = at.0.wrapping_sub(o.base);
            let go = o.file.go.as_ref();
            go.is_some_and(|go| go.is_variable(address))
        })
    }

    /// Whether `at` is a function value of Go that nothing was captured for: constant data that holds
    /// the address of a function, and that code or a pointer refers to. Nobody who holds its address
    /// goes on from there.
    pub fn is_function_value(&self, at: Addr) -> bool {
        self.object(at)
            .is_some_and(|o| o.function_values.binary_search(&at.0).is_ok())
    }

    /// The first of them after `at`, in its object.
    pub fn next_function_value(&self, at: Addr) -> Option<Addr> {
        let values = &self.object(at)?.function_values;
        let next = values.get(values.partition_point(|&v| v <= at.0))?;
        Some(Addr(*next))
    }

    /// Whether Go's compiler knew that a call does not return: what comes after it, a `nop` aside, has
    /// another stack height, as no place in its code has that follows.
    pub fn go_ends(&self, call: Addr, after: Addr) -> bool {
        let Some(object) = self.object(call) else {
            return false;
        };
        let Some(go) = &object.file.go else {
            return false;
        };
        let file_address = |a: Addr| a.0.wrapping_sub(object.base);
        go.ends(&object.file.memory, file_address(call), file_address(after))
    }

    /// How many bytes of its caller's stack a function of Go may write to: where the caller passes
    /// arguments and gets results, and where the function keeps what came in registers. Without a
    /// function, the most that any has.
    pub fn go_shares(&self, caller: Addr, callee: Option<Addr>) -> u32 {
        let go = self
            .object(caller)
            .and_then(|o| o.file.go.as_ref().map(|go| (o, go)));
        let Some((object, go)) = go else { return 0 };
        let callee = callee.map(|at| at.0.wrapping_sub(object.base));
        match callee.map(|at| go.covering(at)) {
            None => go.most_shared,
            // Of another language: it has no such part.
            Some(None) => 0,
            Some(Some(function)) => function.shared,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::image::Addr;
    use crate::load::program;

    #[test]
    fn assembly_is_told_from_what_the_compiler_made() {
        let image = program::linked(&[]);
        let object = &image.objects[0];
        let go = object.file.go.as_ref().unwrap();
        let is_assembly = |name: &str| {
            let named = |at: usize| {
                object
                    .file
                    .memory
                    .start_of_name(at)
                    .starts_with(name.as_bytes())
            };
            let mut functions = go.functions.iter();
            let function = functions.find(|function| named(function.name)).unwrap();
            image.is_go_assembly(Addr(function.start + object.base))
        };
        for name in ["runtime.memmove", "runtime.duffcopy", "runtime.systemstack"] {
            assert!(is_assembly(name), "{name}");
        }
        for name in ["main.main", "runtime.mstart1", "fmt.Fprintln"] {
            assert!(!is_assembly(name), "{name}");
        }
    }
}
