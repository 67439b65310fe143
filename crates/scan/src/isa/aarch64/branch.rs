//! Branches, exceptions, system instructions (C4.1, "Branches, Exception Generating and System
//! instructions").

use super::word::Word;
use super::{X16, X30, condition, read, register, write};
use crate::isa::{Compare, Condition, Flow, Machine, Reg};

pub(super) fn lift<M: Machine>(w: Word, at: u64, m: &mut M) -> Flow<M::V> {
    match w.bits(31, 24) {
        0x14..=0x17 => Flow::Jump(target(at, w.signed(25, 0))),
        0x94..=0x97 => Flow::Call(target(at, w.signed(25, 0))),
        0x34 | 0x35 | 0xb4 | 0xb5 => {
            let when = equal(!w.bit(24));
            let taken = register::zero(w.rd(), w.width(), when, m);
            Flow::Branch(taken, target(at, w.signed(23, 5)))
        }
        0x36 | 0x37 | 0xb6 | 0xb7 => {
            let taken = bit(w, m);
            Flow::Branch(taken, target(at, w.signed(18, 5)))
        }
        0x54 => match condition(w.bits(3, 0)) {
            None => Flow::Jump(target(at, w.signed(23, 5))),
            Some(when) => {
                let taken = m.condition(when);
                Flow::Branch(taken, target(at, w.signed(23, 5)))
            }
        },
        // `retaasppc`, `retabsppc`.
        0x55 if w.bits(23, 22) == 0 && w.rd() == 31 => Flow::Return,
        0x74 | 0x75 | 0xf4 | 0xf5 => compare(w, at, m),
        0xd4 => exception(w),
        0xd5 => system(w, m),
        0xd6 | 0xd7 => through(w, m),
        _ => Flow::Invalid,
    }
}

fn target(at: u64, words: i64) -> u64 {
    at.wrapping_add_signed(words * 4)
}

fn equal(yes: bool) -> Condition {
    if yes { Condition::Eq } else { Condition::Ne }
}

/// What `tbz` and `tbnz` ask.
fn bit<M: Machine>(w: Word, m: &mut M) -> M::V {
    let n = w.small(23, 19) | if w.bit(31) { 32 } else { 0 };
    let set = w.bit(24);
    if n == 31 || n == 63 {
        // The sign.
        let when = match set {
            true => Condition::Less,
            false => Condition::GreaterEq,
        };
        return register::zero(w.rd(), n + 1, when, m);
    }
    let v = read(w.rd(), 64, m);
    let mask = m.constant(1 << n);
    m.test(equal(!set), Compare::Bits, 64, v, mask)
}

/// Compare and branch in one (`cb*`).
fn compare<M: Machine>(w: Word, at: u64, m: &mut M) -> Flow<M::V> {
    let known = match (w.bit(24), w.bits(15, 14)) {
        // With an immediate.
        (true, size) => size & 1 == 0,
        (false, 0b00) => true,
        // Of bytes, of halves.
        (false, 0b10 | 0b11) => !w.bit(31),
        _ => false,
    };
    if !known {
        return Flow::Invalid;
    }
    let unknown = m.opaque(0);
    Flow::Branch(unknown, target(at, w.signed(13, 5)))
}

/// What `brk` says where a compiler takes it that nothing comes behind, as it does of `ud2` in x86_64:
/// `__builtin_trap` of LLVM (`AArch64InstrInfo.td`) and of GCC (`aarch64.md`, `trap`). What stands behind
/// is another function. Breakpoints for a debugger have other numbers: 0, 0xf000.
const ENDS: [u32; 2] = [1, 1000];

/// "Exception generation".
fn exception<V>(w: Word) -> Flow<V> {
    match (w.bits(23, 21), w.bits(4, 2), w.bits(1, 0)) {
        // The kernel does not look at the immediate (`el0_svc`, arch/arm64/kernel/syscall.c).
        (0b000, 0, 0b01) => Flow::Syscall,
        (0b001, 0, 0) if ENDS.contains(&w.bits(20, 5)) => Flow::Stop,
        // A handler can go on behind it.
        (0b001, 0, 0) => Flow::Next,
        // `hvc`, `smc`, `hlt`: undefined for programs.
        (0b000, 0, 0b10 | 0b11) | (0b010, 0, 0) => Flow::Stop,
        // `dcps*`: undefined outside of debug state.
        (0b101, 0, 0b01..=0b11) => Flow::Stop,
        _ => Flow::Invalid,
    }
}

fn system<M: Machine>(w: Word, m: &mut M) -> Flow<M::V> {
    /// `mrs x0, tpidr_el0`.
    const THREAD_POINTER: u32 = 0xd53b_d040;
    let set = |n: u8, index: u8, m: &mut M| {
        let v = m.opaque(index);
        write(n, 64, v, m);
    };
    match w.bits(23, 19) {
        0b00000 => match w.bits(18, 12) {
            // Hints: most do nothing to numbers, as pointers keep their value when they are signed or
            // checked. `chkfeat` answers in x16.
            0x32 => {
                if w.bits(11, 5) == 40 {
                    set(X16.0, 0, m);
                }
            }
            // Barriers; `wfet`, `wfit`.
            0x33 | 0x31 => {}
            // `msr` of a field of the state; `cfinv`, `axflag`, `xaflag`.
            op if op & 0xf == 4 => m.forget_flags(),
            _ => return Flow::Invalid,
        },
        // `sys`: of those that a program may use, `dc zva` and its like write memory.
        0b00001 => {
            if (w.bits(18, 16), w.bits(15, 12), w.bits(11, 8)) == (3, 7, 4) {
                let place = read(w.rd(), 64, m);
                m.store_unknown(place);
            }
            m.forget_flags();
        }
        // `sysl`; the start of a transaction.
        0b00100 | 0b00101 => {
            m.forget_flags();
            set(w.rd(), 0, m);
        }
        // `msr`, which can be that of the flags.
        0b00010 | 0b00011 => {
            let v = read(w.rd(), 64, m);
            m.lose(v);
            m.forget_flags();
        }
        // `mrs`.
        0b00110 | 0b00111 if w.0 & !0x1f == THREAD_POINTER => {
            let v = m.thread_pointer();
            write(w.rd(), 64, v, m);
        }
        0b00110 | 0b00111 => {
            // `rndr`, `rndrrs`.
            if w.bits(19, 8) == 0b1011_0010_0100 {
                m.forget_flags();
            }
            set(w.rd(), 0, m);
        }
        // `sysp`, `msrr`, `mrrs`: pairs of registers.
        0b01001 | 0b01010 | 0b01011 | 0b01110 | 0b01111 => {
            m.forget_flags();
            for n in [0, 1] {
                let v = read(w.rd() | n, 64, m);
                m.lose(v);
                set(w.rd() | n, n, m);
            }
        }
        _ => return Flow::Invalid,
    }
    Flow::Next
}

/// `br`, `blr`, `ret`, and the same with a check of the pointer.
fn through<M: Machine>(w: Word, m: &mut M) -> Flow<M::V> {
    let (signed, modified) = match (w.bits(15, 10), w.bit(24)) {
        (0, false) => (false, false),
        (0b000010 | 0b000011, with) => (true, with),
        _ => return Flow::Invalid,
    };
    let rest = w.rd();
    if w.rm() != 31
        || !signed && rest != 0
        || signed && !modified && rest != 31 && w.bits(22, 21) != 0b10
    {
        return Flow::Invalid;
    }
    match w.bits(23, 21) {
        0b000 | 0b001 => {
            let to = read(w.rn(), 64, m);
            match w.bit(21) {
                true => Flow::CallIndirect(to),
                false => Flow::JumpIndirect(to),
            }
        }
        0b010 if modified || signed && w.rn() != 31 => Flow::Invalid,
        0b010 if signed || Reg(w.rn()) == X30 => Flow::Return,
        0b010 => {
            let to = read(w.rn(), 64, m);
            Flow::JumpIndirect(to)
        }
        // `eret`, `drps`: undefined for programs; they are told by bit 23 with bit 24 clear.
        0b100 | 0b101 if !modified => Flow::Stop,
        _ => Flow::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use crate::isa::text::check;

    #[test]
    fn branches_and_enters_the_kernel() {
        check(&[
            ("b .+0x100", 0x1400_0040, "jump 0x1100"),
            ("b .-0x100", 0x17ff_ffc0, "jump 0xf00"),
            ("bl .+0x10", 0x9400_0004, "call 0x1010"),
            ("b.eq .+8", 0x5400_0040, "if Eq jump 0x1008"),
            ("b.vs .+8", 0x5400_0046, "if Unknown jump 0x1008"),
            ("b.al .+8", 0x5400_004e, "jump 0x1008"),
            (
                "cbz x0, .+12",
                0xb400_0060,
                "if Eq(x0 - 0 : 64) jump 0x100c",
            ),
            (
                "cbnz w1, .-8",
                0x35ff_ffc1,
                "if Ne(u32(x1) - 0 : 32) jump 0xff8",
            ),
            (
                "tbz w2, #3, .+16",
                0x3618_0082,
                "if Eq(x2 & 8 : 64) jump 0x1010",
            ),
            (
                "tbnz x2, #40, .+16",
                0xb740_0082,
                "if Ne(x2 & 0x10000000000 : 64) jump 0x1010",
            ),
            (
                "tbnz w2, #31, .+16",
                0x37f8_0082,
                "if Less(u32(x2) - 0 : 32) jump 0x1010",
            ),
            (
                "tbz x2, #63, .+16",
                0xb6f8_0082,
                "if GreaterEq(x2 - 0 : 64) jump 0x1010",
            ),
            ("br x3", 0xd61f_0060, "jump x3"),
            ("blr x4", 0xd63f_0080, "call x4"),
            ("ret", 0xd65f_03c0, "return"),
            ("ret x5", 0xd65f_00a0, "jump x5"),
            ("br x30", 0xd61f_03c0, "jump x30"),
            ("retaa", 0xd65f_0bff, "return"),
            ("braa x1, x2", 0xd71f_0822, "jump x1"),
            ("blraaz x3", 0xd63f_087f, "call x3"),
            ("svc #0", 0xd400_0001, "system call"),
            ("svc #1234", 0xd400_9a41, "system call"),
            ("brk #0", 0xd420_0000, ""),
            ("brk #1", 0xd420_0020, "stop"),
            ("brk #1000", 0xd420_7d00, "stop"),
            ("brk #0xf000", 0xd43e_0000, ""),
            ("hlt #1", 0xd440_0020, "stop"),
            ("hvc #0", 0xd400_0002, "stop"),
            ("udf #0", 0x0000_0000, "stop"),
            ("nop", 0xd503_201f, ""),
            ("bti c", 0xd503_245f, ""),
            ("paciasp", 0xd503_233f, ""),
            ("autiasp", 0xd503_23bf, ""),
            ("xpaclri", 0xd503_20ff, ""),
            ("pacia1716", 0xd503_211f, ""),
            ("dmb ish", 0xd503_3bbf, ""),
            ("isb", 0xd503_3fdf, ""),
            ("yield", 0xd503_203f, ""),
            ("mrs x0, tpidr_el0", 0xd53b_d040, "x0 = thread"),
            ("msr tpidr_el0, x0", 0xd51b_d040, "lose x0; flags = ?"),
            ("mrs x1, fpcr", 0xd53b_4401, "x1 = ?0"),
            ("mrs x1, nzcv", 0xd53b_4201, "x1 = ?0"),
            ("mrs x1, rndr", 0xd53b_2401, "flags = ?; x1 = ?0"),
            ("msr nzcv, x1", 0xd51b_4201, "lose x1; flags = ?"),
            ("cfinv", 0xd500_401f, "flags = ?"),
            ("dc zva, x0", 0xd50b_7420, "[x0] = ?; flags = ?"),
            ("dc cvau, x0", 0xd50b_7b20, "flags = ?"),
            ("ic ivau, x0", 0xd50b_7520, "flags = ?"),
        ]);
    }
}
