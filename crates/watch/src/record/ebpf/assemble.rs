//! Instructions of eBPF (the kernel's `bpf/standardization/instruction-set.rst`), put together with labels for jumps.
//!
//! Just what the programs of this back-end are made of. What they may do is the verifier's to say.

use portcullis_sys::ebpf::Map;

/// A register. `R1` to `R5` are arguments and lost in a call, `R0` is its result; `R6` to `R9` stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Register(u8);

pub(super) const R0: Register = Register(0);
pub(super) const R1: Register = Register(1);
pub(super) const R2: Register = Register(2);
pub(super) const R3: Register = Register(3);
pub(super) const R4: Register = Register(4);
pub(super) const R5: Register = Register(5);
pub(super) const R6: Register = Register(6);
pub(super) const R7: Register = Register(7);
pub(super) const R8: Register = Register(8);
pub(super) const R9: Register = Register(9);
/// Behind the last byte of the stack, of which there are 512.
pub(super) const STACK: Register = Register(10);

/// Functions of the kernel that programs may call, by their numbers in `linux/bpf.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    Lookup = 1,
    Update = 2,
    Delete = 3,
    Time = 5,
    Processor = 8,
    ProcessAndTask = 14,
    #[cfg(target_arch = "x86_64")]
    CurrentTask = 35,
    Stack = 67,
    ReadUser = 112,
    ReadKernel = 113,
    ReadUserText = 114,
    ReadKernelText = 115,
    Tell = 130,
}

/// When a jump is taken, as its instruction has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    Equal = 0x10,
    Above = 0x20,
    AtLeast = 0x30,
    AnyBit = 0x40,
    Not = 0x50,
    AtLeastSigned = 0x70,
    BelowSigned = 0xc0,
}

/// What is done to a register, as its instruction has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Do {
    Add = 0x00,
    Or = 0x40,
    And = 0x50,
    Left = 0x60,
    Right = 0x70,
    Negate = 0x80,
    Set = 0xb0,
}

/// How much of memory is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    Word = 0x00,
    Double = 0x18,
}

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(usize);

/// A program that is being written.
#[derive(Default)]
pub(super) struct Code {
    instructions: Vec<u64>,
    /// Where each label is.
    labels: Vec<Option<usize>>,
    /// Jumps, and where they lead.
    jumps: Vec<(usize, Label)>,
}

/// Classes and modes of instructions.
const LOAD: u8 = 0x61;
const STORE: u8 = 0x63;
const STORE_VALUE: u8 = 0x62;
const ATOMIC_DOUBLE: u8 = 0xdb;
const LOAD_64: u8 = 0x18;
const JUMP: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const ARITHMETIC: u8 = 0x07;
const ARITHMETIC_32: u8 = 0x04;
const BY_REGISTER: u8 = 0x08;
/// In the source of a 64-bit constant: it is a map, or the memory of an array with one value.
const OF_MAP: Register = Register(1);
const OF_MEMORY: Register = Register(2);

impl Code {
    fn push(&mut self, operation: u8, to: Register, from: Register, offset: i16, value: i32) {
        self.instructions.push(
            u64::from(operation)
                | u64::from(to.0) << 8
                | u64::from(from.0) << 12
                | u64::from(offset.cast_unsigned()) << 16
                | u64::from(value.cast_unsigned()) << 32,
        );
    }

    /// A label that is to be placed.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Places a label here.
    pub(super) fn at(&mut self, label: Label) {
        self.labels[label.0] = Some(self.instructions.len());
    }

    pub(super) fn set(&mut self, to: Register, value: i32) {
        self.with(Do::Set, to, value);
    }

    pub(super) fn copy(&mut self, to: Register, from: Register) {
        self.with_register(Do::Set, to, from);
    }

    /// `to = from + offset`.
    pub(super) fn address(&mut self, to: Register, from: Register, offset: i16) {
        self.copy(to, from);
        self.with(Do::Add, to, offset.into());
    }

    /// Only the lower half of a register is left.
    pub(super) fn lower_half(&mut self, of: Register) {
        self.push(ARITHMETIC_32 | BY_REGISTER | Do::Set as u8, of, of, 0, 0);
    }

    pub(super) fn with(&mut self, what: Do, to: Register, value: i32) {
        self.push(ARITHMETIC | what as u8, to, R0, 0, value);
    }

    pub(super) fn with_register(&mut self, what: Do, to: Register, from: Register) {
        self.push(ARITHMETIC | BY_REGISTER | what as u8, to, from, 0, 0);
    }

    pub(super) fn load(&mut self, size: Size, to: Register, from: Register, offset: i16) {
        self.push(LOAD | size as u8, to, from, offset, 0);
    }

    pub(super) fn store(&mut self, size: Size, to: Register, offset: i16, from: Register) {
        self.push(STORE | size as u8, to, from, offset, 0);
    }

    pub(super) fn store_value(&mut self, size: Size, to: Register, offset: i16, value: i32) {
        self.push(STORE_VALUE | size as u8, to, R0, offset, value);
    }

    /// Adds a register to a word of memory that other processors may be adding to.
    pub(super) fn add_to(&mut self, to: Register, offset: i16, from: Register) {
        self.push(ATOMIC_DOUBLE, to, from, offset, 0);
    }

    pub(super) fn call(&mut self, function: Function) {
        self.push(CALL, R0, R0, 0, function as i32);
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(JUMP, R0, R0, 0, 0);
    }

    pub(super) fn jump_when(&mut self, one: Register, when: When, value: i32, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(JUMP | when as u8, one, R0, 0, value);
    }

    pub(super) fn jump_when_register(
        &mut self,
        one: Register,
        when: When,
        other: Register,
        to: Label,
    ) {
        self.jumps.push((self.instructions.len(), to));
        self.push(JUMP | BY_REGISTER | when as u8, one, other, 0, 0);
    }

    /// A map, as functions take it.
    pub(super) fn map(&mut self, to: Register, map: &Map) {
        self.push(LOAD_64, to, OF_MAP, 0, map.descriptor());
        self.push(0, R0, R0, 0, 0);
    }

    /// The memory of the one value of an array.
    pub(super) fn memory(&mut self, to: Register, map: &Map) {
        self.push(LOAD_64, to, OF_MEMORY, 0, map.descriptor());
        self.push(0, R0, R0, 0, 0);
    }

    pub(super) fn exit(&mut self) {
        self.set(R0, 0);
        self.push(EXIT, R0, R0, 0, 0);
    }

    /// The program; `None` when a label has no place, or one that is too far away.
    pub(super) fn finish(mut self) -> Option<Vec<u64>> {
        for (from, label) in self.jumps {
            let to = self.labels[label.0]?;
            let offset = i16::try_from(to as i64 - from as i64 - 1).ok()?;
            self.instructions[from] |= u64::from(offset.cast_unsigned()) << 16;
        }
        Some(self.instructions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_the_kernels() {
        let mut code = Code::default();
        let end = code.label();
        code.load(Size::Double, R2, R6, 8);
        code.jump_when(R2, When::Equal, -1, end);
        code.store_value(Size::Word, STACK, -8, 7);
        code.with(Do::And, R2, 0xff);
        code.lower_half(R2);
        code.add_to(R1, 16, R2);
        code.at(end);
        code.exit();
        // As `llvm-mc -triple bpfel` writes them.
        assert_eq!(
            code.finish().unwrap(),
            [
                0x0000_0000_0008_6279,
                0xffff_ffff_0004_0215,
                0x0000_0007_fff8_0a62,
                0x0000_00ff_0000_0257,
                0x0000_0000_0000_22bc,
                0x0000_0000_0010_21db,
                0x0000_0000_0000_00b7,
                0x0000_0000_0000_0095,
            ]
        );
        let mut code = Code::default();
        let nowhere = code.label();
        code.jump(nowhere);
        assert_eq!(code.finish(), None);
    }
}
