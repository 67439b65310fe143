//! Data processing on registers (C4.1, "Data Processing -- Register").

use super::word::Word;
use super::{anything, condition, narrow, read, read_sp, rotate, with, write, write_sp};
use crate::isa::{Binary, Compare, Condition, Machine};

pub(super) fn lift<M: Machine>(w: Word, m: &mut M) {
    match (w.bit(28), w.bits(24, 21)) {
        (false, 0b0000..=0b0111) => logical(w, m),
        (false, op) if op & 1 == 0 => add_shifted(w, m),
        (false, _) => add_extended(w, m),
        (true, 0b0000) => carry(w, m),
        (true, 0b0010) => compare_if(w, m),
        (true, 0b0100) => choose(w, m),
        (true, 0b0110) if w.bit(30) => one_source(w, m),
        (true, 0b0110) => two_sources(w, m),
        (true, 0b1000..=0b1111) => three_sources(w, m),
        _ => anything(m),
    }
}

/// A result that is not modelled, made of what these registers hold.
pub(super) fn opaque<M: Machine>(to: u8, from: &[u8], m: &mut M) {
    for &n in from {
        let v = read(n, 64, m);
        m.lose(v);
    }
    let v = m.opaque(0);
    write(to, 64, v, m);
}

/// A register, shifted or turned by a constant.
fn shifted<M: Machine>(w: Word, bits: u8, m: &mut M) -> M::V {
    let v = read(w.rm(), bits, m);
    let by = w.small(15, 10);
    if by == 0 {
        return v;
    }
    let amount = u64::from(by);
    match w.bits(23, 22) {
        0b00 => {
            let v = with(Binary::Shl, v, amount, m);
            narrow(v, bits, m)
        }
        0b01 => with(Binary::Shr, v, amount, m),
        0b10 => {
            let v = match bits {
                64 => v,
                _ => m.sign_extend(v, bits),
            };
            let v = with(Binary::Sar, v, amount, m);
            narrow(v, bits, m)
        }
        _ => rotate(v, by, bits, m),
    }
}

fn logical<M: Machine>(w: Word, m: &mut M) {
    let bits = w.width();
    if bits == 32 && w.bit(15) {
        return anything(m);
    }
    let (opc, inverted) = (w.bits(30, 29), w.bit(21));
    let mut b = shifted(w, bits, m);
    if inverted {
        b = with(Binary::Xor, b, u64::MAX >> (64 - bits), m);
    }
    // `mov`, `mvn`.
    if opc == 0b01 && w.rn() == 31 {
        return write(w.rd(), bits, b, m);
    }
    let a = read(w.rn(), bits, m);
    if opc == 0b11 && w.rd() == 31 {
        return m.compare(Compare::Bits, bits, a, b);
    }
    let same = w.rn() == w.rm() && w.bits(15, 10) == 0;
    let v = match opc {
        // `and r, r`; `eor r, r`.
        0b00 | 0b11 if same && !inverted => a,
        0b10 if same && !inverted => m.constant(0),
        _ => {
            let op = [Binary::And, Binary::Or, Binary::Xor, Binary::And][opc as usize];
            m.binary(op, a, b)
        }
    };
    if opc == 0b11 {
        m.compare(Compare::Bits, bits, v, v);
    }
    write(w.rd(), bits, v, m);
}

/// The end of an addition or a subtraction.
fn sum<M: Machine>(w: Word, a: M::V, b: M::V, sp: bool, m: &mut M) {
    let bits = w.width();
    let (sub, flags) = (w.bit(30), w.bit(29));
    if flags && sub {
        m.compare(Compare::Difference, bits, a, b);
        if w.rd() == 31 {
            return;
        }
    }
    let op = if sub { Binary::Sub } else { Binary::Add };
    let v = m.binary(op, a, b);
    let v = narrow(v, bits, m);
    if flags && !sub {
        m.compare(Compare::Result, bits, v, v);
    }
    match sp && !flags {
        true => write_sp(w.rd(), bits, v, m),
        false => write(w.rd(), bits, v, m),
    }
}

fn add_shifted<M: Machine>(w: Word, m: &mut M) {
    let bits = w.width();
    if w.bits(23, 22) == 0b11 || bits == 32 && w.bit(15) {
        return anything(m);
    }
    let a = read(w.rn(), bits, m);
    let b = shifted(w, bits, m);
    sum(w, a, b, false, m);
}

/// A register, extended from some of its bits and shifted left.
pub(super) fn extended<M: Machine>(n: u8, option: u32, shift: u8, m: &mut M) -> M::V {
    let v = read(n, 64, m);
    let v = match option {
        0b000 => m.zero_extend(v, 8),
        0b001 => m.zero_extend(v, 16),
        0b010 => m.zero_extend(v, 32),
        0b100 => m.sign_extend(v, 8),
        0b101 => m.sign_extend(v, 16),
        0b110 => m.sign_extend(v, 32),
        _ => v,
    };
    match shift {
        0 => v,
        _ => with(Binary::Shl, v, u64::from(shift), m),
    }
}

fn add_extended<M: Machine>(w: Word, m: &mut M) {
    let shift = w.small(12, 10);
    if w.bits(23, 22) != 0 || shift > 4 {
        return anything(m);
    }
    let bits = w.width();
    let a = read_sp(w.rn(), bits, m);
    let b = extended(w.rm(), w.bits(15, 13), shift, m);
    let b = narrow(b, bits, m);
    sum(w, a, b, true, m);
}

/// Operations on the carry and on single flags.
fn carry<M: Machine>(w: Word, m: &mut M) {
    match w.bits(15, 10) {
        // `adc`, `sbc`.
        0 => {
            opaque(w.rd(), &[w.rn(), w.rm()], m);
            if w.bit(29) {
                m.forget_flags();
            }
        }
        // `rmif`.
        op if op & 0b1_1111 == 1 && w.bits(31, 29) == 0b101 && !w.bit(4) => m.forget_flags(),
        // `setf8`, `setf16`.
        op if op & 0b1111 == 0b0010 && w.bits(31, 29) == 0b001 && w.bits(20, 15) == 0 => {
            m.forget_flags();
        }
        // `addpt`, `subpt`: the sum of an address and an offset, the check aside.
        op if op >> 3 == 0b001 && w.bit(31) && !w.bit(29) => {
            let a = read_sp(w.rn(), 64, m);
            let b = extended(w.rm(), 0b011, w.small(12, 10), m);
            sum(w, a, b, true, m);
        }
        _ => anything(m),
    }
}

/// `ccmp`, `ccmn`.
fn compare_if<M: Machine>(w: Word, m: &mut M) {
    if !w.bit(29) || w.bit(10) || w.bit(4) {
        return anything(m);
    }
    let bits = w.width();
    let a = read(w.rn(), bits, m);
    let number = w.bit(11).then(|| u64::from(w.bits(20, 16)));
    let (kind, b) = match (w.bit(30), number) {
        (true, Some(number)) => (Compare::Difference, m.constant(number)),
        (true, None) => (Compare::Difference, read(w.rm(), bits, m)),
        // As `cmn`.
        (false, Some(number @ 1..)) => {
            let negative = number.wrapping_neg() & (u64::MAX >> (64 - bits));
            (Compare::Difference, m.constant(negative))
        }
        (false, Some(_)) => (Compare::Result, a),
        (false, None) => {
            let b = read(w.rm(), bits, m);
            (Compare::Result, m.binary(Binary::Add, a, b))
        }
    };
    let a = if kind == Compare::Result { b } else { a };
    match (condition(w.bits(15, 12)), flags(w.bits(3, 0))) {
        (None, _) => m.compare(kind, bits, a, b),
        (Some(when), Some(otherwise)) => {
            let holds = m.condition(when);
            m.compare_if(holds, (kind, bits, a, b), otherwise);
        }
        (Some(_), None) => m.forget_flags(),
    }
}

/// An operation on 64 bits that leaves these flags: negative, zero, carry, overflow.
fn flags(nzcv: u32) -> Option<(Compare, u64, u64)> {
    const HIGHEST: u64 = i64::MAX as u64;
    const LOWEST: u64 = 1 << 63;
    let difference = |a, b| Some((Compare::Difference, a, b));
    match nzcv {
        0b0000 => difference(1, u64::MAX),
        0b0010 => difference(1, 0),
        0b0011 => difference(LOWEST, 1),
        // What it says of the carry is left open.
        0b0100 => Some((Compare::Bits, 0, 0)),
        0b0110 => difference(0, 0),
        0b1000 => difference(0, 1),
        0b1001 => difference(HIGHEST, u64::MAX),
        0b1010 => difference(u64::MAX, 0),
        // Of no subtraction.
        _ => None,
    }
}

/// `csel`, `csinc`, `csinv`, `csneg`.
fn choose<M: Machine>(w: Word, m: &mut M) {
    if w.bit(29) || w.bit(11) {
        return anything(m);
    }
    let bits = w.width();
    let kind = (w.bit(30), w.bit(10));
    let when = condition(w.bits(15, 12));
    // `cset`.
    if let (Some(when), (false, true), 31, 31) = (when, kind, w.rn(), w.rm()) {
        let v = m.condition(when.negated());
        // One bit, also where nothing is known of it.
        let v = m.zero_extend(v, 1);
        return write(w.rd(), 64, v, m);
    }
    let a = read(w.rn(), bits, m);
    let b = read(w.rm(), bits, m);
    let b = match kind {
        (false, false) => b,
        (false, true) => with(Binary::Add, b, 1, m),
        (true, false) => with(Binary::Xor, b, u64::MAX, m),
        (true, true) => {
            let zero = m.constant(0);
            m.binary(Binary::Sub, zero, b)
        }
    };
    let b = narrow(b, bits, m);
    let v = match when {
        None => a,
        Some(when) => {
            let holds = m.condition(when);
            m.select(holds, a, b)
        }
    };
    write(w.rd(), bits, v, m);
}

fn two_sources<M: Machine>(w: Word, m: &mut M) {
    let bits = w.width();
    let op = w.bits(15, 10);
    if w.bit(29) {
        // `subps`, `cmpp`.
        if bits == 64 && op == 0 {
            m.forget_flags();
            return opaque(w.rd(), &[w.rn(), w.rm()], m);
        }
        return anything(m);
    }
    match op {
        // `lslv`, `lsrv`, `asrv`: the amount counts modulo the width.
        0b001000..=0b001010 => {
            let mut v = read(w.rn(), bits, m);
            let by = read(w.rm(), bits, m);
            let by = with(Binary::And, by, u64::from(bits - 1), m);
            let op = match op {
                0b001000 => Binary::Shl,
                0b001001 => Binary::Shr,
                _ => {
                    if bits == 32 {
                        v = m.sign_extend(v, 32);
                    }
                    Binary::Sar
                }
            };
            let v = m.binary(op, v, by);
            write(w.rd(), bits, v, m);
        }
        // `irg`: a pointer with another tag, which is none of the address.
        0b000100 if bits == 64 => {
            let v = read_sp(w.rn(), 64, m);
            write_sp(w.rd(), 64, v, m);
        }
        // `udiv`, `sdiv`, `rorv`, `crc32*`, `smax` and its like; `subp`, `gmi`, `pacga`.
        0b000010 | 0b000011 | 0b001011 | 0b010000..=0b010111 | 0b011000..=0b011011 => {
            opaque(w.rd(), &[w.rn(), w.rm()], m);
        }
        0b000000 | 0b000101 | 0b001100 if bits == 64 => {
            // One of the operands can be the stack pointer, which goes nowhere by this.
            opaque(w.rd(), &[w.rn(), w.rm()], m);
        }
        _ => anything(m),
    }
}

fn one_source<M: Machine>(w: Word, m: &mut M) {
    match (w.bit(29), w.bits(20, 16), w.bits(15, 10)) {
        // `rbit`, `rev*`, `clz`, `cls`, `ctz`, `cnt`, `abs`.
        (false, 0, 0..=0b001000) => opaque(w.rd(), &[w.rn()], m),
        // Signing, checking and stripping of pointers, which keep their value; some of these act on
        // the return address alone.
        (false, 0b00001, _) if w.bit(31) => {}
        _ => anything(m),
    }
}

/// `madd`, `msub`, and those with longer results.
fn three_sources<M: Machine>(w: Word, m: &mut M) {
    let bits = w.width();
    let (op, sub) = (w.bits(23, 21), w.bit(15));
    if w.bits(30, 29) != 0 || op != 0 && bits == 32 {
        return anything(m);
    }
    let narrow_by = |n: u8, m: &mut M| {
        let v = read(n, 64, m);
        match op {
            0b001 => m.sign_extend(v, 32),
            0b101 => m.zero_extend(v, 32),
            _ => narrow(v, bits, m),
        }
    };
    match op {
        0b000 | 0b001 | 0b101 => {
            let (a, b) = (narrow_by(w.rn(), m), narrow_by(w.rm(), m));
            let mut v = m.binary(Binary::Mul, a, b);
            if w.ra() != 31 || sub {
                let c = read(w.ra(), bits, m);
                v = m.binary(if sub { Binary::Sub } else { Binary::Add }, c, v);
            }
            write(w.rd(), bits, v, m);
        }
        // `smulh`, `umulh`; with bit 15 `maddpt`, `msubpt`, whose group this is.
        0b010 | 0b110 if !sub => opaque(w.rd(), &[w.rn(), w.rm()], m),
        0b011 => opaque(w.rd(), &[w.rn(), w.rm(), w.ra()], m),
        _ => anything(m),
    }
}

/// What `cbz` and its like ask: whether a register is zero, the flags left alone.
pub(super) fn zero<M: Machine>(n: u8, bits: u8, when: Condition, m: &mut M) -> M::V {
    let v = read(n, bits, m);
    let zero = m.constant(0);
    m.test(when, Compare::Difference, bits, v, zero)
}

#[cfg(test)]
mod tests {
    use crate::isa::text::check;

    #[test]
    fn computes_with_registers() {
        check(&[
            ("mov x0, x19", 0xaa13_03e0, "x0 = x19"),
            ("mov w0, w1", 0x2a01_03e0, "x0 = u32(u32(x1))"),
            ("mov x0, xzr", 0xaa1f_03e0, "x0 = 0"),
            (
                "mvn w0, w1",
                0x2a21_03e0,
                "x0 = u32((u32(x1) ^ 0xffffffff))",
            ),
            ("and x0, x1, x2", 0x8a02_0020, "x0 = (x1 & x2)"),
            (
                "bic w0, w1, w2, lsr #3",
                0x0a62_0c20,
                "x0 = u32((u32(x1) & ((u32(x2) >> 3) ^ 0xffffffff)))",
            ),
            (
                "orr x0, x1, x2, ror #8",
                0xaac2_2020,
                "x0 = (x1 | ((x2 << 0x38) | (x2 >> 8)))",
            ),
            ("eor x0, x1, x1", 0xca01_0020, "x0 = 0"),
            ("tst x3, x3", 0xea03_007f, "flags = x3 & x3 : 64"),
            (
                "ands w0, w1, w1",
                0x6a01_0020,
                "flags = u32(x1) & u32(x1) : 32; x0 = u32(u32(x1))",
            ),
            ("add x0, x1, x2", 0x8b02_0020, "x0 = (x1 + x2)"),
            (
                "sub w0, w1, w2, asr #3",
                0x4b82_0c20,
                "x0 = u32(u32((u32(x1) - u32((s32(u32(x2)) >>> 3)))))",
            ),
            (
                "add x0, x1, w2, uxtw #2",
                0x8b22_4820,
                "x0 = (x1 + (u32(x2) << 2))",
            ),
            ("add sp, sp, x3", 0x8b23_63ff, "sp = (sp + x3)"),
            ("add x0, x1, w2, sxtb", 0x8b22_8020, "x0 = (x1 + s8(x2))"),
            ("cmp x0, x1", 0xeb01_001f, "flags = x0 - x1 : 64"),
            ("cmp x0, w1, sxtw", 0xeb21_c01f, "flags = x0 - s32(x1) : 64"),
            (
                "cmn w0, w1",
                0x2b01_001f,
                "flags = u32((u32(x0) + u32(x1))) : 32",
            ),
            ("neg w0, w1", 0x4b01_03e0, "x0 = u32(u32((0 - u32(x1))))"),
            (
                "adcs x0, x1, x2",
                0xba02_0020,
                "lose x1; lose x2; x0 = ?0; flags = ?",
            ),
            (
                "ccmp x0, #3, #4, ne",
                0xfa43_1804,
                "flags = (Ne ? x0 - 3 : 64 : 0 & 0 : 64)",
            ),
            (
                "ccmp w0, w1, #0, lt",
                0x7a41_b000,
                "flags = (Less ? u32(x0) - u32(x1) : 32 : 1 - -0x1 : 64)",
            ),
            (
                "ccmn x0, #1, #2, eq",
                0xba41_0802,
                "flags = (Eq ? x0 - -0x1 : 64 : 1 - 0 : 64)",
            ),
            (
                "ccmn x0, x1, #8, hi",
                0xba41_8008,
                "flags = (Above ? (x0 + x1) : 64 : 0 - 1 : 64)",
            ),
            ("ccmp x0, x1, #15, eq", 0xfa41_000f, "flags = ?"),
            ("csel x0, x1, x2, eq", 0x9a82_0020, "x0 = (Eq ? x1 : x2)"),
            ("cset w0, ne", 0x1a9f_07e0, "x0 = u1(Ne)"),
            (
                "csetm x0, lo",
                0xda9f_23e0,
                "x0 = (AboveEq ? 0 : (0 ^ -0x1))",
            ),
            (
                "cinc w0, w1, gt",
                0x1a81_d420,
                "x0 = u32((LessEq ? u32(x1) : u32((u32(x1) + 1))))",
            ),
            (
                "csneg x0, x1, x2, mi",
                0xda82_4420,
                "x0 = (Negative ? x1 : (0 - x2))",
            ),
            (
                "csinv w0, w1, w2, vs",
                0x5a82_6020,
                "x0 = u32((Unknown ? u32(x1) : u32((u32(x2) ^ -0x1))))",
            ),
            ("udiv w0, w1, w2", 0x1ac2_0820, "lose x1; lose x2; x0 = ?0"),
            ("lsl x0, x1, x2", 0x9ac2_2020, "x0 = (x1 << (x2 & 0x3f))"),
            (
                "asr w0, w1, w2",
                0x1ac2_2820,
                "x0 = u32((s32(u32(x1)) >>> (u32(x2) & 0x1f)))",
            ),
            ("ror x0, x1, x2", 0x9ac2_2c20, "lose x1; lose x2; x0 = ?0"),
            (
                "crc32x w0, w1, x2",
                0x9ac2_4c20,
                "lose x1; lose x2; x0 = ?0",
            ),
            ("rev x0, x1", 0xdac0_0c20, "lose x1; x0 = ?0"),
            ("clz w0, w1", 0x5ac0_1020, "lose x1; x0 = ?0"),
            ("rbit x0, x1", 0xdac0_0020, "lose x1; x0 = ?0"),
            ("pacia x0, x1", 0xdac1_0020, ""),
            ("xpaci x0", 0xdac1_43e0, ""),
            ("madd x0, x1, x2, x3", 0x9b02_0c20, "x0 = (x3 + (x1 * x2))"),
            (
                "mul w0, w1, w2",
                0x1b02_7c20,
                "x0 = u32((u32(x1) * u32(x2)))",
            ),
            ("mneg x0, x1, x2", 0x9b02_fc20, "x0 = (0 - (x1 * x2))"),
            (
                "smaddl x0, w1, w2, x3",
                0x9b22_0c20,
                "x0 = (x3 + (s32(x1) * s32(x2)))",
            ),
            ("umull x0, w1, w2", 0x9ba2_7c20, "x0 = (u32(x1) * u32(x2))"),
            ("smulh x0, x1, x2", 0x9b42_7c20, "lose x1; lose x2; x0 = ?0"),
            ("setf8 w0", 0x3a00_080d, "flags = ?"),
            ("rmif x0, #1, #2", 0xba00_8402, "flags = ?"),
            ("irg x0, x1", 0x9adf_1020, "x0 = x1"),
        ]);
    }
}
