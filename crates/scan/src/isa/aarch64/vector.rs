//! Vector registers as carriers of words: compilers build and copy structures in them, function
//! pointers and numbers included. Floating point is not followed.
//!
//! Of the general registers, data processing on vectors writes only those that `umov`, `smov`,
//! `fmov` and the conversions to integers name (C4.1, "Data Processing -- Scalar Floating-Point and
//! Advanced SIMD").

use super::word::Word;
use super::{LANES, masked, narrow, read, register, with, write};
use crate::isa::{Binary, Lane, Machine};

/// Nothing is known of a vector register any more.
pub(super) fn forget<M: Machine>(n: u8, m: &mut M) {
    for part in 0..LANES {
        m.forget_lane(Lane(n, part));
    }
}

/// What a vector register held goes where it is not followed.
pub(super) fn lose<M: Machine>(n: u8, m: &mut M) {
    for part in 0..LANES {
        let v = m.lane(Lane(n, part));
        m.lose(v);
    }
}

/// Fills a vector register; nothing for its upper half clears that.
fn put<M: Machine>(n: u8, low: M::V, high: Option<M::V>, m: &mut M) {
    let high = high.unwrap_or_else(|| m.constant(0));
    m.put_lane(Lane(n, 0), low);
    m.put_lane(Lane(n, 1), high);
}

/// Lifts data processing on vectors and floating point.
pub(super) fn compute<M: Machine>(w: Word, m: &mut M) {
    let done = if w.bits(28, 24) == 0b11110 && !w.bit(30) {
        scalar(w, m)
    } else {
        copy(w, m) || constant(w, m) || whole(w, m)
    };
    if !done {
        // It writes one register, made of what it held and of others: of a third where it is as
        // `fmadd`, of those that follow the first where it is `tbl`.
        for n in [w.rn(), w.rm(), w.rd(), w.ra()] {
            lose(n, m);
        }
        if w.bits(29, 24) == 0b00_1110 && !w.bit(21) {
            for k in 1..=3 {
                lose((w.rn() + k) & 31, m);
            }
        }
        forget(w.rd(), m);
    }
}

/// Floating point, and what moves between its registers and general ones.
fn scalar<M: Machine>(w: Word, m: &mut M) -> bool {
    let integer = w.bit(21) && w.bits(15, 10) == 0;
    // With a fixed point, bit 21 is clear.
    if integer || !w.bit(21) {
        return convert(w, integer, m);
    }
    match w.bits(11, 10) {
        // `fccmp`, and `fcmp` among what has neither bit.
        0b01 => m.forget_flags(),
        0b00 if w.bits(13, 10) == 0b1000 => m.forget_flags(),
        // `fmov` of a constant: of no use as a number.
        0b00 if w.bits(12, 10) == 0b100 => forget(w.rd(), m),
        // `fmov`, `fabs`, `fneg` and others of one register.
        0b00 => {
            // `fmov d, d`.
            if w.bits(23, 22) == 0b01 && w.bits(20, 15) == 0 && !w.bit(31) {
                let v = m.lane(Lane(w.rn(), 0));
                put(w.rd(), v, None, m);
            } else {
                lose(w.rn(), m);
                forget(w.rd(), m);
            }
        }
        // Two registers, and `fcsel`.
        _ => {
            for n in [w.rn(), w.rm()] {
                lose(n, m);
            }
            forget(w.rd(), m);
        }
    }
    true
}

fn convert<M: Machine>(w: Word, integer: bool, m: &mut M) -> bool {
    let (double, way, op) = (w.bits(23, 22), w.bits(20, 19), w.bits(18, 16));
    match (integer, w.bit(31), double, way, op) {
        // `fmov` between a general register and the low part of a vector.
        (true, true, 0b01, 0b00, 0b110) => {
            let v = m.lane(Lane(w.rn(), 0));
            write(w.rd(), 64, v, m);
        }
        (true, true, 0b01, 0b00, 0b111) => {
            let v = read(w.rn(), 64, m);
            put(w.rd(), v, None, m);
        }
        (true, false, 0b00, 0b00, 0b110) => {
            let v = m.lane(Lane(w.rn(), 0));
            write(w.rd(), 32, v, m);
        }
        (true, false, 0b00, 0b00, 0b111) => {
            let v = read(w.rn(), 32, m);
            put(w.rd(), v, None, m);
        }
        // The same with its upper part, which leaves the other.
        (true, true, 0b10, 0b01, 0b110) => {
            let v = m.lane(Lane(w.rn(), 1));
            write(w.rd(), 64, v, m);
        }
        (true, true, 0b10, 0b01, 0b111) => {
            let v = read(w.rn(), 64, m);
            m.put_lane(Lane(w.rd(), 1), v);
        }
        // `scvtf`, `ucvtf`: a number becomes another.
        (_, _, _, 0b00, 0b010 | 0b011) => {
            let v = read(w.rn(), 64, m);
            m.lose(v);
            forget(w.rd(), m);
        }
        // To a general register, or to a vector register by some.
        _ => {
            if (way, op) == (0b11, 0b110) {
                // `fjcvtzs` says whether the number was whole.
                m.forget_flags();
            }
            lose(w.rn(), m);
            let v = read(w.rn(), 64, m);
            m.lose(v);
            register::opaque(w.rd(), &[], m);
            forget(w.rd(), m);
        }
    }
    true
}

/// "Advanced SIMD copy" and its scalar form: `dup`, `ins`, `umov`, `smov`.
fn copy<M: Machine>(w: Word, m: &mut M) -> bool {
    let scalar = w.bits(31, 30) == 0b01 && w.bits(28, 21) == 0b1111_0000;
    let vector = !w.bit(31) && w.bits(28, 21) == 0b0111_0000;
    if !(scalar || vector) || w.bit(15) || !w.bit(10) {
        return false;
    }
    let place = w.bits(20, 16);
    let all = w.bit(30);
    let op = w.bits(14, 11);
    // Words of 64 bits, and their halves, are told apart; which one, by what is above the lowest one of
    // `place`.
    let Some(part) = Part::of(place) else {
        // Smaller ones are not followed.
        let general = vector && !w.bit(29) && matches!(op, 0b0001 | 0b0011);
        match op {
            0b0101 | 0b0111 if vector && !w.bit(29) => {
                lose(w.rn(), m);
                register::opaque(w.rd(), &[], m);
            }
            _ => {
                if general {
                    let v = read(w.rn(), 64, m);
                    m.lose(v);
                } else {
                    lose(w.rn(), m);
                }
                lose(w.rd(), m);
                forget(w.rd(), m);
            }
        }
        return true;
    };
    match (w.bit(29), op) {
        // `dup` of a part: everywhere, or to the lowest place.
        (false, 0b0000) => {
            let v = part.read(w.rn(), m);
            let v = if scalar { v } else { part.repeated(v, m) };
            put(w.rd(), v, (all && vector).then_some(v), m);
        }
        // `dup` of a general register.
        (false, 0b0001) if vector => {
            let v = read(w.rn(), part.bits, m);
            let v = part.repeated(v, m);
            put(w.rd(), v, all.then_some(v), m);
        }
        // `ins` of a general register.
        (false, 0b0011) if vector => {
            let v = read(w.rn(), part.bits, m);
            part.write(w.rd(), v, m);
        }
        // `umov`.
        (false, 0b0111) if vector => {
            let v = part.read(w.rn(), m);
            write(w.rd(), 64, v, m);
        }
        // `smov`.
        (false, 0b0101) if vector => {
            let v = part.read(w.rn(), m);
            let v = m.sign_extend(v, part.bits);
            write(w.rd(), 64, v, m);
        }
        // `ins` of a part.
        (true, _) if vector => {
            let from = Part {
                index: w.small(14, 11) >> (part.bits / 32 + 1),
                ..part
            };
            let v = from.read(w.rn(), m);
            part.write(w.rd(), v, m);
        }
        _ => return false,
    }
    true
}

/// A place for 32 or 64 bits in a vector register.
#[derive(Clone, Copy)]
struct Part {
    bits: u8,
    index: u8,
}

impl Part {
    fn of(place: u32) -> Option<Part> {
        let (bits, shift) = match place.trailing_zeros() {
            2 => (32, 3),
            3 => (64, 4),
            _ => return None,
        };
        Some(Part {
            bits,
            index: (place >> shift) as u8,
        })
    }

    /// The lane that it is in, and by how many bits it lies above that one's lowest.
    fn lane(self, n: u8) -> (Lane, u8) {
        match self.bits {
            64 => (Lane(n, self.index), 0),
            _ => (Lane(n, self.index / 2), self.index % 2 * 32),
        }
    }

    fn read<M: Machine>(self, n: u8, m: &mut M) -> M::V {
        let (lane, above) = self.lane(n);
        let v = m.lane(lane);
        match above {
            0 => narrow(v, self.bits, m),
            _ => with(Binary::Shr, v, u64::from(above), m),
        }
    }

    /// Puts a value, of no more bits, into a register that keeps its other parts.
    fn write<M: Machine>(self, n: u8, value: M::V, m: &mut M) {
        let (lane, above) = self.lane(n);
        if self.bits == 64 {
            return m.put_lane(lane, value);
        }
        let old = m.lane(lane);
        let (keep, value) = match above {
            0 => (!0xffff_ffff, value),
            _ => (0xffff_ffff, with(Binary::Shl, value, u64::from(above), m)),
        };
        let rest = masked(old, keep, m);
        let v = m.binary(Binary::Or, rest, value);
        m.put_lane(lane, v);
    }

    /// A lane full of a value.
    fn repeated<M: Machine>(self, value: M::V, m: &mut M) -> M::V {
        match self.bits {
            64 => value,
            _ => beside(value, value, m),
        }
    }
}

/// Two values of 32 bits in one of 64.
fn beside<M: Machine>(low: M::V, high: M::V, m: &mut M) -> M::V {
    let high = with(Binary::Shl, high, 32, m);
    m.binary(Binary::Or, low, high)
}

/// "Advanced SIMD modified immediate": `movi`, `mvni`, `orr`, `bic`, `fmov`.
fn constant<M: Machine>(w: Word, m: &mut M) -> bool {
    if w.bit(31) || w.bits(28, 19) != 0b01_1110_0000 || !w.bit(10) {
        return false;
    }
    let Some(value) = expanded(w) else {
        lose(w.rd(), m);
        forget(w.rd(), m);
        return true;
    };
    let v = m.constant(value);
    put(w.rd(), v, w.bit(30).then_some(v), m);
    true
}

/// `AdvSIMDExpandImm` of the manual, for what sets the whole register to a number.
fn expanded(w: Word) -> Option<u64> {
    let byte = u64::from(w.bits(18, 16) << 5 | w.bits(9, 5));
    let mode = w.bits(15, 12);
    let op = w.bit(29);
    let twice = |v: u64| v << 32 | v;
    let fill = |v: u64| if op { !v } else { v };
    if w.bit(11) {
        return None;
    }
    Some(match mode {
        0b0000 | 0b0010 | 0b0100 | 0b0110 => fill(twice(byte << (mode * 4))),
        0b1000 | 0b1010 => {
            let v = byte << ((mode & 2) * 4);
            fill(twice(v << 16 | v))
        }
        0b1100 => fill(twice(byte << 8 | 0xff)),
        0b1101 => fill(twice(byte << 16 | 0xffff)),
        0b1110 if !op => (0..8).fold(0, |all, n| all | byte << (n * 8)),
        // A bit for each byte.
        0b1110 => (0..8)
            .filter(|n| byte >> n & 1 != 0)
            .fold(0, |all, n| all | 0xff << (n * 8)),
        // `orr`, `bic` with a constant; floating point.
        _ => return None,
    })
}

/// What moves or clears whole registers, and what joins words of two of them.
fn whole<M: Machine>(w: Word, m: &mut M) -> bool {
    if w.bit(31) || w.bits(28, 24) != 0b01110 {
        return false;
    }
    let wide = w.bit(30);
    let same = w.rn() == w.rm();
    let size = w.bits(23, 22);
    match (w.bit(29), w.bit(21), w.bits(15, 10)) {
        // `mov`: `orr` or `and` of a register with itself.
        (false, true, 0b000111) if same && (size == 0b10 || size == 0b00) => {
            let low = m.lane(Lane(w.rn(), 0));
            let high = wide.then(|| m.lane(Lane(w.rn(), 1)));
            put(w.rd(), low, high, m);
        }
        // `eor` of a register with itself.
        (true, true, 0b000111) if same && size == 0 => {
            let zero = m.constant(0);
            put(w.rd(), zero, None, m);
        }
        // `zip1`, `uzp1`, `trn1` of words; their second forms.
        (false, false, 0b001110 | 0b000110 | 0b001010) if size == 0b11 && wide => {
            joined(w, 0, m);
        }
        (false, false, 0b011110 | 0b010110 | 0b011010) if size == 0b11 && wide => {
            joined(w, 1, m);
        }
        // `zip1` of the halves of the low words.
        (false, false, 0b001110) if size == 0b10 && !wide => {
            let (a, b) = (m.lane(Lane(w.rn(), 0)), m.lane(Lane(w.rm(), 0)));
            let (a, b) = (m.zero_extend(a, 32), m.zero_extend(b, 32));
            let v = beside(a, b, m);
            put(w.rd(), v, None, m);
        }
        // `ext` by half a register.
        (true, false, 0b010000) if size == 0 && wide => {
            let low = m.lane(Lane(w.rn(), 1));
            let high = m.lane(Lane(w.rm(), 0));
            put(w.rd(), low, Some(high), m);
        }
        _ => return false,
    }
    true
}

fn joined<M: Machine>(w: Word, part: u8, m: &mut M) {
    let low = m.lane(Lane(w.rn(), part));
    let high = m.lane(Lane(w.rm(), part));
    put(w.rd(), low, Some(high), m);
}

#[cfg(test)]
mod tests {
    use crate::isa::text::check;

    #[test]
    fn carries_words_in_vectors() {
        check(&[
            ("fmov d0, x1", 0x9e67_0020, "v0.0 = x1; v0.1 = 0"),
            ("fmov x1, d0", 0x9e66_0001, "x1 = v0.0"),
            ("fmov w1, s0", 0x1e26_0001, "x1 = u32(v0.0)"),
            ("fmov s0, w1", 0x1e27_0020, "v0.0 = u32(x1); v0.1 = 0"),
            ("fmov v0.d[1], x1", 0x9eaf_0020, "v0.1 = x1"),
            ("fmov x1, v0.d[1]", 0x9eae_0001, "x1 = v0.1"),
            ("fmov d0, d1", 0x1e60_4020, "v0.0 = v1.0; v0.1 = 0"),
            ("fmov d0, #1.0", 0x1e6e_1000, "v0.0 = ?; v0.1 = ?"),
            ("movi v0.4s, #0", 0x4f00_0400, "v0.0 = 0; v0.1 = 0"),
            ("movi d0, #0", 0x2f00_e400, "v0.0 = 0; v0.1 = 0"),
            (
                "movi v0.2d, #0xff00ff00ff00ff00",
                0x6f05_e540,
                "v0.0 = 0xff00ff00ff00ff00; v0.1 = 0xff00ff00ff00ff00",
            ),
            (
                "movi v0.16b, #3",
                0x4f00_e460,
                "v0.0 = 0x303030303030303; v0.1 = 0x303030303030303",
            ),
            (
                "mvni v1.4s, #1, lsl #8",
                0x6f00_2421,
                "v1.0 = 0xfffffefffffffeff; v1.1 = 0xfffffefffffffeff",
            ),
            (
                "movi v1.8h, #2, lsl #8",
                0x4f00_a441,
                "v1.0 = 0x200020002000200; v1.1 = 0x200020002000200",
            ),
            (
                "orr v1.4s, #1",
                0x4f00_1421,
                "lose v1.0; lose v1.1; v1.0 = ?; v1.1 = ?",
            ),
            (
                "mov v0.16b, v1.16b",
                0x4ea1_1c20,
                "v0.0 = v1.0; v0.1 = v1.1",
            ),
            ("mov v0.8b, v1.8b", 0x0ea1_1c20, "v0.0 = v1.0; v0.1 = 0"),
            (
                "eor v0.16b, v1.16b, v1.16b",
                0x6e21_1c20,
                "v0.0 = 0; v0.1 = 0",
            ),
            (
                "eor v0.16b, v1.16b, v2.16b",
                0x6e22_1c20,
                "lose v1.0; lose v1.1; lose v2.0; lose v2.1; lose v0.0; lose v0.1; lose v7.0; lose v7.1; v0.0 = ?; v0.1 = ?",
            ),
            ("dup v0.2d, x1", 0x4e08_0c20, "v0.0 = x1; v0.1 = x1"),
            (
                "dup v0.4s, w1",
                0x4e04_0c20,
                "v0.0 = (u32(x1) | (u32(x1) << 0x20)); v0.1 = (u32(x1) | (u32(x1) << 0x20))",
            ),
            (
                "dup v0.2d, v1.d[1]",
                0x4e18_0420,
                "v0.0 = v1.1; v0.1 = v1.1",
            ),
            ("mov d0, v1.d[1]", 0x5e18_0420, "v0.0 = v1.1; v0.1 = 0"),
            ("mov v0.d[1], x1", 0x4e18_1c20, "v0.1 = x1"),
            ("mov v0.d[1], v2.d[0]", 0x6e18_0440, "v0.1 = v2.0"),
            (
                "mov v0.s[1], w1",
                0x4e0c_1c20,
                "v0.0 = (u32(v0.0) | (u32(x1) << 0x20))",
            ),
            ("mov x0, v1.d[1]", 0x4e18_3c20, "x0 = v1.1"),
            ("mov w0, v1.s[2]", 0x0e14_3c20, "x0 = u32(v1.1)"),
            ("mov w0, v1.s[1]", 0x0e0c_3c20, "x0 = (v1.0 >> 0x20)"),
            (
                "umov w0, v1.b[3]",
                0x0e07_3c20,
                "lose v1.0; lose v1.1; x0 = ?0",
            ),
            ("smov x0, v1.s[0]", 0x4e04_2c20, "x0 = s32(u32(v1.0))"),
            (
                "zip1 v0.2d, v1.2d, v2.2d",
                0x4ec2_3820,
                "v0.0 = v1.0; v0.1 = v2.0",
            ),
            (
                "zip2 v0.2d, v1.2d, v2.2d",
                0x4ec2_7820,
                "v0.0 = v1.1; v0.1 = v2.1",
            ),
            (
                "zip1 v0.2s, v1.2s, v2.2s",
                0x0e82_3820,
                "v0.0 = (u32(v1.0) | (u32(v2.0) << 0x20)); v0.1 = 0",
            ),
            (
                "mov v0.s[0], w1",
                0x4e04_1c20,
                "v0.0 = ((v0.0 & 0xffffffff00000000) | u32(x1))",
            ),
            (
                "mov v0.s[3], v2.s[1]",
                0x6e1c_2440,
                "v0.1 = (u32(v0.1) | ((v2.0 >> 0x20) << 0x20))",
            ),
            (
                "dup v0.8b, w1",
                0x0e01_0c20,
                "lose x1; lose v0.0; lose v0.1; v0.0 = ?; v0.1 = ?",
            ),
            (
                "mov v0.b[3], w1",
                0x4e07_1c20,
                "lose x1; lose v0.0; lose v0.1; v0.0 = ?; v0.1 = ?",
            ),
            (
                "ext v0.16b, v1.16b, v2.16b, #8",
                0x6e02_4020,
                "v0.0 = v1.1; v0.1 = v2.0",
            ),
            (
                "add v0.4s, v1.4s, v2.4s",
                0x4ea2_8420,
                "lose v1.0; lose v1.1; lose v2.0; lose v2.1; lose v0.0; lose v0.1; lose v1.0; lose v1.1; v0.0 = ?; v0.1 = ?",
            ),
            (
                "tbl v0.16b, {v1.16b, v2.16b}, v3.16b",
                0x4e03_2020,
                "lose v1.0; lose v1.1; lose v3.0; lose v3.1; lose v0.0; lose v0.1; lose v8.0; lose v8.1; lose v2.0; lose v2.1; lose v3.0; lose v3.1; lose v4.0; lose v4.1; v0.0 = ?; v0.1 = ?",
            ),
            ("fcmp d0, d1", 0x1e61_2000, "flags = ?"),
            ("fccmp d0, d1, #0, eq", 0x1e61_0400, "flags = ?"),
            (
                "fcsel d0, d1, d2, eq",
                0x1e62_0c20,
                "lose v1.0; lose v1.1; lose v2.0; lose v2.1; v0.0 = ?; v0.1 = ?",
            ),
            (
                "fadd d0, d1, d2",
                0x1e62_2820,
                "lose v1.0; lose v1.1; lose v2.0; lose v2.1; v0.0 = ?; v0.1 = ?",
            ),
            (
                "fmadd d0, d1, d2, d3",
                0x1f42_0c20,
                "lose v1.0; lose v1.1; lose v2.0; lose v2.1; lose v0.0; lose v0.1; lose v3.0; lose v3.1; v0.0 = ?; v0.1 = ?",
            ),
            ("scvtf d0, x1", 0x9e62_0020, "lose x1; v0.0 = ?; v0.1 = ?"),
            (
                "fcvtzs x0, d1",
                0x9e78_0020,
                "lose v1.0; lose v1.1; lose x1; x0 = ?0; v0.0 = ?; v0.1 = ?",
            ),
            (
                "fcvtzs w0, s1, #4",
                0x1e18_f020,
                "lose v1.0; lose v1.1; lose x1; x0 = ?0; v0.0 = ?; v0.1 = ?",
            ),
            (
                "fcvtzs d0, d1",
                0x5ee1_b820,
                "lose v1.0; lose v1.1; lose v1.0; lose v1.1; lose v0.0; lose v0.1; lose v14.0; lose v14.1; v0.0 = ?; v0.1 = ?",
            ),
            (
                "scvtf d0, d1",
                0x5e61_d820,
                "lose v1.0; lose v1.1; lose v1.0; lose v1.1; lose v0.0; lose v0.1; lose v22.0; lose v22.1; v0.0 = ?; v0.1 = ?",
            ),
            (
                "addv s0, v1.4s",
                0x4eb1_b820,
                "lose v1.0; lose v1.1; lose v17.0; lose v17.1; lose v0.0; lose v0.1; lose v14.0; lose v14.1; v0.0 = ?; v0.1 = ?",
            ),
            (
                "aese v0.16b, v1.16b",
                0x4e28_4820,
                "lose v1.0; lose v1.1; lose v8.0; lose v8.1; lose v0.0; lose v0.1; lose v18.0; lose v18.1; v0.0 = ?; v0.1 = ?",
            ),
        ]);
    }
}
