//! Data processing with an immediate (C4.1, "Data Processing -- Immediate").

use super::word::Word;
use super::{
    anything, masked, narrow, offset, read, read_sp, register, rotate, with, write, write_sp,
};
use crate::isa::{Binary, Compare, Machine};

/// Bytes that `adrp` counts in.
const PAGE: i64 = 4096;
/// Bytes that a memory tag covers.
const GRANULE: u64 = 16;

pub(super) fn lift<M: Machine>(w: Word, at: u64, m: &mut M) {
    match w.bits(25, 23) {
        0b000 | 0b001 => address(w, at, m),
        0b010 => add(w, m),
        0b011 if !w.bit(22) => tagged(w, m),
        0b011 => limit(w, m),
        0b100 => logical(w, m),
        0b101 => wide(w, m),
        0b110 => bit_field(w, m),
        _ if w.bits(30, 29) == 0 => extract(w, m),
        // `autiasppc`, `autibsppc`: the return address, checked.
        _ if w.bits(31, 23) == 0b1_1110_0111 && w.rd() == 31 => {}
        _ => anything(m),
    }
}

fn address<M: Machine>(w: Word, at: u64, m: &mut M) {
    let by = w.signed(23, 5) << 2 | i64::from(w.bits(30, 29));
    let v = match w.bit(31) {
        false => at.wrapping_add_signed(by),
        true => (at & !(PAGE as u64 - 1)).wrapping_add_signed(by * PAGE),
    };
    let v = m.constant(v);
    match w.bit(31) {
        false => m.whole(v),
        true => m.page(v),
    }
    write(w.rd(), 64, v, m);
}

/// `add`, `sub`, `adds`, `subs`; `mov` from and to the stack pointer.
fn add<M: Machine>(w: Word, m: &mut M) {
    let bits = w.width();
    let by = u64::from(w.bits(21, 10)) << if w.bit(22) { 12 } else { 0 };
    let a = read_sp(w.rn(), bits, m);
    let (sub, flags) = (w.bit(30), w.bit(29));
    if !flags {
        let by = by as i64;
        let v = offset(a, if sub { -by } else { by }, m);
        m.whole(v);
        return write_sp(w.rd(), bits, v, m);
    }
    // `a + c` leaves the same flags as `a - -c`, but for c = 0.
    let compared = match (sub, by) {
        (true, _) => Some(by),
        (false, 0) => None,
        (false, _) => Some(by.wrapping_neg() & (u64::MAX >> (64 - bits))),
    };
    let by = if sub { by.wrapping_neg() } else { by };
    if w.rd() != 31 || compared.is_none() {
        let v = offset(a, by as i64, m);
        let v = narrow(v, bits, m);
        if compared.is_none() {
            m.compare(Compare::Result, bits, v, v);
        }
        write(w.rd(), 64, v, m);
    }
    if let Some(b) = compared {
        let b = m.constant(b);
        m.compare(Compare::Difference, bits, a, b);
    }
}

/// `addg`, `subg`: a pointer and its tag, which is none of the address.
fn tagged<M: Machine>(w: Word, m: &mut M) {
    if !w.bit(31) || w.bit(29) {
        return anything(m);
    }
    let by = (u64::from(w.bits(21, 16)) * GRANULE) as i64;
    let a = read_sp(w.rn(), 64, m);
    let v = offset(a, if w.bit(30) { -by } else { by }, m);
    write_sp(w.rd(), 64, v, m);
}

/// `smax`, `umax`, `smin`, `umin`.
fn limit<M: Machine>(w: Word, m: &mut M) {
    if w.bits(30, 29) != 0 || w.bits(21, 18) > 3 {
        return anything(m);
    }
    register::opaque(w.rd(), &[w.rn()], m);
}

fn logical<M: Machine>(w: Word, m: &mut M) {
    let bits = w.width();
    let Some(mask) = mask(w, bits) else {
        return anything(m);
    };
    let a = read(w.rn(), bits, m);
    let b = m.constant(mask);
    match w.bits(30, 29) {
        // `tst`.
        0b11 if w.rd() == 31 => m.compare(Compare::Bits, bits, a, b),
        0b11 => {
            let v = m.binary(Binary::And, a, b);
            m.compare(Compare::Bits, bits, v, v);
            write(w.rd(), bits, v, m);
        }
        0b01 if w.rn() == 31 => write_sp(w.rd(), bits, b, m),
        opc => {
            let op = [Binary::And, Binary::Or, Binary::Xor][opc as usize];
            let v = m.binary(op, a, b);
            write_sp(w.rd(), bits, v, m);
        }
    }
}

/// The bit mask that an instruction carries (`DecodeBitMasks` of the manual): a run of ones,
/// turned, and repeated over the width.
pub(super) fn mask(w: Word, bits: u8) -> Option<u64> {
    let (n, turn, ones) = (w.bits(22, 22), w.bits(21, 16), w.bits(15, 10));
    if bits == 32 && n != 0 {
        return None;
    }
    let order = (n << 6 | (!ones & 0x3f)).checked_ilog2()?;
    if order == 0 {
        return None;
    }
    let size = 1u32 << order;
    let (ones, turn) = (ones & (size - 1), turn & (size - 1));
    if ones == size - 1 {
        return None;
    }
    let element = u64::MAX >> (64 - size);
    let run = u64::MAX >> (63 - ones);
    let turned = match turn {
        0 => run,
        _ => (run >> turn | run << (size - turn)) & element,
    };
    let repeated = (0..64 / size).fold(0, |all, k| all | turned << (k * size));
    Some(repeated & (u64::MAX >> (64 - bits)))
}

/// `movn`, `movz`, `movk`.
fn wide<M: Machine>(w: Word, m: &mut M) {
    let bits = w.width();
    let shift = w.bits(22, 21) * 16;
    if shift >= u32::from(bits) {
        return anything(m);
    }
    let part = u64::from(w.bits(20, 5)) << shift;
    match w.bits(30, 29) {
        0b00 => {
            let v = m.constant(!part & (u64::MAX >> (64 - bits)));
            write(w.rd(), 64, v, m);
        }
        0b10 => {
            let v = m.constant(part);
            write(w.rd(), 64, v, m);
        }
        0b11 => {
            let old = read(w.rd(), bits, m);
            let rest = with(Binary::And, old, !(0xffff << shift), m);
            let v = with(Binary::Or, rest, part, m);
            write(w.rd(), bits, v, m);
        }
        _ => anything(m),
    }
}

/// `ubfm`, `sbfm`, `bfm`: shifts by a constant, extensions, fields taken out and put in.
fn bit_field<M: Machine>(w: Word, m: &mut M) {
    let bits = w.width();
    let (turn, last) = (w.small(21, 16), w.small(15, 10));
    if w.bit(22) != w.bit(31) || turn >= bits || last >= bits {
        return anything(m);
    }
    let x = read(w.rn(), bits, m);
    // A field of `length` bits goes down to bit 0, or up from there.
    let down = last >= turn;
    let (length, up) = match down {
        true => (last - turn + 1, 0),
        false => (last + 1, bits - turn),
    };
    let shifted = |op, v, by: u8, m: &mut M| match by {
        0 => v,
        _ => with(op, v, u64::from(by), m),
    };
    match w.bits(30, 29) {
        0b00 => {
            let v = match down {
                true if last == bits - 1 => {
                    let v = signed(x, bits, m);
                    shifted(Binary::Sar, v, turn, m)
                }
                true => {
                    let v = shifted(Binary::Shr, x, turn, m);
                    m.sign_extend(v, length)
                }
                false => {
                    let v = m.sign_extend(x, length);
                    shifted(Binary::Shl, v, up, m)
                }
            };
            write(w.rd(), bits, v, m);
        }
        0b10 => {
            let v = match down {
                true if last == bits - 1 => shifted(Binary::Shr, x, turn, m),
                true => {
                    let v = shifted(Binary::Shr, x, turn, m);
                    m.zero_extend(v, length)
                }
                false if last + 1 == turn => shifted(Binary::Shl, x, up, m),
                false => {
                    let v = m.zero_extend(x, length);
                    shifted(Binary::Shl, v, up, m)
                }
            };
            write(w.rd(), bits, v, m);
        }
        0b01 => {
            let field = u64::MAX >> (64 - length);
            let v = shifted(Binary::Shr, x, if down { turn } else { 0 }, m);
            let v = masked(v, field, m);
            let v = shifted(Binary::Shl, v, up, m);
            let old = read(w.rd(), bits, m);
            let old = masked(old, !(field << up), m);
            let v = m.binary(Binary::Or, old, v);
            write(w.rd(), bits, v, m);
        }
        _ => anything(m),
    }
}

fn signed<M: Machine>(v: M::V, bits: u8, m: &mut M) -> M::V {
    match bits {
        64 => v,
        _ => m.sign_extend(v, bits),
    }
}

/// `extr`; `ror` by a constant.
fn extract<M: Machine>(w: Word, m: &mut M) {
    let bits = w.width();
    let by = w.small(15, 10);
    if w.bit(22) != w.bit(31) || w.bit(21) || by >= bits {
        return anything(m);
    }
    let low = read(w.rm(), bits, m);
    let v = if w.rn() == w.rm() {
        rotate(low, by, bits, m)
    } else if by == 0 {
        low
    } else {
        let high = read(w.rn(), bits, m);
        let high = with(Binary::Shl, high, u64::from(bits - by), m);
        let low = with(Binary::Shr, low, u64::from(by), m);
        m.binary(Binary::Or, high, low)
    };
    write(w.rd(), bits, v, m);
}

#[cfg(test)]
mod tests {
    use crate::isa::text::check;

    #[test]
    fn computes_with_immediates() {
        check(&[
            ("adr x3, .+0x10", 0x1000_0083, "x3 = 0x1010"),
            ("adr x3, .-4", 0x10ff_ffe3, "x3 = 0xffc"),
            ("adrp x0, .+0x3000", 0x9000_0000, "x0 = 0x1000"),
            ("add x1, x2, #0x10", 0x9100_4041, "x1 = (x2 + 0x10)"),
            (
                "add w1, w2, #1, lsl #12",
                0x1140_0441,
                "x1 = u32((u32(x2) + 0x1000))",
            ),
            ("sub sp, sp, #0x20", 0xd100_83ff, "sp = (sp + -0x20)"),
            ("mov x29, sp", 0x9100_03fd, "x29 = sp"),
            (
                "adds x0, x1, #1",
                0xb100_0420,
                "x0 = (x1 + 1); flags = x1 - -0x1 : 64",
            ),
            (
                "subs w0, w1, #3",
                0x7100_0c20,
                "x0 = u32((u32(x1) + -0x3)); flags = u32(x1) - 3 : 32",
            ),
            ("cmp x0, #5", 0xf100_141f, "flags = x0 - 5 : 64"),
            (
                "cmn w3, #22",
                0x3100_587f,
                "flags = u32(x3) - 0xffffffea : 32",
            ),
            ("cmn x3, #0", 0xb100_007f, "flags = x3 : 64"),
            ("and x0, x1, #0xff00", 0x9278_1c20, "x0 = (x1 & 0xff00)"),
            (
                "orr w0, w1, #0x80000001",
                0x3201_0420,
                "x0 = u32((u32(x1) | 0x80000001))",
            ),
            (
                "mov x2, #0x5555555555555555",
                0xb200_f3e2,
                "x2 = 0x5555555555555555",
            ),
            ("eor sp, x3, #7", 0xd240_087f, "sp = (x3 ^ 7)"),
            ("tst w4, #1", 0x7200_009f, "flags = u32(x4) & 1 : 32"),
            (
                "ands x0, x1, #0xf",
                0xf240_0c20,
                "flags = (x1 & 0xf) & (x1 & 0xf) : 64; x0 = (x1 & 0xf)",
            ),
            ("movz x8, #0x123, lsl #16", 0xd2a0_2468, "x8 = 0x1230000"),
            ("mov w8, #93", 0x5280_0ba8, "x8 = 0x5d"),
            ("movn w0, #0", 0x1280_0000, "x0 = 0xffffffff"),
            ("mov x0, #-38", 0x9280_04a0, "x0 = -0x26"),
            (
                "movk x1, #0xabcd, lsl #32",
                0xf2d5_79a1,
                "x1 = ((x1 & 0xffff0000ffffffff) | 0xabcd00000000)",
            ),
            ("lsl x0, x1, #3", 0xd37d_f020, "x0 = (x1 << 3)"),
            ("lsl w0, w1, #3", 0x531d_7020, "x0 = u32((u32(x1) << 3))"),
            ("lsr x0, x1, #60", 0xd37c_fc20, "x0 = (x1 >> 0x3c)"),
            (
                "lsr w0, w1, #31",
                0x531f_7c20,
                "x0 = u32((u32(x1) >> 0x1f))",
            ),
            (
                "asr w0, w1, #2",
                0x1302_7c20,
                "x0 = u32((s32(u32(x1)) >>> 2))",
            ),
            ("asr x0, x1, #2", 0x9342_fc20, "x0 = (x1 >>> 2)"),
            ("uxtb w0, w1", 0x5300_1c20, "x0 = u32(u8(u32(x1)))"),
            ("sxtw x0, w1", 0x9340_7c20, "x0 = s32(x1)"),
            ("sxth w2, w3", 0x1300_3c62, "x2 = u32(s16(u32(x3)))"),
            ("ubfx x0, x1, #8, #4", 0xd348_2c20, "x0 = u4((x1 >> 8))"),
            (
                "sbfx w0, w1, #8, #4",
                0x1308_2c20,
                "x0 = u32(s4((u32(x1) >> 8)))",
            ),
            ("ubfiz x0, x1, #2, #32", 0xd37e_7c20, "x0 = (u32(x1) << 2)"),
            ("sbfiz x0, x1, #2, #8", 0x937e_1c20, "x0 = (s8(x1) << 2)"),
            (
                "bfi x0, x1, #8, #4",
                0xb378_0c20,
                "x0 = ((x0 & -0xf01) | (u4(x1) << 8))",
            ),
            (
                "bfxil w0, w1, #8, #4",
                0x3308_2c20,
                "x0 = u32(((u32(x0) & -0x10) | u4((u32(x1) >> 8))))",
            ),
            (
                "extr x0, x1, x2, #8",
                0x93c2_2020,
                "x0 = ((x1 << 0x38) | (x2 >> 8))",
            ),
            (
                "ror w0, w1, #8",
                0x1381_2020,
                "x0 = u32(u32(((u32(x1) << 0x18) | (u32(x1) >> 8))))",
            ),
            ("addg x0, x1, #32, #3", 0x9182_0c20, "x0 = (x1 + 0x20)"),
        ]);
    }
}
