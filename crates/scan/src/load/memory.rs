//! The bytes that a file puts into memory, by virtual address.

use crate::image::Region;

/// A `PT_LOAD` segment: virtual addresses, not yet moved to a base.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    /// Bytes in memory; checked not to overflow `address`.
    pub(crate) size: u64,
    /// Where its bytes are in the file; checked to lie inside.
    pub(crate) offset: usize,
    /// How many bytes come from the file; the rest is zero.
    pub(crate) from_file: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) executable: bool,
}

impl Segment {
    pub(crate) fn end(&self) -> u64 {
        self.address + self.size
    }

    pub(crate) fn contains(&self, address: u64) -> bool {
        address >= self.address && address - self.address < self.size
    }
}

/// A file's content and the segments that map it.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) file: Vec<u8>,
    /// Ascending, not overlapping.
    pub(crate) segments: Vec<Segment>,
}

impl Memory {
    pub(crate) fn segment(&self, address: u64) -> Option<&Segment> {
        let after = self.segments.partition_point(|s| s.address <= address);
        let segment = &self.segments[after.checked_sub(1)?];
        segment.contains(address).then_some(segment)
    }

    /// From `address` to the end of what the file holds of its segment.
    pub(crate) fn from(&self, address: u64) -> Option<&[u8]> {
        let segment = self.segment(address)?;
        let skip = address - segment.address;
        let length = segment.from_file.checked_sub(skip)?;
        let start = segment.offset.checked_add(usize::try_from(skip).ok()?)?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.file.get(start..end).filter(|bytes| !bytes.is_empty())
    }

    /// What the file holds of a region.
    pub(crate) fn code(&self, region: &Region) -> &[u8] {
        let bytes = self.from(region.range.start).unwrap_or_default();
        let size = usize::try_from(region.range.end - region.range.start).unwrap_or(usize::MAX);
        &bytes[..bytes.len().min(size)]
    }

    /// Exactly `length` bytes that the file holds.
    pub(crate) fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.from(address)?.get(..length)
    }

    pub(crate) fn u32(&self, address: u64) -> Option<u32> {
        word32(self.from(address)?, 0)
    }

    pub(crate) fn u64(&self, address: u64) -> Option<u64> {
        word64(self.from(address)?, 0)
    }
}

/// The little-endian 16-bit word at `at`.
pub(crate) fn word16(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(word.try_into().ok()?))
}

/// The little-endian 32-bit word at `at`.
pub(crate) fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

/// The little-endian 64-bit word at `at`.
pub(crate) fn word64(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}

/// The little-endian 32-bit words of bytes at `start` that are where such words belong, with their
/// addresses: the instructions of an architecture whose instructions all have 32 bits.
pub(crate) fn words(bytes: &[u8], start: u64) -> impl Iterator<Item = (u64, u32)> {
    let first = start.next_multiple_of(4);
    let skip = usize::try_from(first - start).unwrap_or(usize::MAX);
    let bytes = bytes.get(skip..).unwrap_or_default();
    let words = bytes.chunks_exact(4).map_while(|w| word32(w, 0));
    (first..).step_by(4).zip(words)
}

/// The longest string that counts as one: some mangled names come near a quarter of it. Strings
/// may overlap, so many of a hostile file's names could share one endless tail.
const MOST_TEXT: usize = 64 << 10;

/// The NUL-terminated string at `at`, without its NUL.
pub(crate) fn text(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let rest = &rest[..rest.len().min(MOST_TEXT + 1)];
    let end = rest.iter().position(|&b| b == 0)?;
    Some(&rest[..end])
}
