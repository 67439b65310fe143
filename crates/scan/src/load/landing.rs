//! Exception tables (`.gcc_except_table`): where control goes when a call throws.
//!
//! The format is the Itanium C++ ABI's "level 2" as gcc and llvm write it: a header, then call
//! sites with start, length, landing pad and action.

use super::frames::Frame;
use super::memory::Memory;

/// Cursor over one table; every read is checked.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Virtual address of `bytes[0]`.
    address: u64,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn fixed(&mut self, size: usize) -> Option<u64> {
        let mut word = [0; 8];
        word[..size].copy_from_slice(self.bytes.get(self.at..self.at.checked_add(size)?)?);
        self.at += size;
        Some(u64::from_le_bytes(word))
    }

    fn uleb(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for n in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (n * 7);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// `DW_EH_PE_*`: format in the low half, what it counts from in the high half.
    fn encoded(&mut self, encoding: u8) -> Option<u64> {
        let here = self.address.checked_add(self.at as u64)?;
        let value = match encoding & 0xf {
            0x0 | 0x4 | 0xc => self.fixed(8)?,
            0x1 => self.uleb()?,
            0x2 => self.fixed(2)?,
            0x3 => self.fixed(4)?,
            0xa => (self.fixed(2)? as u16).cast_signed() as i64 as u64,
            0xb => (self.fixed(4)? as u32).cast_signed() as i64 as u64,
            _ => return None,
        };
        match encoding & 0x70 {
            0x00 => Some(value),
            0x10 => Some(here.wrapping_add(value)),
            _ => None,
        }
    }
}

/// More calls than the largest functions have.
const MOST_SITES: usize = 65_536;

/// A range of code, by virtual addresses, and where its exceptions land.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CallSite {
    start: u64,
    end: u64,
    pad: Option<u64>,
}

/// The call sites of a frame, ascending.
pub(crate) fn sites(memory: &Memory, frame: &Frame) -> Vec<CallSite> {
    let mut sites = Vec::new();
    // What is read before the table ends too early counts.
    let _: Option<()> = read(memory, frame, &mut sites);
    sites
}

fn read(memory: &Memory, frame: &Frame, sites: &mut Vec<CallSite>) -> Option<()> {
    const OMITTED: u8 = 0xff;
    let address = frame.exceptions?;
    let mut reader = Reader {
        bytes: memory.from(address)?,
        at: 0,
        address,
    };
    let pads_from = match reader.byte()? {
        OMITTED => frame.start,
        encoding => reader.encoded(encoding)?,
    };
    if reader.byte()? != OMITTED {
        reader.uleb()?;
    }
    let encoding = reader.byte()?;
    let length = usize::try_from(reader.uleb()?).ok()?;
    let end = reader.at.checked_add(length)?;
    while reader.at < end && sites.len() < MOST_SITES {
        let start = frame.start.checked_add(reader.encoded(encoding)?)?;
        let end = start.checked_add(reader.encoded(encoding)?)?;
        let pad = reader.encoded(encoding)?;
        reader.uleb()?;
        // The personality routine takes the first that covers the call, in order.
        let start = sites
            .last()
            .map_or(start, |last: &CallSite| start.max(last.end));
        if start >= end {
            continue;
        }
        sites.push(CallSite {
            start,
            end,
            pad: (pad != 0).then(|| pads_from.wrapping_add(pad)),
        });
    }
    Some(())
}

/// Where the call whose bytes include `inside` lands when it throws.
pub(crate) fn pad(sites: &[CallSite], inside: u64) -> Option<u64> {
    let after = sites.partition_point(|s| s.start <= inside);
    let site = sites.get(after.checked_sub(1)?)?;
    (inside < site.end).then_some(site.pad)?
}

#[cfg(test)]
mod tests {
    use super::super::memory::Segment;
    use super::*;

    /// An exception table at 0x2000 for a function at 0x1000.
    fn table(bytes: &[u8]) -> (Memory, Frame) {
        let segment = Segment {
            address: 0x2000,
            size: bytes.len() as u64,
            offset: 0,
            from_file: bytes.len() as u64,
            readable: true,
            writable: false,
            executable: false,
        };
        let memory = Memory {
            file: bytes.to_vec(),
            segments: vec![segment],
        };
        let frame = Frame {
            start: 0x1000,
            end: 0x1100,
            exceptions: Some(0x2000),
            entry: true,
        };
        (memory, frame)
    }

    #[test]
    fn calls_land_where_their_range_says() {
        // No start, no types, ULEB128 call sites: 0x10..0x18 lands at 0x90, 0x20..0x30 nowhere.
        let entries = [0x10, 0x08, 0x90, 0x01, 0x00, 0x20, 0x10, 0x00, 0x00];
        let head = [0xff, 0xff, 0x01, entries.len() as u8];
        let (memory, frame) = table(&[head.as_slice(), &entries].concat());
        let sites = sites(&memory, &frame);
        let at = |offset: u64| pad(&sites, 0x1000 + offset);
        assert_eq!(at(0x0f), None);
        assert_eq!(at(0x10), Some(0x1090));
        assert_eq!(at(0x17), Some(0x1090));
        assert_eq!(at(0x18), None);
        assert_eq!(at(0x28), None);
        assert_eq!(at(0x80), None);
    }

    #[test]
    fn pads_may_count_from_elsewhere_and_sites_have_fixed_size() {
        // The start of the pads, pc-relative at 0x2001: 0x3000.
        let mut bytes = vec![0x1b];
        bytes.extend((0x3000i32 - 0x2001).to_le_bytes());
        bytes.extend([0xff, 0x03, 13]);
        for word in [0u32, 0x100, 0x20] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.push(0);
        let (memory, frame) = table(&bytes);
        assert_eq!(pad(&sites(&memory, &frame), 0x1050), Some(0x3020));
    }

    #[test]
    fn a_table_that_ends_early_says_nothing() {
        let whole = [0xff, 0xff, 0x01, 4, 0x00, 0x20, 0x40, 0x00];
        for length in 0..whole.len() - 1 {
            let (memory, frame) = table(&whole[..length]);
            if length < 7 {
                assert_eq!(pad(&sites(&memory, &frame), 0x1010), None);
            }
        }
        let (memory, frame) = table(&whole);
        assert_eq!(pad(&sites(&memory, &frame), 0x1010), Some(0x1040));
    }
}
