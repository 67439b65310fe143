//! The code that made a call: file, and function by the file's symbols.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
#[cfg(feature = "ebpf")]
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;

use object::read::ReadRef;
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSegment as _, ReadCache};
use portcullis_sys::registers::SYSCALL_LENGTH;

use super::identity::Identity;
use crate::function::Functions;
use crate::image::Image;
use crate::memory::Memory;

/// Files whose symbols are kept.
const FILES: usize = 1024;
/// Larger files are read piece by piece, which takes two calls for each name.
const WHOLE: u64 = 64 << 20;

/// The instruction that made a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The file that is mapped there, as the kernel names it.
    pub object: Option<PathBuf>,
    /// What the file holds.
    pub identity: Option<Identity>,
    /// The address in the file, not relocated; of what is no file, in the process.
    pub address: u64,
    /// The function that it lies in.
    pub function: Option<String>,
}

#[cfg(feature = "ebpf")]
impl Caller {
    /// One of whom only the address in the process is known, behind the instruction.
    pub(super) fn at(ip: u64) -> Caller {
        Caller {
            object: None,
            identity: None,
            address: ip.wrapping_sub(SYSCALL_LENGTH),
            function: None,
        }
    }

    /// One of whom nothing is known.
    pub(super) fn unknown() -> Caller {
        Caller::at(SYSCALL_LENGTH)
    }
}

/// Finds callers; what it read of files is kept.
#[derive(Default)]
pub(super) struct Callers {
    files: HashMap<(String, u64), Rc<Content>>,
    /// The same files by their build ids, with their paths.
    builds: HashMap<Vec<u8>, (PathBuf, Rc<Content>)>,
    /// The task that was asked about last, and what is mapped in it.
    last: Option<(i32, Image)>,
}

#[derive(Default)]
struct Content {
    identity: Option<Identity>,
    /// Offset, size and address of what is loaded.
    segments: Vec<(u64, u64, u64)>,
    functions: Functions,
}

impl Callers {
    /// The caller of a call of the stopped task `tid`, behind whose instruction it stands at `ip`.
    pub(super) fn of(&mut self, tid: i32, ip: u64) -> Caller {
        let address = ip.wrapping_sub(SYSCALL_LENGTH);
        let known = self.last.take().filter(|(of, _)| *of == tid);
        let known = known.filter(|(_, image)| image.is_code(address));
        let image = known.map_or_else(|| Image::of(tid), |(_, image)| image);
        let caller = self.in_image(tid, &image, address);
        self.last = Some((tid, image));
        caller
    }

    /// What is mapped somewhere may be something else from now on.
    pub(super) fn forget_mappings(&mut self) {
        self.last = None;
    }

    fn in_image(&mut self, tid: i32, image: &Image, address: u64) -> Caller {
        let mut caller = Caller {
            object: image.name(address),
            identity: None,
            address,
            function: None,
        };
        let content = self.content(image, address);
        let own = content.as_ref().zip(image.offset(address));
        if let Some((content, own)) = own.and_then(|(c, offset)| Some((c, c.address(offset)?))) {
            caller.address = own;
            caller.identity.clone_from(&content.identity);
            caller.function = content.functions.name(own).map(str::to_owned);
        } else if let Some(base) = image.base(address)
            && let Some(object) = Memory::open(tid).ok().and_then(|m| Image::object(&m, base))
        {
            caller.address = address.wrapping_sub(object.bias);
        }
        caller
    }

    /// Keeps what a file holds, for when its build id is asked for.
    #[cfg(feature = "ebpf")]
    pub(super) fn learn(&mut self, path: &Path, file: &File) {
        self.keep(path.to_owned(), &Rc::new(Content::of(file)));
    }

    fn keep(&mut self, path: PathBuf, content: &Rc<Content>) {
        if let Some(Identity::Build(id)) = &content.identity
            && self.builds.len() < FILES
        {
            let entry = self.builds.entry(id.clone());
            entry.or_insert_with(|| (path, Rc::clone(content)));
        }
    }

    /// The caller whose call returns to `offset` of a file that was read before, by the first bytes of its build id, filled up
    /// with zeros.
    #[cfg(feature = "ebpf")]
    pub(super) fn of_build(&self, build: &[u8], offset: u64) -> Option<Caller> {
        let mut all = self.builds.iter();
        let (_, (path, content)) = all.find(|(id, _)| {
            let own = id.iter().copied().chain(std::iter::repeat(0));
            own.take(build.len()).eq(build.iter().copied())
        })?;
        let own = content.address(offset.wrapping_sub(SYSCALL_LENGTH))?;
        Some(Caller {
            object: Some(path.clone()),
            identity: content.identity.clone(),
            address: own,
            function: content.functions.name(own).map(str::to_owned),
        })
    }

    fn content(&mut self, image: &Image, address: u64) -> Option<Rc<Content>> {
        let file = image.file(address).filter(|file| file.1 != 0)?;
        if let Some(known) = self.files.get(file) {
            return Some(Rc::clone(known));
        }
        let content = Rc::new(
            image
                .open(address)
                .map(|f| Content::of(&f))
                .unwrap_or_default(),
        );
        if self.files.len() < FILES {
            self.files.insert(file.clone(), Rc::clone(&content));
            if let Some(path) = image.name(address) {
                self.keep(path, &content);
            }
        }
        Some(content)
    }
}

impl Content {
    fn of(file: &File) -> Content {
        let mut bytes = Vec::new();
        let is_small = file.metadata().is_ok_and(|m| m.len() <= WHOLE);
        let mut whole = file.take(WHOLE);
        let read = match is_small && whole.read_to_end(&mut bytes).is_ok() {
            true => Content::read(bytes.as_slice()),
            false => Content::read(&ReadCache::new(file)),
        };
        Content {
            identity: Identity::of(file),
            ..read.unwrap_or_default()
        }
    }

    fn read<'a>(data: impl ReadRef<'a>) -> Option<Content> {
        let elf = ElfFile64::<Endianness, _>::parse(data).ok()?;
        let segments = elf.segments().map(|segment| {
            let (offset, size) = segment.file_range();
            (offset, size, segment.address())
        });
        Some(Content {
            identity: None,
            segments: segments.collect(),
            functions: Functions::of(&elf),
        })
    }

    /// The address of what lies at `offset` of the file.
    fn address(&self, offset: u64) -> Option<u64> {
        let mut all = self.segments.iter();
        let own = all.find(|(start, size, _)| offset.wrapping_sub(*start) < *size);
        own.map(|(start, _, address)| address.wrapping_add(offset - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_of_an_address_is_found() {
        let pid = std::process::id().cast_signed();
        let here = the_function_of_an_address_is_found as *const () as u64;
        let mut callers = Callers::default();
        let caller = callers.of(pid, here + SYSCALL_LENGTH);
        let function = caller.function.unwrap();
        assert!(
            function.contains("the_function_of_an_address_is_found"),
            "{function}"
        );
        assert!(caller.object.is_some());
        let nowhere = callers.of(pid, 0x1000);
        assert_eq!((nowhere.object, nowhere.function), (None, None));
    }
}
