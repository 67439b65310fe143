//! Which objects have to do with each other: one needs the other, directly or through more.
//!
//! A library calls into another by a pointer when that other gave it the pointer, or when it was told
//! about it by whoever uses both; for the first one of them must know the other. The second is how
//! callbacks reach libraries, and there the user knows both: it needs them.

use std::collections::BTreeSet;

use crate::image::{Image, ObjectId, Role};

/// The relation, by index in [`Image::objects`].
pub(super) struct Kin {
    needs: Vec<BTreeSet<u32>>,
    /// The dynamic loader calls its own functions and the C library's; what it starts otherwise are
    /// roots.
    loader: Option<u32>,
    library: Option<u32>,
}

impl Kin {
    pub(super) fn of(image: &Image, loader: Option<usize>, library: Option<ObjectId>) -> Kin {
        let named = |name: &[u8]| {
            let is = |o: &crate::image::ImageObject| {
                let file = o.path.file_name().unwrap_or_default();
                o.file.dynamic.soname.as_deref() == Some(name) || file.as_encoded_bytes() == name
            };
            image.objects.iter().position(is).map(|n| n as u32)
        };
        let direct: Vec<Vec<u32>> = image
            .objects
            .iter()
            .map(|o| {
                o.file
                    .dynamic
                    .needed
                    .iter()
                    .filter_map(|n| named(n))
                    .collect()
            })
            .collect();
        let all = |from: usize| {
            let mut found = BTreeSet::new();
            let mut pending = direct[from].clone();
            while let Some(object) = pending.pop() {
                if found.insert(object) {
                    pending.extend(&direct[object as usize]);
                }
            }
            found
        };
        let mut needs: Vec<BTreeSet<u32>> = (0..image.objects.len()).map(all).collect();
        // The program uses whatever is there, what is loaded later included.
        for (object, n) in image.objects.iter().zip(0..) {
            if object.role == Role::Program {
                needs[n].extend(0..image.objects.len() as u32);
            }
        }
        Kin {
            needs,
            loader: loader.map(|n| n as u32),
            library: library.map(|l| l.0),
        }
    }

    /// Whether code of `by` can be meant to call code of `of` by a pointer.
    pub(super) fn are(&self, by: u32, of: u32) -> bool {
        if self.is_loader(by) {
            return of == by || self.library == Some(of);
        }
        by == of || self.needs[by as usize].contains(&of) || self.needs[of as usize].contains(&by)
    }

    /// Whether an object is the dynamic loader of another program than itself.
    pub(super) fn is_loader(&self, object: u32) -> bool {
        self.loader == Some(object) && object != 0
    }
}
