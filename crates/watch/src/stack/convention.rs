//! What the psABI of an architecture says about frames, where unwind tables are silent or absent.

use portcullis_abi::Arch;
use portcullis_sys::registers::Registers;

use super::code::{self, Code};
use crate::image::Image;
use crate::memory::Memory;

/// The largest frame that a chain of frame pointers is followed over.
const LARGEST_FRAME: u64 = 8 << 20;
/// Words of the stack that are looked through for a return address: a function that calls the kernel and has no
/// table is small.
const LOOKED_THROUGH: u64 = 64;
/// More registers than unwind tables number on any architecture here.
const MOST: usize = 33;

/// Registers by their numbers in unwind tables, as far as they are known.
#[derive(Clone, Copy)]
pub(super) struct Row([Option<u64>; MOST]);

impl Row {
    /// Nothing is known.
    pub(super) fn empty() -> Row {
        Row([None; MOST])
    }

    /// Of a stopped task.
    pub(super) fn of(registers: &Registers) -> Row {
        let mut row = Row::empty();
        for (place, value) in row.0.iter_mut().zip(registers.by_dwarf_number()) {
            *place = Some(value);
        }
        row
    }

    pub(super) fn get(&self, number: usize) -> Option<u64> {
        self.0.get(number).copied().flatten()
    }

    /// What has no such number is not kept.
    pub(super) fn set(&mut self, number: usize, value: Option<u64>) {
        if let Some(place) = self.0.get_mut(number) {
            *place = value;
        }
    }
}

/// Registers by their roles, and how frames look.
pub(super) struct Convention {
    /// How many registers are followed.
    pub(super) registers: usize,
    /// The frame pointer.
    pub(super) frame: usize,
    /// The stack pointer.
    pub(super) stack: usize,
    /// Where unwind tables describe the return address.
    pub(super) return_address: usize,
    /// The next instruction.
    pub(super) ip: usize,
    /// Those that a callee saves.
    pub(super) saved: &'static [usize],
    pub(super) vendor: gimli::Vendor,
    /// The caller of a function that is the innermost one, without a table.
    innermost: fn(&Memory, &Image, &Row) -> Option<Row>,
    /// Whether the instruction before this address calls.
    is_behind_call: fn(&Memory, u64) -> bool,
    /// How code is followed to its return.
    code: &'static Code,
    /// The interrupted code, for a row at a trampoline that no table describes.
    interrupted: fn(&Memory, &Row) -> Option<Row>,
}

/// Of the tasks that are traced here.
pub(super) const NATIVE: &Convention = match Arch::NATIVE {
    Arch::Aarch64 => &AARCH64,
    _ => &X86_64,
};

/// System V psABI of AMD64, figures 3.4 and 3.36.
const X86_64: Convention = Convention {
    registers: 17,
    frame: 6,
    stack: 7,
    return_address: 16,
    ip: 16,
    saved: &[3, 6, 12, 13, 14, 15],
    vendor: gimli::Vendor::Default,
    innermost: |memory, image, row| {
        // A function that saved nothing has its return address on top.
        let sp = row.get(X86_64.stack)?;
        let back = memory
            .word(sp)
            .filter(|back| X86_64.is_return(memory, image, *back))?;
        let mut next = *row;
        next.set(X86_64.ip, Some(back));
        next.set(X86_64.stack, Some(sp.wrapping_add(8)));
        Some(next)
    },
    is_behind_call: |memory, address| {
        let mut bytes = [0; 7];
        let read = memory.read(address.wrapping_sub(7), &mut bytes);
        // CALL of the Intel SDM: E8 with 32 bits, or FF /2 with none, 8 or 32 bits and a SIB byte or not.
        let by_register = |at: usize| bytes[at] == 0xff && bytes[at + 1] >> 3 & 7 == 2;
        read.is_some() && (bytes[2] == 0xe8 || [0, 1, 3, 4, 5].into_iter().any(by_register))
    },
    code: &code::X86_64,
    // Trampolines are in the C library and have tables.
    interrupted: |_, _| None,
};

/// DWARF for the Arm 64-bit architecture, 4.1, and the procedure call standard, 6.1.1.
const AARCH64: Convention = Convention {
    registers: 33,
    frame: 29,
    stack: 31,
    return_address: 30,
    ip: 32,
    saved: &[19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30],
    vendor: gimli::Vendor::AArch64,
    innermost: |_, image, row| {
        // A function that called nothing has its return address in x30.
        let back = row
            .get(AARCH64.return_address)
            .filter(|back| image.is_code(*back))?;
        let mut next = *row;
        next.set(AARCH64.ip, Some(back));
        Some(next)
    },
    is_behind_call: |memory, address| {
        let word = memory.word(address.wrapping_sub(4)).unwrap_or_default() as u32;
        // BL, and BLR with its forms that authenticate (Arm ARM, C6.2).
        word & 0xfc00_0000 == 0x9400_0000 || word & 0xfeff_f000 == 0xd63f_0000
    },
    code: &code::AARCH64,
    interrupted: aarch64_interrupted,
};

impl Convention {
    /// Without a table: the caller, by the code that is executed next, and whether every way through it leads there.
    pub(super) fn by_code(&self, memory: &Memory, image: &Image, row: &Row) -> Option<(Row, bool)> {
        let returns = self.code.returns(memory, row, row.get(self.ip)?)?;
        let known = |number: usize| self.saved.contains(&number) || number == self.stack;
        let mut next = Row::empty();
        for number in (0..self.registers).filter(|number| known(*number)) {
            next.set(number, returns.row.get(number));
        }
        next.set(self.return_address, Some(returns.to));
        next.set(self.ip, Some(returns.to));
        let is_return = self.is_return(memory, image, returns.to);
        is_return.then_some((next, returns.agreed))
    }

    /// Without a table: the caller of an innermost function, else by the chain of frame pointers, which
    /// both psABIs have as a pair of the caller's frame pointer and the return address.
    pub(super) fn caller(
        &self,
        memory: &Memory,
        image: &Image,
        row: &Row,
        innermost: bool,
    ) -> Option<Row> {
        if innermost && let Some(next) = (self.innermost)(memory, image, row) {
            return Some(next);
        }
        self.by_frame_pointer(memory, image, row)
            .or_else(|| self.by_search(memory, image, row))
    }

    fn by_frame_pointer(&self, memory: &Memory, image: &Image, row: &Row) -> Option<Row> {
        let frame = row.get(self.frame)?;
        let stack = row.get(self.stack)?;
        if frame < stack || frame - stack > LARGEST_FRAME {
            return None;
        }
        let back = memory.word(frame.checked_add(8)?)?;
        let mut next = *row;
        next.set(self.frame, memory.word(frame));
        next.set(self.return_address, Some(back));
        next.set(self.ip, Some(back));
        next.set(self.stack, frame.checked_add(16));
        image.is_code(back).then_some(next)
    }

    /// By the first word on the stack that looks like a return address.
    fn by_search(&self, memory: &Memory, image: &Image, row: &Row) -> Option<Row> {
        let stack = row.get(self.stack)?;
        let places = (0..LOOKED_THROUGH).filter_map(|word| stack.checked_add(word * 8));
        let found = |at: &u64| {
            let word = memory.word(*at);
            word.is_some_and(|word| self.is_return(memory, image, word))
        };
        let at = places.into_iter().find(found)?;
        let mut next = *row;
        let back = memory.word(at);
        next.set(self.return_address, back);
        next.set(self.ip, back);
        next.set(self.stack, at.checked_add(8));
        Some(next)
    }

    /// Whether a call could return to this address.
    fn is_return(&self, memory: &Memory, image: &Image, address: u64) -> bool {
        image.is_code(address) && (self.is_behind_call)(memory, address)
    }

    /// The code that a signal interrupted, for a row at the end of its handler.
    pub(super) fn interrupted(&self, memory: &Memory, row: &Row) -> Option<Row> {
        (self.interrupted)(memory, row)
    }
}

/// The trampoline of the vdso is known by its two instructions, as to GCC's unwinder: `mov x8,
/// #__NR_rt_sigreturn`, `svc #0`. `struct rt_sigframe` is on the stack then (the kernel's `signal.c`).
fn aarch64_interrupted(memory: &Memory, row: &Row) -> Option<Row> {
    const TRAMPOLINE: u64 = 0xd400_0001_d280_1168;
    /// `siginfo`, then of `ucontext` flags, link, stack, mask and its padding to 1024 bits, aligned to
    /// 16, and the fault address of `sigcontext`.
    const REGISTERS: u64 = 128 + 176 + 8;
    let ip = row.get(AARCH64.ip)?;
    if memory.word(ip)? != TRAMPOLINE {
        return None;
    }
    let saved = row.get(AARCH64.stack)?.checked_add(REGISTERS)?;
    let mut next = Row::empty();
    // x0 to x30, sp and pc lie there in this order.
    for (place, number) in next.0.iter_mut().zip(0_u64..) {
        *place = memory.word(saved.checked_add(number * 8)?);
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_memory() -> Memory {
        Memory::open(std::process::id().cast_signed()).unwrap()
    }

    #[test]
    fn a_signals_frame_of_aarch64_gives_back_what_was_interrupted() {
        let memory = own_memory();
        let trampoline = [0xd280_1168_u32, 0xd400_0001];
        let mut frame = vec![0_u64; 100];
        for (at, word) in frame[39..39 + 33].iter_mut().enumerate() {
            *word = 1000 + at as u64;
        }
        let mut row = Row::empty();
        row.set(AARCH64.stack, Some(frame.as_ptr() as u64));
        row.set(AARCH64.ip, Some(trampoline.as_ptr() as u64));
        let next = AARCH64.interrupted(&memory, &row).unwrap();
        assert_eq!(next.get(0), Some(1000));
        assert_eq!(next.get(AARCH64.return_address), Some(1030));
        assert_eq!(next.get(AARCH64.stack), Some(1031));
        assert_eq!(next.get(AARCH64.ip), Some(1032));
        row.set(AARCH64.ip, Some(frame.as_ptr() as u64));
        assert!(AARCH64.interrupted(&memory, &row).is_none());
    }

    #[test]
    fn a_chain_of_frame_pointers_is_followed_upwards_only() {
        let memory = own_memory();
        let image = Image::of(std::process::id().cast_signed());
        let code = a_chain_of_frame_pointers_is_followed_upwards_only as *const () as u64;
        let frames = [0x1111_u64, code, 0x1111, 0x2222];
        let at = frames.as_ptr() as u64;
        for convention in [&X86_64, &AARCH64] {
            let mut row = Row::empty();
            row.set(convention.stack, Some(at));
            row.set(convention.frame, Some(at));
            let followed = |row: &Row| convention.by_frame_pointer(&memory, &image, row);
            let next = followed(&row).unwrap();
            assert_eq!(next.get(convention.frame), Some(0x1111));
            assert_eq!(next.get(convention.ip), Some(code));
            assert_eq!(next.get(convention.stack), Some(at + 16));
            // Not downwards, not to nothing, not too far, and not where no code is.
            for wrong in [at - 8, 0, at + LARGEST_FRAME + 8, at + 16] {
                row.set(convention.frame, Some(wrong));
                assert!(followed(&row).is_none());
            }
        }
    }
}
