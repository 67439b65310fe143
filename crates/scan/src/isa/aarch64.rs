//! aarch64: every instruction is a word, decoded here by the tables of the Arm Architecture
//! Reference Manual (C4.1), group by group.
//!
//! What moves numbers and addresses about is modelled exactly. Any other word that the manual
//! gives a meaning makes unknown what its group can write; a word without one makes everything
//! unknown, or ends what is followed where it stands among the branches.

mod branch;
mod immediate;
mod memory;
#[cfg(test)]
mod oracle;
mod register;
mod stub;
mod vector;
mod word;

use portcullis_abi::Arch;

use super::{Binary, Condition, Convention, Flow, Machine, Reg, RegSet};
use word::Word;

/// First argument and result of a function, first argument and result of a system call.
pub const X0: Reg = Reg(0);
/// Where a structure is returned; the number of a system call.
pub const X8: Reg = Reg(8);
/// First of the two registers that linkers' stubs use.
pub const X16: Reg = Reg(16);
/// Second of them.
pub const X17: Reg = Reg(17);
/// The frame record.
pub const X29: Reg = Reg(29);
/// Where a call returns to.
pub const X30: Reg = Reg(30);
/// The stack pointer, which shares its encoding with the zero register.
pub const SP: Reg = Reg(31);

/// The encoding of the zero register and of the stack pointer.
const R31: u8 = 31;

/// What registers are for: AAPCS64 §6.1.1, §6.8, §6.9; system calls by syscall(2). The static chain is
/// x18 or x9 in GCC, x15 or x18 in LLVM.
pub static CONVENTION: Convention = Convention {
    arch: Arch::Aarch64,
    registers: 32,
    stack_pointer: SP,
    link: Some(X30),
    frame_record: Some(X29),
    arguments: &[X0, Reg(1), Reg(2), Reg(3), Reg(4), Reg(5), Reg(6), Reg(7)],
    passing: RegSet::span(X0, Reg(9)).or(RegSet::of(&[Reg(15), Reg(18)])),
    results: [X0, Reg(1)],
    // Linux gives the platform register x18 no purpose, which makes it one more temporary.
    caller_saved: RegSet::span(X0, Reg(18)),
    callee_saved: RegSet::span(Reg(19), X29),
    go_passing: RegSet::span(X0, Reg(15)).or(RegSet::of(&[Reg(26)])),
    go_closure: Reg(26),
    go_written: Reg(2),
    go_zero: None,
    names_pages: true,
    number: X8,
    kernel_arguments: [X0, Reg(1), Reg(2), Reg(3), Reg(4), Reg(5)],
    kernel_writes: &[X0],
};

/// 64-bit parts of a vector register that are followed; what SVE has beyond is not.
const LANES: u8 = 2;

/// Decodes and lifts instructions.
#[derive(Default)]
pub struct Lifter;

impl Lifter {
    /// Lifts the instruction that `code` begins with and that stands at `at`: its length and
    /// where control goes next. Length 0 only with [`Flow::Invalid`]. A linker's stub counts as one
    /// instruction.
    pub fn lift<M: Machine>(&mut self, code: &[u8], at: u64, m: &mut M) -> (usize, Flow<M::V>) {
        let Some(word) = Word::first(code) else {
            return (0, Flow::Invalid);
        };
        if let Some(stub) = stub::lift(code, at, m) {
            return stub;
        }
        if stub::lift_target(code, m) {
            return (4, Flow::Next);
        }
        match step(word, at, m) {
            Flow::Invalid => (0, Flow::Invalid),
            flow => (4, flow),
        }
    }
}

/// C4.1, table "Main encoding table".
fn step<M: Machine>(w: Word, at: u64, m: &mut M) -> Flow<M::V> {
    match w.bits(28, 25) {
        0b1000 | 0b1001 => immediate::lift(w, at, m),
        0b1010 | 0b1011 => return branch::lift(w, at, m),
        0b0100 | 0b0110 | 0b1100 | 0b1110 => memory::lift(w, at, m),
        0b0101 | 0b1101 => register::lift(w, m),
        0b0111 | 0b1111 => vector::compute(w, m),
        // `udf`: for ever undefined.
        0b0000 if w.bits(31, 16) == 0 => return Flow::Stop,
        // SVE and SME: any general register, any memory.
        0b0010 => anything(m),
        0b0000 if w.bit(31) => anything(m),
        _ => return Flow::Invalid,
    }
    Flow::Next
}

/// An instruction that may read and write whatever a program can, but for the stack pointer.
fn anything<M: Machine>(m: &mut M) {
    for n in 0..31 {
        let v = m.get(Reg(n));
        m.lose(v);
    }
    for n in 0..32 {
        vector::lose(n, m);
        vector::forget(n, m);
    }
    let unknown = m.opaque(31);
    m.store_unknown(unknown);
    m.read_unknown(unknown, None);
    for n in 0..31 {
        let v = m.opaque(n);
        m.put(Reg(n), v);
    }
    m.forget_flags();
}

/// The low `bits` bits of a register, or zero.
fn read<M: Machine>(n: u8, bits: u8, m: &mut M) -> M::V {
    match n {
        R31 => m.constant(0),
        _ => read_sp(n, bits, m),
    }
}

/// The low `bits` bits of a register, the stack pointer included.
fn read_sp<M: Machine>(n: u8, bits: u8, m: &mut M) -> M::V {
    let v = m.get(Reg(n));
    narrow(v, bits, m)
}

/// Writes a register and clears what is above the low `bits` bits; nothing for the zero register.
fn write<M: Machine>(n: u8, bits: u8, value: M::V, m: &mut M) {
    if n != R31 {
        write_sp(n, bits, value, m);
    }
}

/// The same with the stack pointer in place of the zero register.
fn write_sp<M: Machine>(n: u8, bits: u8, value: M::V, m: &mut M) {
    let v = narrow(value, bits, m);
    m.put(Reg(n), v);
}

fn narrow<M: Machine>(value: M::V, bits: u8, m: &mut M) -> M::V {
    match bits {
        64 => value,
        _ => m.zero_extend(value, bits),
    }
}

/// `a` and a constant.
fn with<M: Machine>(op: Binary, a: M::V, b: u64, m: &mut M) -> M::V {
    let b = m.constant(b);
    m.binary(op, a, b)
}

/// The bits of `a` that a mask has. Low ones alone are told as an extension: that is not taken for a
/// bound that somebody set.
fn masked<M: Machine>(a: M::V, mask: u64, m: &mut M) -> M::V {
    match mask.wrapping_add(1) {
        0 => a,
        above if above.is_power_of_two() && mask != 0 => {
            m.zero_extend(a, above.trailing_zeros() as u8)
        }
        _ => with(Binary::And, a, mask, m),
    }
}

/// `base` and so many bytes on.
fn offset<M: Machine>(base: M::V, by: i64, m: &mut M) -> M::V {
    match by {
        0 => base,
        _ => with(Binary::Add, base, by as u64, m),
    }
}

/// `value` turned right by `by` of its `bits` bits.
fn rotate<M: Machine>(value: M::V, by: u8, bits: u8, m: &mut M) -> M::V {
    if by == 0 {
        return value;
    }
    let low = with(Binary::Shr, value, u64::from(by), m);
    let high = with(Binary::Shl, value, u64::from(bits - by), m);
    let r = m.binary(Binary::Or, high, low);
    narrow(r, bits, m)
}

/// C1.2.4, table "Condition codes". `None` for the two that always hold.
fn condition(code: u32) -> Option<Condition> {
    Some(match code {
        0 => Condition::Eq,
        1 => Condition::Ne,
        2 => Condition::AboveEq,
        3 => Condition::Below,
        4 => Condition::Negative,
        5 => Condition::NotNegative,
        6 | 7 => Condition::Unknown,
        8 => Condition::Above,
        9 => Condition::BelowEq,
        10 => Condition::GreaterEq,
        11 => Condition::Less,
        12 => Condition::Greater,
        13 => Condition::LessEq,
        _ => return None,
    })
}
