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

/// Where the call whose bytes include `inside` lands when it throws.
pub(crate) fn pad(memory: &Memory, frame: &Frame, inside: u64) -> Option<u64> {
    const OMITTED: u8 = 0xff;
    let address = frame.exceptions?;
    let mut reader = Reader {
        bytes: memory.from(address)?,
        at: 0,
        address,
    };
    let start_encoding = reader.byte()?;
    let pads_from = match start_encoding {
        OMITTED => frame.start,
        encoding => reader.encoded(encoding)?,
    };
    if reader.byte()? != OMITTED {
        reader.uleb()?;
    }
    let encoding = reader.byte()?;
    let length = usize::try_from(reader.uleb()?).ok()?;
    let end = reader.at.checked_add(length)?;
    let wanted = inside.checked_sub(frame.start)?;
    while reader.at < end {
        let start = reader.encoded(encoding)?;
        let length = reader.encoded(encoding)?;
        let pad = reader.encoded(encoding)?;
        reader.uleb()?;
        // The table is sorted by start.
        if wanted < start {
            return None;
        }
        if wanted - start < length {
            return (pad != 0).then(|| pads_from.wrapping_add(pad));
        }
    }
    None
}
