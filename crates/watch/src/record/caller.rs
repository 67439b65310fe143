//! The code that made a call: file, and function by the file's symbols.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::rc::Rc;

use object::read::elf::ElfFile64;
use object::{Endianness, ReadCache};
use portcullis_sys::registers::SYSCALL_LENGTH;

use super::identity::Identity;
use crate::function::Functions;
use crate::image::Image;
use crate::memory::Memory;

/// Files whose symbols are kept.
const FILES: usize = 1024;

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

/// Finds callers; what it read of files is kept.
#[derive(Default)]
pub(super) struct Callers(HashMap<(String, u64), Rc<Content>>);

#[derive(Default)]
struct Content {
    identity: Option<Identity>,
    functions: Functions,
}

impl Callers {
    /// The caller of a call of the stopped task `tid`, behind whose instruction it stands at `ip`.
    pub(super) fn of(&mut self, tid: i32, ip: u64) -> Caller {
        let address = ip.wrapping_sub(SYSCALL_LENGTH);
        let image = Image::of(tid);
        let mut caller = Caller {
            object: image.name(address),
            identity: None,
            address,
            function: None,
        };
        let base = image.base(address);
        let memory = Memory::open(tid).ok();
        if let Some(base) = base
            && let Some(object) = memory.and_then(|memory| Image::object(&memory, base))
        {
            caller.address = address.wrapping_sub(object.bias);
            if let Some(content) = self.content(&image, address) {
                caller.identity.clone_from(&content.identity);
                caller.function = content.functions.name(caller.address).map(str::to_owned);
            }
        }
        caller
    }

    fn content(&mut self, image: &Image, address: u64) -> Option<Rc<Content>> {
        let file = image.file(address).filter(|file| file.1 != 0)?;
        if let Some(known) = self.0.get(file) {
            return Some(Rc::clone(known));
        }
        let content = Rc::new(
            image
                .open(address)
                .map(|f| Content::of(&f))
                .unwrap_or_default(),
        );
        if self.0.len() < FILES {
            self.0.insert(file.clone(), Rc::clone(&content));
        }
        Some(content)
    }
}

impl Content {
    fn of(file: &File) -> Content {
        Content {
            identity: Identity::of(file),
            functions: functions(file).unwrap_or_default(),
        }
    }
}

fn functions(file: &File) -> Option<Functions> {
    let cache = ReadCache::new(file);
    let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
    Some(Functions::of(&elf))
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
