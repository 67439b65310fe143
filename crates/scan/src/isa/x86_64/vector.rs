//! Vector registers as carriers of words: compilers build and copy structures in them, function
//! pointers and numbers included.
//!
//! A register is up to four lanes of 64 bits. Moves and what joins whole lanes are modelled;
//! anything else makes the lanes unknown that it writes.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::Lifter;
use super::operand::{address, thread_local};
use crate::isa::{Binary, Lane, Machine};

/// Lanes that are followed; what AVX-512 has beyond is not.
const LANES: u8 = 4;

impl Lifter {
    /// Lifts a move between vector registers, memory and general registers; `false` when this is
    /// something else.
    pub(super) fn vector<M: Machine>(&mut self, i: &Instruction, m: &mut M) -> bool {
        use Mnemonic as N;
        if i.has_op_mask() || i.is_broadcast() || i.op_count() == 0 || thread_local(i) {
            return false;
        }
        match i.mnemonic() {
            N::Movdqu
            | N::Movdqa
            | N::Movups
            | N::Movaps
            | N::Movupd
            | N::Movapd
            | N::Lddqu
            | N::Vmovdqu
            | N::Vmovdqa
            | N::Vmovups
            | N::Vmovaps
            | N::Vmovupd
            | N::Vmovapd
            | N::Vlddqu => whole(i, m),
            N::Movq | N::Vmovq => low(i, 64, m),
            N::Movd | N::Vmovd => low(i, 32, m),
            N::Movhps | N::Movhpd => half(i, 1, m),
            N::Movlps | N::Movlpd => half(i, 0, m),
            N::Movlhps | N::Punpcklqdq | N::Unpcklpd if i.op_count() == 2 => {
                let (Some(to), Some(low)) = (vector(i.op0_register()), word(i, 1, 0, m)) else {
                    return false;
                };
                m.put_lane(Lane(to, 1), low);
                true
            }
            N::Movhlps | N::Punpckhqdq | N::Unpckhpd if i.op_count() == 2 => {
                let (Some(to), Some(high)) = (vector(i.op0_register()), word(i, 1, 1, m)) else {
                    return false;
                };
                if i.mnemonic() == N::Movhlps {
                    m.put_lane(Lane(to, 0), high);
                } else {
                    let own = m.lane(Lane(to, 1));
                    m.put_lane(Lane(to, 0), own);
                    m.put_lane(Lane(to, 1), high);
                }
                true
            }
            N::Vpunpcklqdq | N::Vunpcklpd => interleave(i, 0, m),
            N::Vpunpckhqdq | N::Vunpckhpd => interleave(i, 1, m),
            N::Pinsrq => {
                let (Some(to), true) = (vector(i.op0_register()), i.op_count() == 3) else {
                    return false;
                };
                let v = self.read(i, 1, m);
                m.put_lane(Lane(to, i.immediate8() & 1), v);
                true
            }
            N::Pextrq => {
                let Some(from) = vector(i.op1_register()) else {
                    return false;
                };
                let v = m.lane(Lane(from, i.immediate8() & 1));
                self.write(i, 0, v, m);
                true
            }
            N::Pshufd => shuffle(i, m),
            N::Pxor | N::Xorps | N::Xorpd
                if i.op_count() == 2 && i.op0_register() == i.op1_register() =>
            {
                zero(i, 2, m)
            }
            N::Vpxor | N::Vxorps | N::Vxorpd
                if i.op_count() == 3
                    && i.op1_kind() == OpKind::Register
                    && i.op1_register() == i.op2_register() =>
            {
                zero(i, LANES, m)
            }
            _ => false,
        }
    }

    /// What a vector register held goes where it is not followed.
    pub(super) fn lose_lanes<M: Machine>(register: Register, m: &mut M) {
        if let Some(n) = vector(register) {
            for lane in 0..LANES {
                let v = m.lane(Lane(n, lane));
                m.lose(v);
            }
        }
    }

    /// Nothing is known of a vector register any more.
    pub(super) fn forget_lanes<M: Machine>(register: Register, m: &mut M) {
        if let Some(n) = vector(register) {
            forget(n, 0, m);
        }
    }
}

/// The number of a vector register, when it is one.
fn vector(register: Register) -> Option<u8> {
    register
        .is_vector_register()
        .then_some(register.number() as u8)
}

fn forget<M: Machine>(register: u8, from: u8, m: &mut M) {
    for lane in from..LANES {
        m.forget_lane(Lane(register, lane));
    }
}

/// How many lanes an operation is about; `None` for more than are followed.
fn lanes(i: &Instruction) -> Option<u8> {
    let registers = (0..i.op_count()).filter(|&n| i.op_kind(n) == OpKind::Register);
    let bytes = registers.map(|n| i.op_register(n).size()).max()?;
    match bytes {
        16 => Some(2),
        32 => Some(4),
        _ => None,
    }
}

/// Where the 64-bit word `n` of a memory operand is.
fn place<M: Machine>(i: &Instruction, n: u8, m: &mut M) -> M::V {
    let first = address(i, m);
    let step = m.constant(u64::from(n) * 8);
    m.binary(Binary::Add, first, step)
}

/// The 64-bit word `n` of an operand in a vector register or in memory.
fn word<M: Machine>(i: &Instruction, operand: u32, n: u8, m: &mut M) -> Option<M::V> {
    match i.op_kind(operand) {
        OpKind::Register => Some(m.lane(Lane(vector(i.op_register(operand))?, n))),
        OpKind::Memory => {
            let at = place(i, n, m);
            Some(m.load(at, 8))
        }
        _ => None,
    }
}

/// A move of all lanes.
fn whole<M: Machine>(i: &Instruction, m: &mut M) -> bool {
    let Some(count) = lanes(i).filter(|_| i.op_count() == 2) else {
        return false;
    };
    for n in 0..count {
        let Some(v) = word(i, 1, n, m) else {
            return false;
        };
        match vector(i.op0_register()) {
            Some(to) => m.put_lane(Lane(to, n), v),
            None => {
                let at = place(i, n, m);
                m.store(at, 8, v);
            }
        }
    }
    // An encoding with VEX clears the rest, one without keeps it.
    if let Some(to) = vector(i.op0_register()) {
        forget(to, count, m);
    }
    true
}

/// A move of the low `bits` of a vector register from or to anything.
fn low<M: Machine>(i: &Instruction, bits: u8, m: &mut M) -> bool {
    if i.op_count() != 2 {
        return false;
    }
    let size = bits / 8;
    let ends = [0, 1].map(|n| match i.op_kind(n) {
        OpKind::Register => vector(i.op_register(n)).filter(|_| i.op_register(n).is_xmm()),
        _ => None,
    });
    let v = match (ends[1], i.op1_kind()) {
        (Some(from), _) => m.lane(Lane(from, 0)),
        (None, OpKind::Memory) => {
            let at = place(i, 0, m);
            m.load(at, size)
        }
        (None, OpKind::Register) => match super::general_register(i.op1_register()) {
            Some((from, _)) => m.get(from),
            None => return false,
        },
        _ => return false,
    };
    let v = if bits == 64 {
        v
    } else {
        m.zero_extend(v, bits)
    };
    match (ends[0], i.op0_kind()) {
        (Some(to), _) => {
            let zero = m.constant(0);
            m.put_lane(Lane(to, 0), v);
            m.put_lane(Lane(to, 1), zero);
            forget(to, 2, m);
        }
        (None, OpKind::Memory) => {
            let at = place(i, 0, m);
            m.store(at, size, v);
        }
        (None, OpKind::Register) => match super::general_register(i.op0_register()) {
            Some((to, _)) => m.put(to, v),
            None => return false,
        },
        _ => return false,
    }
    true
}

/// A move of one lane from or to memory.
fn half<M: Machine>(i: &Instruction, lane: u8, m: &mut M) -> bool {
    if i.op_count() != 2 {
        return false;
    }
    match (i.op0_kind(), i.op1_kind()) {
        (OpKind::Register, OpKind::Memory) => {
            let Some(to) = vector(i.op0_register()) else {
                return false;
            };
            let at = place(i, 0, m);
            let v = m.load(at, 8);
            m.put_lane(Lane(to, lane), v);
            true
        }
        (OpKind::Memory, OpKind::Register) => {
            let Some(from) = vector(i.op1_register()) else {
                return false;
            };
            let v = m.lane(Lane(from, lane));
            let at = place(i, 0, m);
            m.store(at, 8, v);
            true
        }
        _ => false,
    }
}

/// The lanes `lane` of two operands side by side.
fn interleave<M: Machine>(i: &Instruction, lane: u8, m: &mut M) -> bool {
    if lanes(i) != Some(2) || i.op_count() != 3 {
        return false;
    }
    let (Some(to), Some(a), Some(b)) = (
        vector(i.op0_register()),
        word(i, 1, lane, m),
        word(i, 2, lane, m),
    ) else {
        return false;
    };
    m.put_lane(Lane(to, 0), a);
    m.put_lane(Lane(to, 1), b);
    forget(to, 2, m);
    true
}

/// A shuffle of 32-bit parts that moves whole lanes.
fn shuffle<M: Machine>(i: &Instruction, m: &mut M) -> bool {
    let lane = |order: u8| match order & 0xf {
        0b0100 => Some(0),
        0b1110 => Some(1),
        _ => None,
    };
    let order = i.immediate8();
    let (Some(to), Some(a), Some(b)) = (vector(i.op0_register()), lane(order), lane(order >> 4))
    else {
        return false;
    };
    let (Some(a), Some(b)) = (word(i, 1, a, m), word(i, 1, b, m)) else {
        return false;
    };
    m.put_lane(Lane(to, 0), a);
    m.put_lane(Lane(to, 1), b);
    true
}

fn zero<M: Machine>(i: &Instruction, count: u8, m: &mut M) -> bool {
    let Some(to) = vector(i.op0_register()) else {
        return false;
    };
    let zero = m.constant(0);
    for n in 0..count {
        m.put_lane(Lane(to, n), zero);
    }
    true
}
