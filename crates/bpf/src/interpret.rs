//! What a filter answers to one call.

use portcullis_policy::Call;

use crate::Program;
use crate::instruction::{Instruction, code};
use crate::program::MEMORY;

/// Runs the filter as the kernel does; the value that it returns.
///
/// [`portcullis_policy::Action::from_code`] says what that means.
pub fn run(program: &Program, call: &Call) -> u32 {
    step(program, call, &mut |_, _| ())
}

/// The same, showing each instruction that is run and its place.
pub(crate) fn step(
    program: &Program,
    call: &Call,
    seen: &mut dyn FnMut(usize, &Instruction),
) -> u32 {
    let all = program.instructions();
    let (mut a, mut x) = (0u32, 0u32);
    let mut memory = [0u32; MEMORY as usize];
    let mut at = 0;
    // Jumps only go forward and the last instruction returns: `Program` is checked.
    while let Some(instruction) = all.get(at) {
        let &Instruction {
            code: op,
            jt,
            jf,
            k,
        } = instruction;
        seen(at, instruction);
        at += 1;
        let slot = (k % MEMORY) as usize;
        match op {
            code::LD_W_ABS => a = word(call, k),
            code::LD_W_LEN => a = 64,
            code::LDX_W_LEN => x = 64,
            code::LD_IMM => a = k,
            code::LDX_IMM => x = k,
            code::LD_MEM => a = memory[slot],
            code::LDX_MEM => x = memory[slot],
            code::ST => memory[slot] = a,
            code::STX => memory[slot] = x,
            code::TAX => x = a,
            code::TXA => a = x,
            code::NEG => a = a.wrapping_neg(),
            code::RET_K => return k,
            code::RET_A => return a,
            code::JA => at += k as usize,
            _ => {
                let operand = if op & code::X == 0 { k } else { x };
                if op & 7 == code::JMP {
                    at += usize::from(if holds(op, a, operand) { jt } else { jf });
                } else {
                    match compute(op, a, operand) {
                        Some(value) => a = value,
                        // A division by zero ends the filter with 0.
                        None => return 0,
                    }
                }
            }
        }
    }
    0
}

/// The word of `struct seccomp_data` at an offset (little-endian machines only, as all that
/// `Arch` knows).
pub(crate) fn word(call: &Call, offset: u32) -> u32 {
    let half = |v: u64| (v >> (8 * (offset & 4))) as u32;
    match offset {
        0 => call.number,
        4 => call.arch,
        8 | 12 => half(call.ip),
        _ => half(call.args[((offset - 16) / 8) as usize % 6]),
    }
}

pub(crate) fn holds(op: u16, a: u32, operand: u32) -> bool {
    match op & 0xf0 {
        0x10 => a == operand,
        0x20 => a > operand,
        0x30 => a >= operand,
        _ => a & operand != 0,
    }
}

pub(crate) fn compute(op: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match op & 0xf0 {
        0x00 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x20 => a.wrapping_mul(operand),
        0x30 => a.checked_div(operand)?,
        0x40 => a | operand,
        0x50 => a & operand,
        // The kernel's own machine takes shifts by X modulo the width.
        0x60 => a.wrapping_shl(operand),
        0x70 => a.wrapping_shr(operand),
        _ => a ^ operand,
    })
}
