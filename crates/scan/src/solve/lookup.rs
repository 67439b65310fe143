//! Functions that are found by their names while the program runs.
//!
//! Whoever calls `dlsym` with a name can call what any object of the image exports under it. A
//! name that is not known here is told as such, and adds nothing: what it leads to is mostly in
//! a module that the program loaded before.

use std::collections::BTreeSet;

use super::domain::MOST_VALUES;
use super::walk::Walk;
use super::{Context, Entered, InstanceId, Solver};
use crate::image::{Addr, Image, ObjectId, Role};
use crate::summary::{Call, Input};

/// Functions of the C library that take a handle and a name (dlsym(3)).
const LOOKUPS: [&[u8]; 2] = [b"dlsym", b"dlvsym"];
/// What the loader names in its messages and never calls: it is what these call (elf/dl-open.c).
const LOADS: [&[u8]; 2] = [b"dlopen", b"dlmopen"];
/// What every C library exports that starts programs.
const STARTS: &[u8] = b"__libc_start_main";

/// Who looks names up.
pub struct Lookups {
    /// Where the functions that do it for others begin.
    functions: BTreeSet<u64>,
    /// The C library, which looks up names in its own libraries by functions without a name.
    library: Option<usize>,
    /// The dynamic loader, which does so in the C library.
    loader: Option<usize>,
    services: Services,
    /// Those of the services that were loaded.
    loaded: BTreeSet<ObjectId>,
}

/// The modules of name services: which, and how what they export begins.
pub(super) struct Services(Vec<(ObjectId, Vec<u8>)>);

impl Services {
    pub(super) fn new(image: &Image) -> Services {
        let objects = image.objects.iter().zip(0..);
        let services = objects.filter_map(|(o, n)| Some((ObjectId(n), o.service_prefix()?)));
        Services(services.collect())
    }

    /// What can be called by whoever can name it by the string at `at` (`getpwnam_r`), in each
    /// module: glibc puts the module's name before it (`nss/nss_module.c`).
    pub(super) fn exports(&self, image: &Image, at: u64) -> Vec<(ObjectId, Vec<(Addr, bool)>)> {
        /// Longer names there are none (`nss/function.def`).
        const LONGEST: usize = 24;
        if self.0.is_empty() {
            return Vec::new();
        }
        let name = image.text(Addr(at)).unwrap_or_default();
        if name.is_empty() || name.len() > LONGEST {
            return Vec::new();
        }
        let exports = self.0.iter().map(|(object, prefix)| {
            let all = image.objects[object.0 as usize].exports(&[prefix, name].concat());
            (*object, all)
        });
        exports.filter(|(_, all)| !all.is_empty()).collect()
    }
}

impl Lookups {
    /// Of this image.
    pub(super) fn new(image: &Image) -> Lookups {
        let functions = LOOKUPS.iter().flat_map(|name| image.exports(name));
        let library = image.exports(STARTS).into_iter().next();
        Lookups {
            services: Services::new(image),
            loaded: BTreeSet::new(),
            functions: functions.map(|slot| slot.0.0).collect(),
            loader: image.objects.iter().position(|o| o.role == Role::Loader),
            library: library.and_then(|slot| Some(image.object_of(slot.0)?.0 as usize)),
        }
    }

    /// The C library, unless it is part of the program's own file.
    pub fn library(&self) -> Option<ObjectId> {
        let library = self.library.filter(|&library| library != 0)?;
        Some(ObjectId(library as u32))
    }

    /// Whether the function that begins here looks names up.
    pub fn contains(&self, address: u64) -> bool {
        self.functions.contains(&address)
    }
}

impl Solver<'_> {
    /// A call of a function that looks up the name that it is passed.
    pub(super) fn look_up(&mut self, walk: &mut Walk<'_>, at: u64, call: &Call) {
        let passed = call.passed(Input::Register(self.image.convention.arguments[1]));
        let name = walk.evaluator.value(passed);
        let all = name.values(MOST_VALUES as u64);
        let known = all.as_ref().is_some_and(|all| {
            let constant = |&at: &u64| self.image.region(Addr(at)).is_some_and(|r| !r.writable);
            all.iter().all(constant)
        });
        if !known {
            walk.pass.lookups.insert(at);
            self.points(walk.function, &walk.body.graph, passed);
            return;
        }
        for at in all.into_iter().flatten() {
            if let Some(name) = self.image.text(Addr(at)) {
                self.take_exports(self.image.exports(name), at);
            }
        }
    }

    /// A name in the C library that another object exports is looked up there: glibc finds the
    /// unwinder's functions so (sysdeps/nptl/unwind-link.h). So is one in the dynamic loader, which
    /// calls `__libc_early_init` of the C library (elf/dl-call-libc-early-init.c).
    pub(super) fn look_up_by_library(&mut self, id: InstanceId, at: u64) {
        let function = self.instances[id.0 as usize].function;
        let entry = self.functions.all[function.0 as usize].summary.entry;
        let object = |at| self.image.object_of(Addr(at)).map(|o| o.0 as usize);
        let by = object(entry);
        if by.is_none() || ![self.lookups.library, self.lookups.loader].contains(&by) {
            return;
        }
        let Some(name) = self.image.text(Addr(at)) else {
            return;
        };
        let exports = self.image.exports(name);
        let message = by == self.lookups.loader && LOADS.contains(&name);
        if !message && !exports.iter().any(|(a, _)| object(a.0) == by) {
            self.take_exports(exports, at);
        }
    }

    /// The string at `at` can be the name of what a name service answers.
    pub(super) fn look_up_in_services(&mut self, at: u64) {
        for (service, exports) in self.lookups.services.exports(self.image, at) {
            if self.lookups.loaded.insert(service) {
                for root in self.image.service_roots(service) {
                    let id = self.instance(root.at.0, Context::new());
                    self.enter(id, Entered::Root);
                }
            }
            self.take_exports(exports, at);
        }
    }

    /// Takes what objects export; the name is at `by`.
    fn take_exports(&mut self, exports: Vec<(Addr, bool)>, by: u64) {
        for (at, resolver) in exports {
            if resolver {
                self.take_results(at.0);
            } else if self.image.is_code(at) {
                self.take(at.0, by);
            } else {
                self.handed.insert(at.0);
                self.reach_object(at.0);
            }
        }
    }
}
