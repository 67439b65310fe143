//! What other processors see at once: exclusives, ordered accesses, swaps and operations on memory.

use super::super::word::Word;
use super::super::{offset, read, read_sp, vector, with, write, write_sp};
use super::{What, blocks, unknown};
use crate::isa::{Binary, Machine};

/// `stlr` to below its base, `ldapr` from its base, which both move.
pub(super) fn ordered<M: Machine>(w: Word, m: &mut M) {
    let bytes = 1u8 << w.bits(31, 30);
    let base = read_sp(w.rn(), 64, m);
    if w.bit(22) {
        let moved = offset(base, bytes.into(), m);
        write_sp(w.rn(), 64, moved, m);
        What::Load(bytes).transfer(w.rd(), base, m);
    } else {
        let moved = offset(base, -i64::from(bytes), m);
        write_sp(w.rn(), 64, moved, m);
        What::Store(bytes).transfer(w.rd(), moved, m);
    }
}

/// `swpp`, `ldclrp`, `ldsetp`: two words at once.
pub(super) fn atomic_pair<M: Machine>(w: Word, m: &mut M) {
    let op = match w.bits(15, 12) {
        0b1000 => None,
        0b0001 => Some(Binary::And),
        0b0011 => Some(Binary::Or),
        _ => return unknown(w, m),
    };
    let base = read_sp(w.rn(), 64, m);
    let new = [w.rd(), w.rm()].map(|n| read(n, 64, m));
    for ((n, new), at) in [w.rd(), w.rm()].into_iter().zip(new).zip([0, 8]) {
        let place = offset(base, at, m);
        let old = m.load(place, 8);
        let new = match op {
            None => new,
            Some(Binary::And) => {
                let kept = with(Binary::Xor, new, u64::MAX, m);
                m.binary(Binary::And, old, kept)
            }
            Some(op) => m.binary(op, old, new),
        };
        m.store(place, 8, new);
        write(n, 64, old, m);
    }
}

/// Exclusives, ordered loads and stores, compare and swap.
pub(super) fn exclusive<M: Machine>(w: Word, m: &mut M) {
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
        _ => unknown(w, m),
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
pub(super) fn atomic<M: Machine>(w: Word, m: &mut M) {
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
