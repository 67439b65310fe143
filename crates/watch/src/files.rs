//! The files that were mapped where something was denied, held open until they are asked for names: the
//! process is not kept waiting for that, and what lies at their paths later is another matter.

use std::fs::File;
use std::sync::Arc;

use crate::image::Image;

/// Most files that are held.
const MOST: usize = 256;

/// One of them, in the [`Files`] of a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId(usize);

/// Open files.
#[derive(Clone, Default, Debug)]
pub struct Files {
    all: Vec<Arc<File>>,
    /// Their devices and inodes, as the kernel writes them, in the same order.
    known: Vec<(String, u64)>,
}

impl Files {
    /// The file mapped at `address`; `None` when it cannot be opened any more.
    pub(crate) fn of(&mut self, image: &Image, address: u64) -> Option<FileId> {
        let key = image.file(address).filter(|file| file.1 != 0)?;
        if let Some(at) = self.known.iter().position(|known| known == key) {
            return Some(FileId(at));
        }
        if self.all.len() >= MOST {
            return None;
        }
        let file = image.open(address)?;
        self.known.push(key.clone());
        self.all.push(Arc::new(file));
        Some(FileId(self.all.len() - 1))
    }

    /// The open file.
    pub fn get(&self, id: FileId) -> Option<&Arc<File>> {
        self.all.get(id.0)
    }
}
