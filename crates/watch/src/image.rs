//! What is mapped in a process, and the ELF headers of it, read from its memory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::memory::Memory;

/// Longest `/proc/PID/maps` that is read.
const MAPS_LIMIT: u64 = 64 << 20;
/// Most program headers that are looked at; real files have about 13.
const HEADERS: u16 = 64;
/// Largest unwind table that is read: the largest known, of browsers, are about 20 MB.
const TABLE_LIMIT: u64 = 64 << 20;

/// One mapping.
#[derive(Clone, Debug)]
struct Region {
    start: u64,
    end: u64,
    offset: u64,
    executable: bool,
    writable: bool,
    /// Device and inode as text and number: equal for the mappings of one file.
    file: (String, u64),
    name: Vec<u8>,
}

/// The mappings of a process.
pub(crate) struct Image {
    pid: i32,
    regions: Vec<Region>,
}

/// An ELF file in memory.
pub(crate) struct Object {
    /// What to add to an address of the file to have it in the process.
    pub(crate) bias: u64,
    /// Of `.eh_frame_hdr`, in the process.
    pub(crate) header: u64,
    /// `.eh_frame_hdr`.
    pub(crate) header_bytes: Vec<u8>,
    /// Where the segment that holds the table ends, in the process.
    pub(crate) segment_end: u64,
}

impl Image {
    /// Of `pid`; empty when it may not be read.
    pub(crate) fn of(pid: i32) -> Image {
        let mut text = Vec::new();
        // What is not read is not known, and frames are then addresses only.
        let _ = File::open(format!("/proc/{pid}/maps"))
            .and_then(|f| f.take(MAPS_LIMIT).read_to_end(&mut text));
        Image {
            pid,
            regions: text.split(|b| *b == b'\n').filter_map(region).collect(),
        }
    }

    fn at(&self, address: u64) -> Option<&Region> {
        let after = self.regions.partition_point(|r| r.start <= address);
        let region = self.regions.get(after.checked_sub(1)?)?;
        (address < region.end).then_some(region)
    }

    /// Whether code can run at `address`.
    pub(crate) fn is_code(&self, address: u64) -> bool {
        self.at(address).is_some_and(|r| r.executable)
    }

    /// Where code can run, as stretches from their first byte to behind their last; `None` when some of it can be written as
    /// well, or when nothing could be read.
    pub(crate) fn code(&self) -> Option<Vec<(u64, u64)>> {
        let code = || self.regions.iter().filter(|region| region.executable);
        let fixed = code().next().is_some() && code().all(|region| !region.writable);
        fixed.then(|| code().map(|region| (region.start, region.end)).collect())
    }

    /// The name of what is mapped at `address`, as the kernel gives it.
    pub(crate) fn name(&self, address: u64) -> Option<PathBuf> {
        let region = self.at(address)?;
        (!region.name.is_empty()).then(|| OsString::from_vec(region.name.clone()).into())
    }

    /// Where the vdso begins.
    pub(crate) fn vdso(&self) -> Option<u64> {
        let mut regions = self.regions.iter();
        regions.find(|r| r.name == b"[vdso]").map(|r| r.start)
    }

    /// The start of the first mapping of the object that holds `address`.
    pub(crate) fn base(&self, address: u64) -> Option<u64> {
        let region = self.at(address)?;
        if region.name == b"[vdso]" {
            return Some(region.start);
        }
        if region.file.1 == 0 {
            return None;
        }
        let after = self.regions.partition_point(|r| r.start <= address);
        self.regions[..after]
            .iter()
            .rev()
            .find(|r| r.file == region.file && r.offset == 0)
            .map(|r| r.start)
    }

    /// The headers of the object at `base`.
    pub(crate) fn object(memory: &Memory, base: u64) -> Option<Object> {
        let mut header = [0; 64];
        memory.read(base, &mut header)?;
        if header[..6] != *b"\x7fELF\x02\x01" {
            return None;
        }
        let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let table = u64::from_le_bytes(header[32..40].try_into().ok()?);
        if half(54) != 56 {
            return None;
        }
        let mut bias = None;
        let mut unwind = None;
        let mut segments = Vec::new();
        for index in 0..half(56).min(HEADERS) {
            let mut entry = [0; 56];
            let at = base
                .checked_add(table)?
                .checked_add(u64::from(index) * 56)?;
            memory.read(at, &mut entry)?;
            let kind = u32::from_le_bytes(entry[..4].try_into().ok()?);
            let word =
                |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().unwrap_or([0; 8]));
            let (offset, address, size) = (word(8), word(16), word(32));
            match kind {
                1 => {
                    if bias.is_none() {
                        // The page with file offset 0 is the one at `base`.
                        bias = Some(base.wrapping_sub(address.wrapping_sub(offset)));
                    }
                    segments.push((address, size));
                }
                0x6474_e550 => unwind = Some((address, size)),
                _ => {}
            }
        }
        let bias = bias?;
        let mut object = Object {
            bias,
            header: 0,
            header_bytes: Vec::new(),
            segment_end: 0,
        };
        if let Some((address, size)) = unwind {
            object.header = bias.wrapping_add(address);
            object.header_bytes =
                memory.read_some(object.header, usize::try_from(size.min(TABLE_LIMIT)).ok()?);
            object.segment_end = segments
                .iter()
                .find(|(start, size)| address >= *start && address - start < *size)
                .map_or(0, |(start, size)| {
                    bias.wrapping_add(*start).saturating_add(*size)
                });
        }
        Some(object)
    }

    /// The file that is mapped at `address`, by device and inode.
    pub(crate) fn file(&self, address: u64) -> Option<&(String, u64)> {
        self.at(address).map(|region| &region.file)
    }

    /// Where in its file lies what is mapped at `address`.
    pub(crate) fn offset(&self, address: u64) -> Option<u64> {
        let region = self.at(address)?;
        region.offset.checked_add(address - region.start)
    }

    /// Opens the file that is mapped at `address`: itself where that is allowed (proc(5), `map_files`), else
    /// what its path leads to in the process's own tree, or in this one, when it is the same.
    pub(crate) fn open(&self, address: u64) -> Option<File> {
        let region = self.at(address)?;
        let Region { start, end, .. } = region;
        let own = format!("/proc/{}", self.pid);
        let mut inside = OsString::from(format!("{own}/root"));
        inside.push(OsStr::from_bytes(&region.name));
        let paths = [
            format!("{own}/map_files/{start:x}-{end:x}").into(),
            inside,
            OsString::from_vec(region.name.clone()),
        ];
        paths.into_iter().find_map(|path| {
            // Not to wait for a FIFO that took the file's place.
            let file = File::options()
                .read(true)
                .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
                .open(path)
                .ok()?;
            let metadata = file.metadata().ok()?;
            (metadata.is_file() && metadata.ino() == region.file.1).then_some(file)
        })
    }

    /// Where the file mapped at `base` has its `.eh_frame`: address in the file and size. Static
    /// programs have the table mapped and no program header that says where; their section
    /// headers, which are not mapped, do.
    pub(crate) fn table_section(&self, base: u64) -> Option<(u64, u64)> {
        let file = self.open(base)?;
        let mut header = [0; 64];
        file.read_exact_at(&mut header, 0).ok()?;
        let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let table = u64::from_le_bytes(header[40..48].try_into().ok()?);
        let section = |index: u16| {
            let mut entry = [0; 64];
            let at = table.checked_add(u64::from(index) * 64)?;
            file.read_exact_at(&mut entry, at).ok()?;
            let word =
                |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().unwrap_or([0; 8]));
            let name = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            Some((u64::from(name), word(16), word(24), word(32)))
        };
        if half(58) != 64 {
            return None;
        }
        let (_, _, names, _) = section(half(62))?;
        (0..half(60)).find_map(|index| {
            let (name, address, _, size) = section(index)?;
            let mut text = [0; 10];
            file.read_exact_at(&mut text, names.checked_add(name)?)
                .ok()?;
            (text == *b".eh_frame\0").then_some((address, size))
        })
    }

    /// At most `size` bytes of a table at `start`, bounded.
    pub(crate) fn table(memory: &Memory, start: u64, size: u64) -> Vec<u8> {
        memory.read_some(start, usize::try_from(size.min(TABLE_LIMIT)).unwrap_or(0))
    }
}

fn region(line: &[u8]) -> Option<Region> {
    let mut fields = line.splitn(6, |b| *b == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let (start, end) = text()?.split_once('-')?;
    let permissions = text()?;
    let offset = u64::from_str_radix(text()?, 16).ok()?;
    let device = text()?.to_owned();
    let inode = text()?.parse().ok()?;
    Some(Region {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        offset,
        executable: permissions.as_bytes().get(2) == Some(&b'x'),
        writable: permissions.as_bytes().get(1) == Some(&b'w'),
        file: (device, inode),
        name: fields.next().unwrap_or(b"").trim_ascii_start().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_its_own_code_mapped() {
        let pid = std::process::id().cast_signed();
        let image = Image::of(pid);
        let here = this_process_has_its_own_code_mapped as *const () as u64;
        assert!(image.is_code(here));
        assert!(!image.is_code(1));
        let memory = Memory::open(pid).unwrap();
        let base = image.base(here).unwrap();
        let object = Image::object(&memory, base).unwrap();
        // Position-independent, or at the address that it was linked for.
        assert!([base, 0].contains(&object.bias), "{:#x}", object.bias);
        assert!(!object.header_bytes.is_empty());
        assert!(object.segment_end > object.header);
    }

    #[test]
    fn broken_lines_are_nothing() {
        for line in [
            &b""[..],
            b"zz-zz r-xp 0 0:0 0",
            b"1000-2000 r-xp",
            b"\xff\xfe",
        ] {
            assert!(region(line).is_none());
        }
    }
}
