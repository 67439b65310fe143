//! Loads and stores (C4.1, "Loads and Stores").

use super::word::Word;
use super::{LANES, SP, anything, offset, read, read_sp, register, vector, with, write, write_sp};
use crate::isa::{Binary, Lane, Machine, Reg};

/// Bytes that a memory tag covers.
const GRANULE: i64 = 16;

pub(super) fn lift<M: Machine>(w: Word, at: u64, m: &mut M) {
    let vector = w.bit(26);
    match (w.bits(29, 28), w.bits(24, 23)) {
        (0b00, _) if vector => structures(w, m),
        (0b00, 0b00 | 0b01) => exclusive(w, m),
        (0b01, 0b00 | 0b01) => literal(w, at, m),
        (0b01, _) if w.bits(31, 30) == 0 && !w.bit(21) && w.bits(11, 10) == 0b01 => {
            copy_memory(w, m);
        }
        (0b01, _) if !vector && w.bits(31, 30) == 0b11 && w.bit(21) => tags(w, m),
        (0b01, _) if !w.bit(21) && w.bits(11, 10) == 0 && !vector => {
            unscaled(w, m);
        }
        // `ldapur`, `stlur` of vector registers.
        (0b01, _) if !w.bit(21) && w.bits(11, 10) == 0b10 && vector => unscaled(w, m),
        (0b10, _) => pair(w, m),
        (0b11, 0b10 | 0b11) => {
            let Some(what) = What::single(w) else {
                return anything(m);
            };
            let by = i64::from(w.bits(21, 10)) << what.scale();
            let base = read_sp(w.rn(), 64, m);
            let place = offset(base, by, m);
            what.transfer(w.rd(), place, m);
        }
        (0b11, _) => single(w, m),
        _ => anything(m),
    }
}

/// What is moved between a register and memory.
#[derive(Clone, Copy)]
enum What {
    /// So many bytes of a general register into memory.
    Store(u8),
    /// So many bytes from memory, the rest cleared.
    Load(u8),
    /// The same, the sign extended to so many bits.
    LoadSigned(u8, u8),
    /// So many bytes of a vector register into memory.
    StoreVector(u8),
    /// So many bytes from memory into a vector register, the rest cleared.
    LoadVector(u8),
    /// Nothing: a hint.
    Prefetch,
}

impl What {
    /// By the fields `size`, `V` and `opc` of loads and stores of one register.
    fn single(w: Word) -> Option<What> {
        let size = w.bits(31, 30);
        let bytes = 1u8 << size;
        Some(match (w.bit(26), w.bits(23, 22)) {
            (false, 0b00) => What::Store(bytes),
            (false, 0b01) => What::Load(bytes),
            (false, 0b10) if size == 3 => What::Prefetch,
            (false, 0b10) => What::LoadSigned(bytes, 64),
            (false, _) if size < 2 => What::LoadSigned(bytes, 32),
            (true, 0b00) => What::StoreVector(bytes),
            (true, 0b01) => What::LoadVector(bytes),
            (true, 0b10) if size == 0 => What::StoreVector(16),
            (true, 0b11) if size == 0 => What::LoadVector(16),
            _ => return None,
        })
    }

    /// By how many bits an immediate offset is shifted.
    fn scale(self) -> u32 {
        match self {
            What::Store(bytes)
            | What::Load(bytes)
            | What::LoadSigned(bytes, _)
            | What::StoreVector(bytes)
            | What::LoadVector(bytes) => bytes.ilog2(),
            What::Prefetch => 3,
        }
    }

    fn transfer<M: Machine>(self, n: u8, place: M::V, m: &mut M) {
        match self {
            What::Store(bytes) => {
                let v = read(n, bytes * 8, m);
                m.store(place, bytes, v);
            }
            What::Load(bytes) => {
                let v = m.load(place, bytes);
                write(n, 64, v, m);
            }
            What::LoadSigned(bytes, bits) => {
                let v = m.load(place, bytes);
                let v = m.sign_extend(v, bytes * 8);
                write(n, bits, v, m);
            }
            What::StoreVector(bytes) => {
                for (part, size) in parts(bytes) {
                    let v = m.lane(Lane(n, part));
                    let v = match size {
                        8 => v,
                        _ => m.zero_extend(v, size * 8),
                    };
                    let place = offset(place, i64::from(part) * 8, m);
                    m.store(place, size, v);
                }
            }
            What::LoadVector(bytes) => {
                let zero = m.constant(0);
                let mut lanes = [zero; LANES as usize];
                for (part, size) in parts(bytes) {
                    let place = offset(place, i64::from(part) * 8, m);
                    lanes[usize::from(part)] = m.load(place, size);
                }
                for (part, v) in (0..).zip(lanes) {
                    m.put_lane(Lane(n, part), v);
                }
            }
            What::Prefetch => {}
        }
    }
}

/// The parts of a vector register in so many bytes, and the bytes of each.
fn parts(bytes: u8) -> impl Iterator<Item = (u8, u8)> {
    (0..bytes.div_ceil(8)).map(move |part| (part, bytes.min(8)))
}

fn literal<M: Machine>(w: Word, at: u64, m: &mut M) {
    let place = m.constant(at.wrapping_add_signed(w.signed(23, 5) * 4));
    let what = match (w.bit(26), w.bits(31, 30)) {
        (false, 0b00) => What::Load(4),
        (false, 0b01) => What::Load(8),
        (false, 0b10) => What::LoadSigned(4, 64),
        (false, _) => What::Prefetch,
        (true, size @ 0..=2) => What::LoadVector(4 << size),
        _ => return anything(m),
    };
    what.transfer(w.rd(), place, m);
}

/// One register: with an offset that is not scaled, before or after which the base moves, or with
/// a register as offset.
fn single<M: Machine>(w: Word, m: &mut M) {
    let base = read_sp(w.rn(), 64, m);
    if w.bit(21) {
        return match w.bits(11, 10) {
            0b10 => indexed(w, base, m),
            0b00 => atomic(w, m),
            _ => checked(w, base, m),
        };
    }
    let Some(what) = What::single(w) else {
        return anything(m);
    };
    let moved = offset(base, w.signed(20, 12), m);
    match w.bits(11, 10) {
        // `ldur`; `ldtr`, which is the same for a program.
        0b00 => what.transfer(w.rd(), moved, m),
        0b10 if !w.bit(26) => what.transfer(w.rd(), moved, m),
        0b01 if !matches!(what, What::Prefetch) => {
            write_sp(w.rn(), 64, moved, m);
            what.transfer(w.rd(), base, m);
        }
        0b11 if !matches!(what, What::Prefetch) => {
            write_sp(w.rn(), 64, moved, m);
            what.transfer(w.rd(), moved, m);
        }
        _ => anything(m),
    }
}

fn indexed<M: Machine>(w: Word, base: M::V, m: &mut M) {
    let Some(what) = What::single(w) else {
        return anything(m);
    };
    let option = w.bits(15, 13);
    if option & 0b010 == 0 {
        // `rprfm` has other options.
        return match what {
            What::Prefetch => {}
            _ => anything(m),
        };
    }
    let shift = if w.bit(12) { what.scale() as u8 } else { 0 };
    let index = register::extended(w.rm(), option, shift, m);
    let place = m.binary(Binary::Add, base, index);
    what.transfer(w.rd(), place, m);
}

/// `ldraa`, `ldrab`: the base is checked, and keeps its value.
fn checked<M: Machine>(w: Word, base: M::V, m: &mut M) {
    if w.bits(31, 30) != 0b11 || w.bit(26) {
        return anything(m);
    }
    let by = w.signed(20, 12) & 0x1ff | if w.bit(22) { -512 } else { 0 };
    let place = offset(base, by * 8, m);
    if w.bit(11) {
        write_sp(w.rn(), 64, place, m);
    }
    What::Load(8).transfer(w.rd(), place, m);
}

/// `ldapur`, `stlur` and those that extend the sign.
fn unscaled<M: Machine>(w: Word, m: &mut M) {
    let Some(what) = What::single(w) else {
        return anything(m);
    };
    let base = read_sp(w.rn(), 64, m);
    let place = offset(base, w.signed(20, 12), m);
    what.transfer(w.rd(), place, m);
}

fn pair<M: Machine>(w: Word, m: &mut M) {
    let load = w.bit(22);
    let mode = w.bits(24, 23);
    let (what, bytes) = match (w.bit(26), w.bits(31, 30), load) {
        (false, 0b00, true) => (What::Load(4), 4),
        (false, 0b00, false) => (What::Store(4), 4),
        (false, 0b01, true) if mode != 0 => (What::LoadSigned(4, 64), 4),
        // `stgp`: two words and a tag.
        (false, 0b01, false) if mode != 0 => (What::Store(8), GRANULE),
        (false, 0b10, true) => (What::Load(8), 8),
        (false, 0b10, false) => (What::Store(8), 8),
        (true, size @ 0..=2, true) => (What::LoadVector(4 << size), 4 << size),
        (true, size @ 0..=2, false) => (What::StoreVector(4 << size), 4 << size),
        _ => return anything(m),
    };
    let base = read_sp(w.rn(), 64, m);
    let moved = offset(base, w.signed(21, 15) * bytes, m);
    let place = if mode == 0b01 { base } else { moved };
    let second = offset(
        place,
        bytes.min(if what.scale() == 3 { 8 } else { bytes }),
        m,
    );
    // What is loaded is loaded before any register changes.
    match what {
        What::Load(size) => {
            let (a, b) = (m.load(place, size), m.load(second, size));
            write_back(w, mode, moved, m);
            write(w.rd(), 64, a, m);
            write(w.ra(), 64, b, m);
        }
        What::LoadSigned(size, bits) => {
            let (a, b) = (m.load(place, size), m.load(second, size));
            let (a, b) = (m.sign_extend(a, size * 8), m.sign_extend(b, size * 8));
            write_back(w, mode, moved, m);
            write(w.rd(), bits, a, m);
            write(w.ra(), bits, b, m);
        }
        _ => {
            // A push first makes room: what lies below the stack pointer is nobody's.
            if mode == 0b11 && Reg(w.rn()) == SP {
                write_back(w, mode, moved, m);
                what.transfer(w.rd(), place, m);
                what.transfer(w.ra(), second, m);
            } else {
                what.transfer(w.rd(), place, m);
                what.transfer(w.ra(), second, m);
                write_back(w, mode, moved, m);
            }
        }
    }
}

fn write_back<M: Machine>(w: Word, mode: u32, moved: M::V, m: &mut M) {
    if mode & 1 != 0 {
        write_sp(w.rn(), 64, moved, m);
    }
}

/// Exclusives, ordered loads and stores, compare and swap.
fn exclusive<M: Machine>(w: Word, m: &mut M) {
    let bytes = 1u8 << w.bits(31, 30);
    let base = read_sp(w.rn(), 64, m);
    let (load, second) = (w.bit(22), w.bit(21));
    match (w.bit(23), second) {
        // `stxr`, `ldxr`: a store may fail.
        (false, false) if load => What::Load(bytes).transfer(w.rd(), base, m),
        (false, false) => {
            store_or_not(bytes, w.rd(), base, m);
            let v = m.opaque(0);
            write(w.rm(), 32, v, m);
        }
        // `stxp`, `ldxp`.
        (false, true) if w.bit(31) => {
            let next = offset(base, i64::from(bytes), m);
            if load {
                let (a, b) = (m.load(base, bytes), m.load(next, bytes));
                write(w.rd(), 64, a, m);
                write(w.ra(), 64, b, m);
            } else {
                store_or_not(bytes, w.rd(), base, m);
                store_or_not(bytes, w.ra(), next, m);
                let v = m.opaque(0);
                write(w.rm(), 32, v, m);
            }
        }
        // `casp`: pairs of registers, the first of each even.
        (false, true) if w.ra() == 31 => {
            let bytes = 4 << w.bits(30, 30);
            for n in [0, 1] {
                let place = offset(base, i64::from(n * bytes), m);
                swap_if(bytes, w.rm() & !1 | n, w.rd() & !1 | n, n, place, m);
            }
        }
        // `stlr`, `ldar`, and the same with limited order.
        (true, false) if load => What::Load(bytes).transfer(w.rd(), base, m),
        (true, false) => What::Store(bytes).transfer(w.rd(), base, m),
        // `cas`.
        (true, true) if w.ra() == 31 => swap_if(bytes, w.rm(), w.rd(), 0, base, m),
        _ => anything(m),
    }
}

/// Stores a register, or leaves memory as it is.
fn store_or_not<M: Machine>(bytes: u8, n: u8, place: M::V, m: &mut M) {
    let new = read(n, bytes * 8, m);
    let old = m.load(place, bytes);
    let stored = m.opaque(1);
    let v = m.select(stored, new, old);
    m.store(place, bytes, v);
}

/// Stores `new` if memory holds what `compared` does, which gets what memory held.
fn swap_if<M: Machine>(bytes: u8, compared: u8, new: u8, index: u8, place: M::V, m: &mut M) {
    let new = read(new, bytes * 8, m);
    let old = m.load(place, bytes);
    let equal = m.opaque(index);
    let v = m.select(equal, new, old);
    m.store(place, bytes, v);
    write(compared, 64, old, m);
}

/// Atomic operations on memory, and `ldapr`.
fn atomic<M: Machine>(w: Word, m: &mut M) {
    let base = read_sp(w.rn(), 64, m);
    let bytes = 1u8 << w.bits(31, 30);
    let (swap, opc) = (w.bit(15), w.bits(14, 12));
    if w.bit(26) {
        // Sums of floating point.
        m.store_unknown(base);
        vector::lose(w.rm(), m);
        return vector::forget(w.rd(), m);
    }
    if (swap, opc) == (true, 0b100) {
        return What::Load(bytes).transfer(w.rd(), base, m);
    }
    if swap && opc != 0 {
        return blocks(w, base, m);
    }
    let old = m.load(base, bytes);
    let v = read(w.rm(), bytes * 8, m);
    let new = match (swap, opc) {
        (true, _) => v,
        (false, 0b000) => m.binary(Binary::Add, old, v),
        (false, 0b001) => {
            let v = with(Binary::Xor, v, u64::MAX, m);
            m.binary(Binary::And, old, v)
        }
        (false, 0b010) => m.binary(Binary::Xor, old, v),
        (false, 0b011) => m.binary(Binary::Or, old, v),
        _ => {
            // The smaller or the greater.
            let which = m.opaque(0);
            m.select(which, v, old)
        }
    };
    let new = match bytes {
        8 => new,
        _ => m.zero_extend(new, bytes * 8),
    };
    m.store(base, bytes, new);
    write(w.rd(), 64, old, m);
}

/// `ld64b`, `st64b*`: eight registers; `rcw*`: words of page tables, which need not be told apart.
fn blocks<M: Machine>(w: Word, base: M::V, m: &mut M) {
    if w.bits(31, 30) != 0b11 {
        return anything(m);
    }
    m.store_unknown(base);
    m.read_unknown(base, Some(64));
    for n in 0..8 {
        let n = w.rd().wrapping_add(n) & 31;
        let v = read(n, 64, m);
        m.lose(v);
        let v = m.opaque(n);
        write(n, 64, v, m);
    }
    let v = m.opaque(32);
    write(w.rm(), 64, v, m);
}

/// Tags of memory: `stg` and its like, which move their base as stores do, and may clear memory;
/// `ldg`.
fn tags<M: Machine>(w: Word, m: &mut M) {
    let base = read_sp(w.rn(), 64, m);
    let moved = offset(base, w.signed(20, 12) * GRANULE, m);
    let (opc, mode) = (w.bits(23, 22), w.bits(11, 10));
    if mode == 0 {
        // `ldg` puts a tag into a pointer; others move many tags, and are for the kernel.
        return match opc {
            0b01 => {}
            _ => anything(m),
        };
    }
    let place = if mode == 0b01 { base } else { moved };
    // `stzg`, `stz2g`.
    if opc & 1 != 0 {
        m.store_unknown(place);
    }
    if mode & 1 != 0 {
        write_sp(w.rn(), 64, moved, m);
    }
}

/// `cpy*`, `set*`: memory copied and filled, in three instructions, each of which may do any part of
/// it.
fn copy_memory<M: Machine>(w: Word, m: &mut M) {
    let (to, from, size) = (w.rd(), w.rm(), w.rn());
    let place = read(to, 64, m);
    m.store_unknown(place);
    let fill = w.bits(23, 22) == 0b11;
    let source = read(from, 64, m);
    match fill {
        true => m.lose(source),
        false => m.read_unknown(source, None),
    }
    for (index, n) in (0..).zip([to, size, from]) {
        if n != from || !fill {
            let v = m.opaque(index);
            write(n, 64, v, m);
        }
    }
    m.forget_flags();
}

/// `ld1`–`ld4`, `st1`–`st4`: several structures, or one part of each register.
fn structures<M: Machine>(w: Word, m: &mut M) {
    let single = w.bit(24);
    let post = w.bit(23);
    if w.bit(31) || !post && w.bits(20, 16) != 0 && !single {
        return anything(m);
    }
    let bytes = if w.bit(30) { 16 } else { 8 };
    let load = w.bit(22);
    let base = read_sp(w.rn(), 64, m);
    let (count, whole) = match (single, w.bits(15, 12)) {
        (false, 0b0111) => (1, true),
        (false, 0b1010) => (2, true),
        (false, 0b0110) => (3, true),
        (false, 0b0010) => (4, true),
        (false, 0b1000) => (2, false),
        (false, 0b0100) => (3, false),
        (false, 0b0000) => (4, false),
        (false, _) => return anything(m),
        (true, _) => (1 + w.small(13, 13) * 2 + w.small(21, 21), false),
    };
    let register = |k: u8| (w.rd() + k) & 31;
    let extent = match single {
        false => i64::from(bytes * count),
        true => match w.bits(15, 14) {
            0b00 => i64::from(count),
            0b01 => i64::from(count) * 2,
            0b10 if w.bits(11, 10) & 1 == 0 => i64::from(count) * 4,
            0b10 => i64::from(count) * 8,
            _ => i64::from(count) << w.bits(11, 10),
        },
    };
    for k in 0..count {
        let place = offset(base, i64::from(k * bytes), m);
        match (whole, load) {
            (true, true) => What::LoadVector(bytes).transfer(register(k), place, m),
            (true, false) => What::StoreVector(bytes).transfer(register(k), place, m),
            (false, true) => vector::forget(register(k), m),
            (false, false) => vector::lose(register(k), m),
        }
    }
    match (whole, load) {
        (true, _) => {}
        (false, true) => m.read_unknown(base, Some(extent as u64)),
        (false, false) => m.store_unknown(base),
    }
    if post {
        let moved = match w.rm() {
            31 => offset(base, extent, m),
            n => {
                let by = read(n, 64, m);
                m.binary(Binary::Add, base, by)
            }
        };
        write_sp(w.rn(), 64, moved, m);
    }
}
