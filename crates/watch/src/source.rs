//! Functions and source lines of code addresses, from symbols and debug information.
//!
//! Debug information is that of the file itself, or of the file that distributions keep apart from it: below
//! `/usr/lib/debug` by build id, or named by `.gnu_debuglink`. The latter counts when it has the same build id.
//! Files are whoever's made them: sizes are bounded, and nothing is decided by what they say. Not read: debug
//! information that is split into `.dwo` files, or shared between files (`.gnu_debugaltlink`), and
//! `.gnu_debugdata`.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use addr2line::{Context, LookupResult};
use gimli::{Dwarf, EndianRcSlice, LittleEndian};
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _, ReadCache, ReadRef};

use crate::denial::Frame;
use crate::files::{FileId, Files};
use crate::function::Functions;

/// Where distributions keep debug information.
const DEBUG: &str = "/usr/lib/debug";
/// Most bytes of debug information of one file: that of the largest browsers is larger, and is not read.
const MOST: u64 = 512 << 20;
/// Most functions that are inlined at one place.
const INLINED: usize = 32;

type Slice = EndianRcSlice<LittleEndian>;

/// One function at a place on a stack.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Function {
    /// Its name as linkers have it, not demangled.
    pub name: Option<String>,
    /// File and line of its code that is executed.
    pub line: Option<(String, u32)>,
    /// The compiler put it into the next one.
    pub inlined: bool,
}

/// Looks places up; what it read of files is kept.
pub struct Sources<'a> {
    files: &'a Files,
    read: HashMap<FileId, Content>,
}

#[derive(Default)]
struct Content {
    functions: Functions,
    lines: Option<Context<Slice>>,
}

impl<'a> Sources<'a> {
    /// Of the files of a record.
    pub fn new(files: &'a Files) -> Sources<'a> {
        Sources {
            files,
            read: HashMap::new(),
        }
    }

    /// The functions at a place, the innermost first; `innermost` tells the instruction of a call from the
    /// return addresses of others. One without a name when nothing is known.
    pub fn at(&mut self, frame: &Frame, innermost: bool) -> Vec<Function> {
        let known = frame.file.zip(frame.file_address);
        let Some((file, address)) = known else {
            return vec![Function::default()];
        };
        // A return address can already be behind the function that called.
        let address = address.saturating_sub(u64::from(!innermost));
        let files = self.files;
        let content = self.read.entry(file).or_insert_with(|| {
            let open = files.get(file);
            open.and_then(|open| Content::of(open, frame.object.as_deref()))
                .unwrap_or_default()
        });
        content.at(address)
    }
}

impl Content {
    fn of(file: &File, path: Option<&Path>) -> Option<Content> {
        let cache = ReadCache::new(file);
        let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
        let functions = Functions::of(&elf);
        if let Some(lines) = lines(&elf) {
            let lines = Some(lines);
            return Some(Content { functions, lines });
        }
        let mut content = Content {
            functions,
            lines: None,
        };
        let own = elf.build_id().ok().flatten().map(<[u8]>::to_vec);
        for apart in apart(&elf, path) {
            let Some(file) = open(&apart) else { continue };
            let cache = ReadCache::new(&file);
            let Ok(other) = ElfFile64::<Endianness, _>::parse(&cache) else {
                continue;
            };
            if !is_of(&other, own.as_deref()) {
                continue;
            }
            let more = Functions::of(&other);
            if !more.is_empty() {
                content.functions = more;
            }
            content.lines = lines(&other);
            break;
        }
        Some(content)
    }

    fn at(&self, address: u64) -> Vec<Function> {
        let symbol = self.functions.name(address).map(str::to_owned);
        let mut found = self.by_lines(address).unwrap_or_default();
        found.truncate(INLINED);
        match found.last_mut() {
            Some(outermost) => {
                // Symbols have versions and suffixes that debug information has not: `main.cold`.
                outermost.name = symbol.or(outermost.name.take());
                found
            }
            None => vec![Function {
                name: symbol,
                ..Function::default()
            }],
        }
    }

    fn by_lines(&self, address: u64) -> Option<Vec<Function>> {
        // Nothing stands at the last address, and behind it there is none.
        if address == u64::MAX {
            return None;
        }
        // What is in other files is not loaded.
        let mut frames = match self.lines.as_ref()?.find_frames(address) {
            LookupResult::Output(found) => found.ok()?,
            LookupResult::Load { .. } => return None,
        };
        let mut all: Vec<Function> = Vec::new();
        while all.len() < INLINED
            && let Ok(Some(frame)) = frames.next()
        {
            let name = frame.function.as_ref().and_then(|f| {
                let name = f.raw_name().ok()?;
                Some(name.into_owned())
            });
            let line = frame
                .location
                .as_ref()
                .and_then(|at| Some((at.file?.to_owned(), at.line?)));
            if let Some(inner) = all.last_mut() {
                inner.inlined = true;
            }
            all.push(Function {
                name,
                line,
                inlined: false,
            });
        }
        Some(all)
    }
}

/// The functions at these addresses of a file.
#[cfg(feature = "fuzz")]
pub(crate) fn of_file(file: &File, addresses: &[u64]) -> Vec<Vec<Function>> {
    let content = Content::of(file, None).unwrap_or_default();
    addresses.iter().map(|at| content.at(*at)).collect()
}

/// The debug information in a file; `None` without any.
fn lines<'d, R: ReadRef<'d>>(elf: &ElfFile64<'d, Endianness, R>) -> Option<Context<Slice>> {
    elf.section_by_name(".debug_info")?;
    let mut left = MOST;
    let load = |id: gimli::SectionId| {
        let section = elf.section_by_name(id.name());
        let bytes = section.and_then(|section| {
            // The size is looked at before anything is taken for it.
            let size = section.compressed_file_range().ok()?.uncompressed_size;
            left = left.checked_sub(size)?;
            section.uncompressed_data().ok()
        });
        let bytes: Rc<[u8]> = Rc::from(bytes.unwrap_or_default().as_ref());
        Ok::<_, gimli::Error>(EndianRcSlice::new(bytes, LittleEndian))
    };
    let dwarf = Dwarf::load(load).ok()?;
    Context::from_dwarf(dwarf).ok()
}

/// Where debug information may lie that is not in the file at `path`.
fn apart<'d, R: ReadRef<'d>>(
    elf: &ElfFile64<'d, Endianness, R>,
    path: Option<&Path>,
) -> Vec<PathBuf> {
    let mut all = Vec::new();
    if let Ok(Some([first, rest @ ..])) = elf.build_id() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        all.push(Path::new(DEBUG).join(format!(".build-id/{first:02x}/{}.debug", hex(rest))));
    }
    let named = elf.gnu_debuglink().ok().flatten();
    let named = named.and_then(|(name, _)| std::str::from_utf8(name).ok());
    // A name, not a path.
    let named = named.filter(|name| !name.contains('/') && !name.starts_with('.'));
    if let (Some(name), Some(directory)) = (named, path.and_then(Path::parent)) {
        all.push(directory.join(name));
        all.push(directory.join(".debug").join(name));
        if let Ok(below) = directory.strip_prefix("/") {
            all.push(Path::new(DEBUG).join(below).join(name));
        }
    }
    all
}

/// Whether a file has this build id.
fn is_of<'d, R: ReadRef<'d>>(elf: &ElfFile64<'d, Endianness, R>, id: Option<&[u8]>) -> bool {
    id.is_some() && elf.build_id().ok().flatten() == id
}

fn open(path: &Path) -> Option<File> {
    // Not to wait for a FIFO.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    #[inline(never)]
    fn placed() -> u32 {
        line!()
    }

    #[test]
    fn a_function_of_this_test_has_its_name_and_line() {
        let pid = std::process::id().cast_signed();
        let image = Image::of(pid);
        let address = placed as *const () as u64;
        let line = placed();
        let memory = crate::memory::Memory::open(pid).unwrap();
        let object = Image::object(&memory, image.base(address).unwrap()).unwrap();
        let mut files = Files::default();
        let frame = Frame {
            address,
            object: image.name(address),
            file_address: Some(address - object.bias),
            file: files.of(&image, address),
            certain: true,
        };
        let found = Sources::new(&files).at(&frame, true);
        let [function] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(function.name.as_ref().unwrap().contains("placed"));
        let (file, at) = function.line.as_ref().unwrap();
        assert!(file.ends_with("source.rs"), "{file}");
        // Of the function, of its only statement, or of its end.
        assert!((line - 1..=line + 1).contains(at), "{at} is not {line}");
    }
}
