//! Loads and stores (C4.1, "Loads and Stores").

mod atomic;

use super::word::Word;
use super::{LANES, SP, anything, offset, read, read_sp, register, vector, write, write_sp};
use crate::isa::{Binary, Lane, Machine, Reg};
use atomic::{atomic, atomic_pair, exclusive, ordered};

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
        (0b01, _) if !w.bit(21) && w.bits(11, 10) == 0 && !vector => unscaled(w, m),
        (0b01, _) if !vector && w.bits(21, 10) == 0b10 && w.bit(31) && w.bit(23) => ordered(w, m),
        (0b01, _) if !vector && w.bits(31, 30) == 0 && w.bit(21) && w.bits(11, 10) == 0 => {
            atomic_pair(w, m);
        }
        // `ldapur`, `stlur` of vector registers.
        (0b01, _) if !w.bit(21) && w.bits(11, 10) == 0b10 && vector => unscaled(w, m),
        (0b10, _) => pair(w, m),
        (0b11, 0b10 | 0b11) => {
            let Some(what) = What::single(w) else {
                return unknown(w, m);
            };
            let by = i64::from(w.bits(21, 10)) << what.scale();
            let base = read_sp(w.rn(), 64, m);
            let place = offset(base, by, m);
            what.transfer(w.rd(), place, m);
        }
        (0b11, _) => single(w, m),
        _ => unknown(w, m),
    }
}

/// A load or a store that is not modelled, which may move the stack pointer if that is its base.
fn unknown<M: Machine>(w: Word, m: &mut M) {
    anything(m);
    if Reg(w.rn()) == SP {
        let v = m.opaque(0);
        m.put(SP, v);
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
        _ => return unknown(w, m),
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
        return unknown(w, m);
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
        _ => unknown(w, m),
    }
}

fn indexed<M: Machine>(w: Word, base: M::V, m: &mut M) {
    let Some(what) = What::single(w) else {
        return unknown(w, m);
    };
    let option = w.bits(15, 13);
    if option & 0b010 == 0 {
        // `rprfm` has other options.
        return match what {
            What::Prefetch => {}
            _ => unknown(w, m),
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
        return unknown(w, m);
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
        return unknown(w, m);
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
        // `ldtp`, `sttp`, which are the same for a program, count as they do.
        (false, 0b10 | 0b11, true) => (What::Load(8), 8),
        (false, 0b10 | 0b11, false) => (What::Store(8), 8),
        (true, size, load) => {
            let bytes = 4u8 << size.min(2);
            let what = match load {
                true => What::LoadVector(bytes),
                false => What::StoreVector(bytes),
            };
            (what, i64::from(bytes))
        }
        _ => return unknown(w, m),
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

/// `ld64b`, `st64b*`: eight registers; `rcw*`: words of page tables, which need not be told apart.
fn blocks<M: Machine>(w: Word, base: M::V, m: &mut M) {
    if w.bits(31, 30) != 0b11 {
        return unknown(w, m);
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
            _ => unknown(w, m),
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
        return unknown(w, m);
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
        (false, _) => return unknown(w, m),
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

#[cfg(test)]
mod tests {
    use crate::isa::text::check;

    #[test]
    fn loads_and_stores() {
        check(&[
            ("ldr x0, [x1, #8]", 0xf940_0420, "x0 = [(x1 + 8)]8"),
            ("ldr w0, [sp, #4]", 0xb940_07e0, "x0 = [(sp + 4)]4"),
            ("ldrb w0, [x1, #1]", 0x3940_0420, "x0 = [(x1 + 1)]1"),
            ("ldrh w0, [x1, #2]", 0x7940_0420, "x0 = [(x1 + 2)]2"),
            ("ldrsb x0, [x1]", 0x3980_0020, "x0 = s8([x1]1)"),
            ("ldrsh w0, [x1]", 0x79c0_0020, "x0 = u32(s16([x1]2))"),
            ("ldrsw x0, [x1, #4]", 0xb980_0420, "x0 = s32([(x1 + 4)]4)"),
            ("str x0, [sp, #16]", 0xf900_0be0, "[(sp + 0x10)]8 = x0"),
            ("str wzr, [x1]", 0xb900_003f, "[x1]4 = 0"),
            ("strb w2, [x3]", 0x3900_0062, "[x3]1 = u8(x2)"),
            ("ldur x0, [x1, #-8]", 0xf85f_8020, "x0 = [(x1 + -0x8)]8"),
            (
                "stur w0, [x1, #-4]",
                0xb81f_c020,
                "[(x1 + -0x4)]4 = u32(x0)",
            ),
            ("ldr x0, [x1], #8", 0xf840_8420, "x1 = (x1 + 8); x0 = [x1]8"),
            (
                "ldr x0, [x1, #8]!",
                0xf840_8c20,
                "x1 = (x1 + 8); x0 = [(x1 + 8)]8",
            ),
            (
                "str x0, [sp, #-16]!",
                0xf81f_0fe0,
                "sp = (sp + -0x10); [(sp + -0x10)]8 = x0",
            ),
            ("ldr x0, [x1, x2]", 0xf862_6820, "x0 = [(x1 + x2)]8"),
            (
                "ldr x0, [x1, x2, lsl #3]",
                0xf862_7820,
                "x0 = [(x1 + (x2 << 3))]8",
            ),
            (
                "ldrb w0, [x1, w2, uxtw]",
                0x3862_4820,
                "x0 = [(x1 + u32(x2))]1",
            ),
            (
                "ldrsw x0, [x1, w2, sxtw #2]",
                0xb8a2_d820,
                "x0 = s32([(x1 + (s32(x2) << 2))]4)",
            ),
            (
                "str w0, [x1, x2, lsl #2]",
                0xb822_7820,
                "[(x1 + (x2 << 2))]4 = u32(x0)",
            ),
            ("ldr x0, .+0x20", 0x5800_0100, "x0 = [0x1020]8"),
            ("ldrsw x0, .+0x20", 0x9800_0100, "x0 = s32([0x1020]4)"),
            (
                "ldr q0, .+0x20",
                0x9c00_0100,
                "v0.0 = [0x1020]8; v0.1 = [(0x1020 + 8)]8",
            ),
            ("prfm pldl1keep, [x0]", 0xf980_0000, ""),
            (
                "ldp x0, x1, [sp]",
                0xa940_07e0,
                "x0 = [sp]8; x1 = [(sp + 8)]8",
            ),
            (
                "ldp x29, x30, [sp], #32",
                0xa8c2_7bfd,
                "sp = (sp + 0x20); x29 = [sp]8; x30 = [(sp + 8)]8",
            ),
            (
                "stp x29, x30, [sp, #-32]!",
                0xa9be_7bfd,
                "sp = (sp + -0x20); [(sp + -0x20)]8 = x29; [((sp + -0x20) + 8)]8 = x30",
            ),
            (
                "ldp w0, w1, [x2, #8]",
                0x2941_0440,
                "x0 = [(x2 + 8)]4; x1 = [((x2 + 8) + 4)]4",
            ),
            (
                "ldpsw x0, x1, [x2]",
                0x6940_0440,
                "x0 = s32([x2]4); x1 = s32([(x2 + 4)]4)",
            ),
            (
                "ldp x1, x2, [x1]",
                0xa940_0821,
                "x1 = [x1]8; x2 = [(x1 + 8)]8",
            ),
            (
                "stp xzr, xzr, [x0, #16]",
                0xa901_7c1f,
                "[(x0 + 0x10)]8 = 0; [((x0 + 0x10) + 8)]8 = 0",
            ),
            ("ldxr w0, [x1]", 0x885f_7c20, "x0 = [x1]4"),
            (
                "stxr w0, x1, [x2]",
                0xc800_7c41,
                "[x2]8 = (?1 ? x1 : [x2]8); x0 = u32(?0)",
            ),
            (
                "ldaxp x0, x1, [x2]",
                0xc87f_8440,
                "x0 = [x2]8; x1 = [(x2 + 8)]8",
            ),
            (
                "stlxp w0, w1, w2, [x3]",
                0x8820_8861,
                "[x3]4 = (?1 ? u32(x1) : [x3]4); [(x3 + 4)]4 = (?1 ? u32(x2) : [(x3 + 4)]4); x0 = u32(?0)",
            ),
            ("ldar x0, [x1]", 0xc8df_fc20, "x0 = [x1]8"),
            ("stlr w0, [x1]", 0x889f_fc20, "[x1]4 = u32(x0)"),
            ("ldapr x0, [x1]", 0xf8bf_c020, "x0 = [x1]8"),
            ("ldapur w0, [x1, #4]", 0x9940_4020, "x0 = [(x1 + 4)]4"),
            ("ldapursb x0, [x1, #4]", 0x1980_4020, "x0 = s8([(x1 + 4)]1)"),
            (
                "ldadd x0, x1, [x2]",
                0xf820_0041,
                "[x2]8 = ([x2]8 + x0); x1 = [x2]8",
            ),
            (
                "ldclr w0, w1, [x2]",
                0xb820_1041,
                "[x2]4 = u32(([x2]4 & (u32(x0) ^ -0x1))); x1 = [x2]4",
            ),
            (
                "ldset x0, x1, [x2]",
                0xf820_3041,
                "[x2]8 = ([x2]8 | x0); x1 = [x2]8",
            ),
            (
                "ldeorb w0, w1, [x2]",
                0x3820_2041,
                "[x2]1 = u8(([x2]1 ^ u8(x0))); x1 = [x2]1",
            ),
            (
                "ldumax x0, x1, [x2]",
                0xf820_6041,
                "[x2]8 = (?0 ? x0 : [x2]8); x1 = [x2]8",
            ),
            ("swp x0, x1, [x2]", 0xf820_8041, "[x2]8 = x0; x1 = [x2]8"),
            (
                "stadd w0, [x2]",
                0xb820_005f,
                "[x2]4 = u32(([x2]4 + u32(x0)))",
            ),
            (
                "cas x0, x1, [x2]",
                0xc8a0_7c41,
                "[x2]8 = (?0 ? x1 : [x2]8); x0 = [x2]8",
            ),
            (
                "casp x0, x1, x2, x3, [x4]",
                0x4820_7c82,
                "[x4]8 = (?0 ? x2 : [x4]8); x0 = [x4]8; [(x4 + 8)]8 = (?1 ? x3 : [(x4 + 8)]8); x1 = [(x4 + 8)]8",
            ),
            ("ldraa x0, [x1, #-8]", 0xf87f_f420, "x0 = [(x1 + -0x8)]8"),
            (
                "ldraa x0, [x1, #8]!",
                0xf820_1c20,
                "x1 = (x1 + 8); x0 = [(x1 + 8)]8",
            ),
            ("ldr d0, [x1]", 0xfd40_0020, "v0.0 = [x1]8; v0.1 = 0"),
            (
                "ldr q1, [x1, #16]",
                0x3dc0_0421,
                "v1.0 = [(x1 + 0x10)]8; v1.1 = [((x1 + 0x10) + 8)]8",
            ),
            (
                "str q2, [x1]",
                0x3d80_0022,
                "[x1]8 = v2.0; [(x1 + 8)]8 = v2.1",
            ),
            ("str s2, [x1]", 0xbd00_0022, "[x1]4 = u32(v2.0)"),
            (
                "stp q0, q1, [sp, #32]",
                0xad01_07e0,
                "[(sp + 0x20)]8 = v0.0; [((sp + 0x20) + 8)]8 = v0.1; [((sp + 0x20) + 0x10)]8 = v1.0; [(((sp + 0x20) + 0x10) + 8)]8 = v1.1",
            ),
            (
                "ldp d8, d9, [sp], #16",
                0x6cc1_27e8,
                "v8.0 = [sp]8; v8.1 = 0; v9.0 = [(sp + 8)]8; v9.1 = 0; sp = (sp + 0x10)",
            ),
            ("stur d0, [x1, #-8]", 0xfc1f_8020, "[(x1 + -0x8)]8 = v0.0"),
            (
                "ld1 {v0.16b, v1.16b}, [x0], #32",
                0x4cdf_a000,
                "v0.0 = [x0]8; v0.1 = [(x0 + 8)]8; v1.0 = [(x0 + 0x10)]8; v1.1 = [((x0 + 0x10) + 8)]8; x0 = (x0 + 0x20)",
            ),
            ("st1 {v2.8b}, [x0]", 0x0c00_7002, "[x0]8 = v2.0"),
            (
                "ld2 {v0.4s, v1.4s}, [x0]",
                0x4c40_8800,
                "v0.0 = ?; v0.1 = ?; v1.0 = ?; v1.1 = ?; lose [x0]32",
            ),
            (
                "st4 {v0.2d, v1.2d, v2.2d, v3.2d}, [x0]",
                0x4c00_0c00,
                "lose v0.0; lose v0.1; lose v1.0; lose v1.1; lose v2.0; lose v2.1; lose v3.0; lose v3.1; [x0] = ?",
            ),
            (
                "ld1 {v0.s}[1], [x0], x2",
                0x0dc2_9000,
                "v0.0 = ?; v0.1 = ?; lose [x0]4; x0 = (x0 + x2)",
            ),
            (
                "st1 {v0.d}[1], [x0]",
                0x4d00_8400,
                "lose v0.0; lose v0.1; [x0] = ?",
            ),
            (
                "ld1r {v0.4s}, [x0]",
                0x4d40_c800,
                "v0.0 = ?; v0.1 = ?; lose [x0]4",
            ),
            ("st2g x0, [x1]", 0xd9a0_0820, ""),
            (
                "stzg x0, [x1], #16",
                0xd960_1420,
                "[x1] = ?; x1 = (x1 + 0x10)",
            ),
            ("ldg x0, [x1]", 0xd960_0020, ""),
            (
                "stgp x0, x1, [x2], #16",
                0x6880_8440,
                "[x2]8 = x0; [(x2 + 8)]8 = x1; x2 = (x2 + 0x10)",
            ),
            (
                "cpyp [x0]!, [x1]!, x2!",
                0x1d01_0440,
                "[x0] = ?; lose [x1]?; x0 = ?0; x2 = ?1; x1 = ?2; flags = ?",
            ),
            (
                "setp [x0]!, x1!, x2",
                0x19c2_0420,
                "[x0] = ?; lose x2; x0 = ?0; x1 = ?1; flags = ?",
            ),
            (
                "ld64b x0, [x8]",
                0xf83f_d100,
                "[x8] = ?; lose [x8]64; lose x0; x0 = ?0; lose x1; x1 = ?1; lose x2; x2 = ?2; lose x3; x3 = ?3; lose x4; x4 = ?4; lose x5; x5 = ?5; lose x6; x6 = ?6; lose x7; x7 = ?7",
            ),
            (
                "st64b x0, [x8]",
                0xf83f_9100,
                "[x8] = ?; lose [x8]64; lose x0; x0 = ?0; lose x1; x1 = ?1; lose x2; x2 = ?2; lose x3; x3 = ?3; lose x4; x4 = ?4; lose x5; x5 = ?5; lose x6; x6 = ?6; lose x7; x7 = ?7",
            ),
        ]);
    }
}
