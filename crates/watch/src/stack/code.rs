//! The caller of a function that has no unwind table, by following its code to where it returns.
//!
//! What the task will execute says where the return address lies: instructions that move the stack pointer or load
//! saved registers from the stack are carried out on a copy of the registers, both ways of each branch are taken, and a
//! return ends a way. Registers that a callee saves hold the caller's values there (psABI), so that all other
//! instructions do not matter. Nothing is written, and what is read is the process's own memory: all of it is bounded,
//! and nothing is decided by the result.

use std::collections::{HashSet, VecDeque};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::convention::Row;
use crate::memory::Memory;

/// Most instructions that are followed.
const MOST: usize = 2048;
/// Bytes that are read at once.
const BLOCK: usize = 512;
/// The longest instruction of x86.
const LONGEST: usize = 15;

/// How a way goes on.
enum Step {
    /// There, and perhaps also there.
    Next(Vec<u64>),
    /// The function returns to the address in this register or, without one, on the stack.
    Return(Option<usize>),
    /// Nobody knows.
    Lost,
}

/// What differs between architectures.
pub(super) struct Code {
    /// Carries out the instruction at this address.
    step: fn(&Memory, &mut Window, &mut Row, u64) -> Step,
    /// The stack pointer, and what a return takes from the stack.
    stack: (usize, u64),
}

/// Of AMD64.
pub(super) const X86_64: Code = Code {
    step: x86_64,
    stack: (RSP, 8),
};
/// Of AArch64.
pub(super) const AARCH64: Code = Code {
    step: aarch64,
    stack: (SP, 0),
};

/// Where a function returns to.
pub(super) struct Returns {
    /// The address.
    pub(super) to: u64,
    /// The registers then; those that no callee saves are of no use.
    pub(super) row: Row,
    /// Every way leads there.
    pub(super) agreed: bool,
}

impl Code {
    /// Follows the code from `pc` on, with the registers of `row`, to the nearest return.
    pub(super) fn returns(&self, memory: &Memory, row: &Row, pc: u64) -> Option<Returns> {
        let mut window = Window::default();
        let mut ways = VecDeque::from([(pc, *row)]);
        let mut seen = HashSet::from([pc]);
        let mut found: Option<Returns> = None;
        let mut agreed = true;
        for _ in 0..MOST {
            let Some((at, mut row)) = ways.pop_front() else {
                break;
            };
            match (self.step)(memory, &mut window, &mut row, at) {
                Step::Next(all) => {
                    let new = all.into_iter().filter(|next| seen.insert(*next));
                    ways.extend(new.map(|next| (next, row)));
                }
                Step::Return(register) => {
                    let (stack, takes) = self.stack;
                    let sp = row.get(stack);
                    let to = match register {
                        Some(register) => row.get(register),
                        None => sp.and_then(|sp| memory.word(sp)),
                    };
                    row.set(stack, sp.map(|sp| sp.wrapping_add(takes)));
                    match (&found, to) {
                        (_, None) => agreed = false,
                        (None, Some(to)) => {
                            found = Some(Returns {
                                to,
                                row,
                                agreed: true,
                            });
                        }
                        (Some(first), Some(to)) => {
                            agreed &= first.to == to && first.row.get(stack) == row.get(stack);
                        }
                    }
                }
                // A way that ends the program, or that is not understood.
                Step::Lost => {}
            }
        }
        found.map(|found| Returns {
            agreed: agreed && ways.is_empty(),
            ..found
        })
    }
}

/// Code that was read.
#[derive(Default)]
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// As many as `length` bytes at `at`, fewer where no more are mapped.
    fn at(&mut self, memory: &Memory, at: u64, length: usize) -> &[u8] {
        let inside = at
            .checked_sub(self.start)
            .and_then(|i| usize::try_from(i).ok());
        let inside = inside.filter(|i| i.saturating_add(length) <= self.bytes.len());
        let from = inside.unwrap_or_else(|| {
            self.start = at;
            self.bytes = memory.read_some(at, BLOCK);
            0
        });
        let rest = self.bytes.get(from..).unwrap_or_default();
        rest.get(..length).unwrap_or(rest)
    }
}

/// Numbers of the psABI of AMD64, figure 3.36.
const RBP: usize = 6;
const RSP: usize = 7;

fn x86_64(memory: &Memory, window: &mut Window, row: &mut Row, at: u64) -> Step {
    let bytes = window.at(memory, at, LONGEST);
    let mut decoder = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    decoder.decode_out(&mut instruction);
    if instruction.is_invalid() {
        return Step::Lost;
    }
    let next = instruction.next_ip();
    match instruction.flow_control() {
        FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {}
        FlowControl::UnconditionalBranch => {
            return Step::Next(vec![instruction.near_branch_target()]);
        }
        FlowControl::ConditionalBranch => {
            return Step::Next(vec![next, instruction.near_branch_target()]);
        }
        FlowControl::Return if instruction.op_count() == 0 => return Step::Return(None),
        _ => return Step::Lost,
    }
    let move_by = |row: &mut Row, by: i64| {
        let sp = row.get(RSP).map(|sp| sp.wrapping_add_signed(by));
        row.set(RSP, sp);
    };
    match instruction.mnemonic() {
        // Back by its return.
        Mnemonic::Call | Mnemonic::Syscall => {}
        Mnemonic::Pop => {
            if let Some(to) = saved(instruction.op0_register()) {
                row.set(to, row.get(RSP).and_then(|sp| memory.word(sp)));
            }
            move_by(row, 8);
        }
        Mnemonic::Leave => {
            let frame = row.get(RBP);
            row.set(RBP, frame.and_then(|frame| memory.word(frame)));
            row.set(RSP, frame.map(|frame| frame.wrapping_add(8)));
        }
        Mnemonic::Mov | Mnemonic::Lea if instruction.op0_kind() == OpKind::Register => {
            let to = instruction.op0_register();
            let is_stack = to == Register::RSP;
            let Some(to) = saved(to).or(is_stack.then_some(RSP)) else {
                return Step::Next(vec![next]);
            };
            let address = address(&instruction, row);
            match (instruction.mnemonic(), instruction.op1_kind()) {
                // What is in between is the function's own affair, but for the stack pointer.
                (Mnemonic::Mov, OpKind::Memory) if address.is_some() => {
                    row.set(to, address.and_then(|at| memory.word(at)));
                }
                (Mnemonic::Lea, OpKind::Memory) if is_stack => row.set(to, address),
                (Mnemonic::Mov, OpKind::Register) if is_stack => {
                    let from = number(instruction.op1_register());
                    row.set(to, from.and_then(|from| row.get(from)));
                }
                _ if is_stack => return Step::Lost,
                _ => {}
            }
        }
        Mnemonic::Add | Mnemonic::Sub if instruction.op0_register() == Register::RSP => {
            let by = match instruction.op1_kind() {
                OpKind::Immediate8to64 | OpKind::Immediate32to64 => instruction.immediate(1) as i64,
                _ => return Step::Lost,
            };
            let adds = instruction.mnemonic() == Mnemonic::Add;
            move_by(row, if adds { by } else { by.wrapping_neg() });
        }
        _ => {
            let by = instruction.stack_pointer_increment();
            let writes = instruction.op_count() > 0
                && instruction.op0_kind() == OpKind::Register
                && instruction.op0_register().full_register() == Register::RSP
                && !matches!(
                    instruction.mnemonic(),
                    Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push
                );
            if writes {
                return Step::Lost;
            }
            move_by(row, by.into());
        }
    }
    Step::Next(vec![next])
}

/// The number of a register that a callee saves.
fn saved(register: Register) -> Option<usize> {
    number(register).filter(|number| [3, RBP, 12, 13, 14, 15].contains(number))
}

fn number(register: Register) -> Option<usize> {
    Some(match register {
        Register::RBX => 3,
        Register::RBP => RBP,
        Register::RSP => RSP,
        Register::R12 => 12,
        Register::R13 => 13,
        Register::R14 => 14,
        Register::R15 => 15,
        _ => return None,
    })
}

/// An address in the function's frame.
fn address(instruction: &Instruction, row: &Row) -> Option<u64> {
    let base = match instruction.memory_base() {
        Register::RSP => RSP,
        Register::RBP => RBP,
        _ => return None,
    };
    if instruction.memory_index() != Register::None {
        return None;
    }
    let base = row.get(base)?;
    Some(base.wrapping_add(instruction.memory_displacement64()))
}

/// Numbers of DWARF for the Arm 64-bit architecture, 4.1.
const LINK: usize = 30;
const SP: usize = 31;

/// Encodings of the Arm ARM, C4.1.
fn aarch64(memory: &Memory, window: &mut Window, row: &mut Row, at: u64) -> Step {
    let bytes = window.at(memory, at, 4);
    let Ok(word) = bytes.try_into().map(u32::from_le_bytes) else {
        return Step::Lost;
    };
    let next = at.wrapping_add(4);
    let bits = |low: u32, count: u32| (word >> low) & ((1 << count) - 1);
    let signed = |low: u32, count: u32| {
        let value = bits(low, count) << (32 - count);
        i64::from(value.cast_signed() >> (32 - count))
    };
    let target = |low, count| at.wrapping_add_signed(signed(low, count) * 4);
    let sp = row.get(SP);
    let load = |row: &mut Row, register: u32, at: Option<u64>| {
        let register = usize::try_from(register).unwrap_or(SP);
        // Those that a callee saves, and the link register.
        if (19..=LINK).contains(&register) {
            row.set(register, at.and_then(|at| memory.word(at)));
        }
    };
    let moved = |by: i64| sp.map(|sp| sp.wrapping_add_signed(by));
    // RET, with authentication or without; BR and others like it.
    if word & 0xffff_fc1f == 0xd65f_0000 {
        return Step::Return(usize::try_from(bits(5, 5)).ok());
    }
    if matches!(word, 0xd65f_0bff | 0xd65f_0fff) {
        return Step::Return(Some(LINK));
    }
    if word & 0xfe1f_0000 == 0xd61f_0000 && bits(21, 2) == 0 {
        return Step::Lost;
    }
    // B; B.cond; CBZ and CBNZ; TBZ and TBNZ.
    if word & 0xfc00_0000 == 0x1400_0000 {
        return Step::Next(vec![target(0, 26)]);
    }
    if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
        return Step::Next(vec![next, target(5, 19)]);
    }
    if word & 0x7e00_0000 == 0x3600_0000 {
        return Step::Next(vec![next, target(5, 14)]);
    }
    // BRK and UDF end a way.
    if word & 0xffe0_001f == 0xd420_0000 || word & 0xffff_0000 == 0 {
        return Step::Lost;
    }
    // BL and BLR: the link register has another value until it is loaded.
    if word & 0xfc00_0000 == 0x9400_0000 || word & 0xfeff_f000 == 0xd63f_0000 {
        row.set(LINK, None);
        return Step::Next(vec![next]);
    }
    let to_stack = bits(0, 5) == 31;
    let (base, rt, rt2) = (bits(5, 5), bits(0, 5), bits(10, 5));
    // ADD and SUB of an immediate, 64 bits.
    if word & 0xbf80_0000 == 0x9100_0000 && to_stack {
        let by = i64::from(bits(10, 12)) << (bits(22, 1) * 12);
        let by = if bits(30, 1) == 1 { -by } else { by };
        let from = usize::try_from(base).ok().and_then(|base| row.get(base));
        row.set(SP, from.map(|from| from.wrapping_add_signed(by)));
    }
    // LDP of 64 bits from the stack: behind, at, before.
    else if word & 0xfe40_0000 == 0xa840_0000 && base == 31 {
        let by = signed(15, 7) * 8;
        let (first, after) = match bits(23, 2) {
            1 => (sp, moved(by)),
            2 => (moved(by), sp),
            3 => (moved(by), moved(by)),
            _ => return Step::Lost,
        };
        load(row, rt, first);
        load(row, rt2, first.map(|at| at.wrapping_add(8)));
        row.set(SP, after);
    }
    // LDR of 64 bits from the stack: with an offset, then behind and before.
    else if word & 0xffc0_0000 == 0xf940_0000 && base == 31 {
        load(row, rt, moved(i64::from(bits(10, 12)) * 8));
    } else if word & 0xffe0_0400 == 0xf840_0400 && base == 31 {
        let by = signed(12, 9);
        let before = bits(11, 1) == 1;
        load(row, rt, if before { moved(by) } else { sp });
        row.set(SP, moved(by));
    }
    // STP and STR that move the stack pointer.
    else if word & 0xfec0_0000 == 0xa880_0000 && base == 31 {
        row.set(SP, moved(signed(15, 7) * 8));
    } else if word & 0xffe0_0400 == 0xf800_0400 && base == 31 {
        row.set(SP, moved(signed(12, 9)));
    }
    Step::Next(vec![next])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACK: u64 = 0x2222;

    /// What is returned to by `code`, which is followed in this process's memory, with `stack` and the frame pointer
    /// at its second word.
    fn followed(code: &Code, bytes: &[u8], stack: &[u64], frame: usize) -> Option<(Returns, u64)> {
        let memory = Memory::open(std::process::id().cast_signed()).unwrap();
        let mut row = Row::empty();
        let base = stack.as_ptr() as u64;
        row.set(code.stack.0, Some(base));
        row.set(frame, Some(base + 8));
        let found = code.returns(&memory, &row, bytes.as_ptr() as u64)?;
        let sp = found.row.get(code.stack.0).unwrap();
        Some((found, (sp - base) / 8))
    }

    #[test]
    fn both_ways_of_a_branch_lead_to_the_same_return() {
        // test eax, eax; je 1f; add rsp, 24; pop rbx; ret; 1: sub rsp, 8; add rsp, 32; pop rbx; ret
        let bytes = [
            0x85, 0xc0, 0x74, 0x06, 0x48, 0x83, 0xc4, 0x18, 0x5b, 0xc3, 0x48, 0x83, 0xec, 0x08,
            0x48, 0x83, 0xc4, 0x20, 0x5b, 0xc3,
        ];
        let stack = [1, 2, 3, 0x1111, BACK, 6];
        let (found, words) = followed(&X86_64, &bytes, &stack, RBP).unwrap();
        assert_eq!((found.to, found.row.get(3), words), (BACK, Some(0x1111), 5));
        assert!(found.agreed);
    }

    #[test]
    fn where_ways_differ_the_nearest_counts_and_nothing_is_agreed() {
        // je 1f; pop rbx; ret; 1: add rsp, 16; nop; ret
        let bytes = [0x74, 0x02, 0x5b, 0xc3, 0x48, 0x83, 0xc4, 0x10, 0x90, 0xc3];
        let (found, words) = followed(&X86_64, &bytes, &[1, BACK, 3, 4], RBP).unwrap();
        assert_eq!((found.to, words), (BACK, 2));
        assert!(!found.agreed);
    }

    #[test]
    fn a_frame_pointer_gives_back_the_stack() {
        // call over; mov rbx, [rbp - 8]; leave; ret
        let bytes = [0xe8, 0, 1, 0, 0, 0x48, 0x8b, 0x5d, 0xf8, 0xc9, 0xc3];
        let (found, words) = followed(&X86_64, &bytes, &[0x1111, 0x3333, BACK, 4], RBP).unwrap();
        let saved = (found.row.get(3), found.row.get(RBP));
        assert_eq!((found.to, words), (BACK, 3));
        assert_eq!(saved, (Some(0x1111), Some(0x3333)));
    }

    #[test]
    fn code_that_does_not_return_has_no_caller() {
        // jmp itself; ud2; jmp rax; what is no instruction
        for bytes in [&[0xeb, 0xfe][..], &[0x0f, 0x0b], &[0xff, 0xe0], &[0x06]] {
            assert!(followed(&X86_64, bytes, &[BACK, 1, 2], RBP).is_none());
        }
    }

    #[test]
    fn aarch64_is_followed_likewise() {
        // cbz x0, 1f; ldr x19, [sp, 16]; ldp x29, x30, [sp], 32; ret; 1: add sp, sp, 16; sub sp, sp, 16; b to the ldr
        let code: [u32; 7] = [
            0xb400_0080,
            0xf940_0bf3,
            0xa8c2_7bfd,
            0xd65f_03c0,
            0x9100_43ff,
            0xd100_43ff,
            0x17ff_fffb,
        ];
        let bytes: Vec<u8> = code.into_iter().flat_map(u32::to_le_bytes).collect();
        let stack = [0x3333, BACK, 0x1111, 4, 5];
        let (found, words) = followed(&AARCH64, &bytes, &stack, 29).unwrap();
        assert_eq!((found.to, words), (BACK, 4));
        assert_eq!(found.row.get(19), Some(0x1111));
        assert_eq!(found.row.get(29), Some(0x3333));
        assert!(found.agreed);
        // brk 1; br x0
        for word in [0xd420_0020_u32, 0xd61f_0000] {
            assert!(followed(&AARCH64, &word.to_le_bytes(), &stack, 29).is_none());
        }
    }
}
