//! Where control enters the image.

use super::{Addr, Image, ImageObject, ObjectId, Role, Root, Slot};

impl Image {
    /// Everything that is called from outside the image, ascending: entry points, init and fini
    /// functions, IFUNC resolvers, what a plugin offers, and code that every thread's storage
    /// starts with pointers to (no instruction refers to that template). What a name service brings
    /// is not called before it is loaded ([`Image::service_roots`]).
    pub fn roots(&self) -> Vec<Root> {
        self.roots_of(self.objects.iter().filter(|o| o.service.is_none()))
    }

    /// The same of what a name service brings, once it is loaded: itself and the libraries of all
    /// services, because two can share one that only the first is known to bring.
    pub fn service_roots(&self, service: ObjectId) -> Vec<Root> {
        let shared = |o: &&ImageObject| o.service.is_some() && o.role != Role::Service;
        let objects = self.objects.iter();
        self.roots_of(objects.filter(|o| o.service == Some(service) || shared(o)))
    }

    fn roots_of<'a>(&self, objects: impl Iterator<Item = &'a ImageObject>) -> Vec<Root> {
        let mut roots = Vec::new();
        for object in objects {
            let file = &object.file;
            let moved = |a: u64| Addr(a.wrapping_add(object.base));
            if matches!(object.role, Role::Program | Role::Loader) {
                roots.push(moved(file.entry));
            }
            roots.extend(file.dynamic.functions.iter().map(|&f| moved(f)));
            let template = file
                .thread_template
                .clone()
                .map(|t| (t.start, t.end - t.start));
            for (start, size) in file.arrays.iter().copied().chain(template) {
                let start = moved(start).0;
                for (_, slot) in self.slots(start..start.saturating_add(size)) {
                    if let Slot::Address(at) = slot {
                        roots.push(at);
                    }
                }
            }
            for word in &object.words.slots {
                if let Slot::Resolver(at) = word.slot {
                    roots.push(at);
                }
            }
            if object.role == Role::Plugin {
                let exported = |s: &&crate::load::Symbol| s.defined() && !s.local();
                let exports = file.symbols.all.iter().filter(exported);
                roots.extend(exports.map(|s| moved(s.value)));
            }
        }
        roots.retain(|&at| self.is_code(at));
        roots.sort_unstable();
        roots.dedup();
        roots.into_iter().map(|at| Root { at }).collect()
    }
}
