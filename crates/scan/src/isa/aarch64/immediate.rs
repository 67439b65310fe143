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
