//! What each relocated word holds.

use std::collections::BTreeSet;

use object::elf::STV_DEFAULT;
use portcullis_abi::Warning;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::scope::{Definition, Scope, Use, lookup};
use super::{guess, warning};
use crate::image::{Addr, ImageObject, Role, Slot, Word, Words};
use crate::load::{Kind, Relocation, Symbol, region_of};

/// Words that executables copy out of libraries; real ones copy some hundred.
const MOST_COPIED: usize = 1 << 20;
/// Names that a warning lists.
const MOST_NAMES: usize = 5;

/// The words of every object, in order.
pub(super) fn relocate(
    objects: &[ImageObject],
    scopes: &[Scope],
    warnings: &mut Vec<Warning>,
) -> Vec<Words> {
    let musl = musl(objects);
    let done: Vec<Bound> = objects
        .par_iter()
        .enumerate()
        .map(|(id, _)| Binder::new(objects, &scopes[id], id, musl).bind())
        .collect();
    let mut all = Vec::with_capacity(done.len());
    for (object, bound) in objects.iter().zip(done) {
        bound.warn(object, warnings);
        all.push(bound.words);
    }
    all.par_iter_mut().for_each(settle);
    copy(objects, &mut all);
    if let Some(program) = all.first_mut() {
        settle(program);
    }
    all
}

/// musl's loader binds by name alone.
fn musl(objects: &[ImageObject]) -> bool {
    let interpreter = objects.first().and_then(|o| o.file.interpreter.as_deref());
    interpreter.is_some_and(|path| {
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        name.starts_with(b"ld-musl-")
    })
}

/// One word for each address, in order: a relocation stands before a guess at the same place.
fn settle(words: &mut Words) {
    words.slots.sort_by_key(|w| (w.at, w.guessed));
    words.slots.dedup_by_key(|w| w.at);
    words.unknown.sort_unstable();
    words.unknown.dedup();
    words.copies.sort_unstable();
    words.copies.dedup();
}

/// Gives the copies of the executable the words of their originals.
fn copy(objects: &[ImageObject], all: &mut [Words]) {
    let program = match all.first() {
        Some(words) => words.copies.clone(),
        None => return,
    };
    let mut copied = Vec::new();
    for (to, size, from) in program {
        let source = objects.iter().position(|o| {
            let address = from.wrapping_sub(o.base);
            o.file.memory.segment(address).is_some()
        });
        let Some(source) = source else { continue };
        let words = &all[source].slots;
        let words = &words[words.partition_point(|w| w.at < from)..];
        let room = MOST_COPIED.saturating_sub(copied.len());
        let inside = words.iter().take_while(|w| w.at - from < size).take(room);
        copied.extend(inside.map(|w| Word {
            at: to + (w.at - from),
            ..*w
        }));
    }
    all[0].slots.extend(copied);
}

/// What came of one object's relocations.
#[derive(Default)]
struct Bound {
    words: Words,
    missing: BTreeSet<String>,
    /// Kinds that are not modelled.
    kinds: BTreeSet<u32>,
    /// Relocations that change code.
    code: usize,
}

impl Bound {
    fn warn(&self, object: &ImageObject, warnings: &mut Vec<Warning>) {
        let path = object.path.display();
        if !self.missing.is_empty() {
            let names: Vec<&str> = self
                .missing
                .iter()
                .take(MOST_NAMES)
                .map(String::as_str)
                .collect();
            let more = self.missing.len() - names.len();
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            warnings.push(warning(
                "PC0123",
                format!(
                    "{path} refers to what no object defines: {}{more}",
                    names.join(", ")
                ),
            ));
        }
        for kind in &self.kinds {
            let text = format!("{path} has relocations of kind {kind}: what they write is unknown");
            warnings.push(warning("PC0124", text));
        }
        if self.code > 0 {
            let text = format!("{path} has {} relocations that change its code", self.code);
            warnings.push(warning("PC0125", text));
        }
    }
}

struct Binder<'a> {
    objects: &'a [ImageObject],
    scope: &'a Scope,
    id: usize,
    /// musl's loader knows no versions and no special place for itself.
    musl: bool,
    /// Definitions by symbol and use: a table refers to the same symbol many times.
    known: FxHashMap<(u32, Use), Option<Definition<'a>>>,
    bound: Bound,
}

impl<'a> Binder<'a> {
    fn new(objects: &'a [ImageObject], scope: &'a Scope, id: usize, musl: bool) -> Self {
        Binder {
            objects,
            scope,
            id,
            musl,
            known: FxHashMap::default(),
            bound: Bound::default(),
        }
    }

    fn object(&self) -> &'a ImageObject {
        &self.objects[self.id]
    }

    fn bind(mut self) -> Bound {
        for relocation in &self.object().file.relocations {
            self.one(relocation);
        }
        self.methods();
        if self.object().file.fixed {
            guess::pointers(self.object(), &mut self.bound.words.slots);
        }
        self.bound
    }

    /// Distances to the code of methods, which Go's runtime and reflection make pointers of.
    fn methods(&mut self) {
        let object = self.object();
        let Some(go) = &object.file.go else { return };
        for region in &object.file.regions {
            let found = go.methods(&object.file.memory, region);
            let moved = found.into_iter().map(|(at, code)| Word {
                at: at.wrapping_add(object.base),
                slot: Slot::Address(Addr(code.wrapping_add(object.base))),
                guessed: true,
            });
            self.bound.words.slots.extend(moved);
        }
    }

    fn one(&mut self, relocation: &Relocation) {
        let object = self.object();
        let at = relocation.at.wrapping_add(object.base);
        let Some(region) = region_of(&object.regions, at) else {
            // The loader would write outside the object: no such file runs.
            return;
        };
        if region.executable {
            self.bound.code += 1;
        }
        let addend = relocation.addend;
        let own = Addr(object.base.wrapping_add_signed(addend));
        let slot = match relocation.kind {
            Kind::None => return,
            Kind::Relative => Slot::Address(own),
            Kind::Resolved => Slot::Resolver(own),
            Kind::Address => self.value(relocation, Use::Address),
            Kind::Call => self.value(relocation, Use::Call),
            Kind::Copy => {
                let size = self.symbol(relocation).map_or(0, |s| s.size);
                if let Some(found) = self.definition(relocation.symbol, Use::Copy) {
                    let from = self.objects[found.object]
                        .base
                        .wrapping_add(found.symbol.value);
                    // Bounded by the region, so that later sums cannot overflow.
                    let size = size.min(region.range.end - at);
                    self.bound.words.copies.push((at, size, from));
                }
                return;
            }
            Kind::ThreadLocal => {
                self.bound.words.unknown.push((at, 8));
                return;
            }
            Kind::ThreadDescriptor => {
                self.bound.words.unknown.push((at.wrapping_add(8), 8));
                match self.finds_storage() {
                    Some(function) => Slot::Address(function),
                    None => {
                        self.bound.words.unknown.push((at, 8));
                        return;
                    }
                }
            }
            Kind::Unknown(kind) => {
                self.bound.kinds.insert(kind);
                self.bound.words.unknown.push((at, 8));
                return;
            }
        };
        self.bound.words.slots.push(Word {
            at,
            slot,
            guessed: false,
        });
    }

    /// The function behind descriptors of thread-local storage. It is one of the loader's that have no
    /// names, and the system calls that it can make are those of the function that is named for the
    /// same purpose: it calls that when a thread has no storage of the module yet, or makes none
    /// (glibc's sysdeps/aarch64/dl-tlsdesc.S, sysdeps/x86_64/dl-tlsdesc.h; musl's tlsdesc.s).
    fn finds_storage(&self) -> Option<Addr> {
        let loader = self.objects.iter().find(|o| o.role == Role::Loader)?;
        let exported = loader.exports(b"__tls_get_addr");
        exported.first().map(|&(at, _)| at)
    }

    fn symbol(&self, relocation: &Relocation) -> Option<&'a Symbol> {
        self.object()
            .file
            .symbols
            .all
            .get(relocation.symbol as usize)
    }

    fn value(&mut self, relocation: &Relocation, use_: Use) -> Slot {
        let addend = relocation.addend;
        let Some(found) = self.definition(relocation.symbol, use_) else {
            return Slot::Value(addend.cast_unsigned());
        };
        let symbol = found.symbol;
        if symbol.absolute() {
            return Slot::Value(symbol.value.wrapping_add_signed(addend));
        }
        let base = self.objects[found.object].base;
        let at = base.wrapping_add(symbol.value);
        if symbol.resolver() && symbol.defined() {
            Slot::Resolver(Addr(at))
        } else {
            Slot::Address(Addr(at.wrapping_add_signed(addend)))
        }
    }

    fn definition(&mut self, index: u32, use_: Use) -> Option<Definition<'a>> {
        if let Some(&known) = self.known.get(&(index, use_)) {
            return known;
        }
        let found = self.find(index, use_);
        self.known.insert((index, use_), found);
        found
    }

    fn find(&mut self, index: u32, use_: Use) -> Option<Definition<'a>> {
        let file = &self.objects[self.id].file;
        let symbol = file
            .symbols
            .all
            .get(index as usize)
            .filter(|_| index != 0)?;
        let own = Definition {
            object: self.id,
            symbol,
        };
        let bound_here = symbol.visibility != STV_DEFAULT.0 && symbol.defined();
        if use_ != Use::Copy && (symbol.local() || bound_here) {
            return Some(own);
        }
        // glibc's loader runs bound to itself. When all is loaded it binds itself anew, which
        // leads to the same functions in the C library (`_dl_catch_exception` and its kin).
        let loader = self.object().role == Role::Loader && !self.musl;
        if use_ != Use::Copy && loader && symbol.defined() {
            return Some(own);
        }
        let name = file.symbols.name(&file.memory, symbol);
        let (wanted, _) = file.symbols.index(index);
        let version = file.symbols.version(wanted).filter(|_| !self.musl);
        let found = lookup(self.objects, self.scope, name, version, use_, !self.musl);
        if found.is_none() && !symbol.weak() {
            self.bound
                .missing
                .insert(String::from_utf8_lossy(name).into_owned());
        }
        found
    }
}
