//! A word of code and its fields.

/// A word of code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word(pub(super) u32);

impl Word {
    /// The word that `code` begins with; code is little-endian whatever data is.
    pub(super) fn first(code: &[u8]) -> Option<Word> {
        let bytes = code.first_chunk()?;
        Some(Word(u32::from_le_bytes(*bytes)))
    }

    /// The field between two bits, both included.
    pub(super) fn bits(self, high: u32, low: u32) -> u32 {
        (self.0 >> low) & (u32::MAX >> (31 - (high - low)))
    }

    pub(super) fn bit(self, n: u32) -> bool {
        self.0 >> n & 1 != 0
    }

    /// The field between two bits as a signed number.
    pub(super) fn signed(self, high: u32, low: u32) -> i64 {
        let unused = 31 - (high - low);
        i64::from((self.bits(high, low) << unused) as i32 >> unused)
    }

    /// A field of at most eight bits.
    pub(super) fn small(self, high: u32, low: u32) -> u8 {
        debug_assert!(high - low < 8);
        self.bits(high, low) as u8
    }

    /// Rd, Rt.
    pub(super) fn rd(self) -> u8 {
        self.small(4, 0)
    }

    /// Rn.
    pub(super) fn rn(self) -> u8 {
        self.small(9, 5)
    }

    /// Ra, Rt2.
    pub(super) fn ra(self) -> u8 {
        self.small(14, 10)
    }

    /// Rm, Rs.
    pub(super) fn rm(self) -> u8 {
        self.small(20, 16)
    }

    /// The width of the operands, where bit 31 tells it.
    pub(super) fn width(self) -> u8 {
        if self.bit(31) { 64 } else { 32 }
    }
}
