//! The record of a call that is new: what the registers do not tell, and the way to the reader.

use portcullis_abi::Arch;

use super::super::assemble::{
    Do, Function, Label, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, Register, STACK, Size, When,
};
use super::super::layout::{call, key, place, record, state, task};
use super::{
    At, LENGTH, OTHER_SMALL, OTHER_STACK, SCRATCH, SMALL, TASK, USERS_FRAMES_BY_FILE, Writer,
};

impl Writer<'_> {
    /// `R0`: memory in which a record is made, with its head.
    pub(super) fn scratch(&mut self, kind: i32, small: i16) {
        self.code.store_value(Size::Double, STACK, small, 0);
        self.find(&self.maps.scratch, small);
        self.code.jump_when(R0, When::Equal, 0, self.end);
        self.code.store_value(Size::Word, R0, record::KIND, kind);
        self.code.load(Size::Double, R1, STACK, TASK);
        self.code.store(Size::Word, R0, record::TASK, R1);
        self.code.with(Do::Right, R1, 32);
        self.code.store(Size::Word, R0, record::PROCESS, R1);
        self.code.store_value(Size::Word, R0, record::ERROR, 0);
    }

    /// The key of the task's call, into the record in `R0`.
    pub(super) fn keyed(&mut self) {
        for at in (0..key::SIZE).step_by(8) {
            self.code.load(Size::Double, R1, R7, at);
            self.code.store(Size::Double, R0, record::KEY + at, R1);
        }
    }

    /// Sends `R3` bytes of a record, and notes that at an offset from `R9`.
    pub(super) fn send(&mut self, from: Register, told: i16, then: Label) {
        let sent = self.code.label();
        self.code
            .jump_when(R3, When::Above, record::SIZE.into(), then);
        self.code.map(R1, self.maps.ring.map());
        self.code.copy(R2, from);
        self.code.set(R4, 0);
        self.code.call(Function::Tell);
        self.code.jump_when(R0, When::Equal, 0, sent);
        self.count(state::UNTOLD, 1);
        self.code.jump(then);
        self.code.at(sent);
        self.code.store_value(Size::Double, R9, told, 1);
    }

    /// Tells of the call in `R9`, whose place is in `R8`. Memory that the program has not touched yet cannot be read at the
    /// entry: then it waits for the exit, before which the kernel has.
    pub(super) fn tell(&mut self, at: At, then: Label) {
        let output = self.code.label();
        self.called(SMALL);
        self.code.store(Size::Double, STACK, SCRATCH, R0);
        self.length(record::TEXT);
        if at == At::Exit {
            // After an exec the addresses are those of another program.
            self.code.load(Size::Double, R1, R7, task::IMAGE);
            self.code.load(Size::Double, R2, R7, key::IMAGE);
            self.code.jump_when_register(R1, When::Not, R2, output);
        }
        let paths = place::PATHS.into_iter().zip(record::LENGTHS);
        for ((slot, length), begin) in paths.zip([record::TEXT, record::TEXT + record::LONGEST]) {
            let none = self.code.label();
            self.argument(slot, none);
            self.code.load(Size::Double, R1, STACK, SCRATCH);
            self.code.with(Do::Add, R1, begin.into());
            self.code.set(R2, record::LONGEST.into());
            self.code.call(Function::ReadUserText);
            let unread = if at == At::Entry { then } else { none };
            self.code.jump_when(R0, When::BelowSigned, 0, unread);
            self.code.load(Size::Double, R1, STACK, SCRATCH);
            self.code.store(Size::Word, R1, length, R0);
            self.code.with(Do::Add, R0, begin.into());
            self.code.store(Size::Double, STACK, LENGTH, R0);
            self.code.at(none);
        }
        self.address_of_socket(at, then, output);
        self.code.at(output);
        self.code.load(Size::Double, R3, STACK, LENGTH);
        self.code.load(Size::Double, R2, STACK, SCRATCH);
        self.send(R2, call::TOLD, then);
    }

    /// `R0`: the record of the task's call, without texts.
    pub(super) fn called(&mut self, small: i16) {
        self.scratch(record::A_CALL, small);
        self.keyed();
        self.code.load(Size::Double, R1, R7, task::IP);
        self.code.store(Size::Double, R0, record::IP, R1);
        for at in (0..task::FRAME_SIZE).step_by(8) {
            self.code.load(Size::Double, R1, R7, task::FRAME + at);
            self.code.store(Size::Double, R0, record::FRAME + at, R1);
        }
        for length in record::LENGTHS {
            self.code.store_value(Size::Word, R0, length, 0);
        }
    }

    /// The code that makes the task's call, by its file.
    pub(super) fn frame(&mut self) {
        self.code.store_value(Size::Double, R7, task::FRAME, 0);
        self.code.copy(R1, R6);
        self.code.address(R2, R7, task::FRAME);
        self.code.set(R3, task::FRAME_SIZE.into());
        self.code.set(R4, USERS_FRAMES_BY_FILE);
        self.code.call(Function::Stack);
    }

    pub(super) fn length(&mut self, length: i16) {
        self.code
            .store_value(Size::Double, STACK, LENGTH, length.into());
    }

    /// `R3`: the task's argument that a slot of the place names.
    pub(super) fn argument(&mut self, slot: i16, none: Label) {
        let last = task::ARGUMENTS + 40;
        self.code.load(Size::Word, R1, R8, slot);
        self.code.jump_when(R1, When::Equal, 0, none);
        self.code.jump_when(R1, When::Above, last.into(), none);
        self.code.copy(R2, R7);
        self.code.with_register(Do::Add, R2, R1);
        self.code.load(Size::Double, R3, R2, 0);
        self.code.jump_when(R3, When::Equal, 0, none);
    }

    pub(super) fn address_of_socket(&mut self, at: At, then: Label, output: Label) {
        let fits = self.code.label();
        self.argument(place::LENGTH, output);
        self.code.lower_half(R3);
        self.code.copy(R5, R3);
        let longest = record::LONGEST_ADDRESS;
        self.code.set(R1, longest);
        self.code.jump_when_register(R1, When::AtLeast, R5, fits);
        self.code.set(R5, longest);
        self.code.at(fits);
        self.code.store(Size::Double, STACK, OTHER_SMALL, R5);
        self.argument(place::ADDRESS, output);
        self.code.load(Size::Double, R2, STACK, OTHER_SMALL);
        self.code.jump_when(R2, When::Above, longest, output);
        self.code.load(Size::Double, R1, STACK, SCRATCH);
        self.code.with(Do::Add, R1, record::TEXT.into());
        self.code.call(Function::ReadUser);
        let unread = if at == At::Entry { then } else { output };
        self.code.jump_when(R0, When::Not, 0, unread);
        self.code.load(Size::Double, R1, STACK, SCRATCH);
        self.code.load(Size::Double, R2, STACK, OTHER_SMALL);
        self.code.store(Size::Word, R1, record::LENGTHS[2], R2);
        self.code.with(Do::Add, R2, record::TEXT.into());
        self.code.store(Size::Double, STACK, LENGTH, R2);
    }

    /// The kernel's text that a pointer on the stack leads to, as the text of the record in `R6`, whose length is in `R3` then.
    pub(super) fn kernels_text(&mut self, pointer: i16) {
        let have = self.code.label();
        self.code.address(R1, R6, record::TEXT);
        self.code.set(R2, record::LONGEST.into());
        self.code.load(Size::Double, R3, STACK, pointer);
        self.code.call(Function::ReadKernelText);
        self.code.jump_when(R0, When::AtLeastSigned, 0, have);
        self.code.set(R0, 0);
        self.code.at(have);
        self.code.store(Size::Word, R6, record::LENGTHS[0], R0);
        self.code.copy(R3, R0);
        self.code.with(Do::Add, R3, record::TEXT.into());
    }

    /// In the exec of the binary in `R8`: tells of the call that it is, when its path could not be read. The kernel has it, and
    /// the program's memory is gone when the call returns.
    pub(super) fn executes(&mut self, pointer: i16) {
        let done = self.code.label();
        let number = Arch::NATIVE.number("execve").map_or(0, |number| number.0);
        let arch = Arch::NATIVE.audit_arch();
        self.code.load(Size::Word, R1, R7, task::STANDS);
        self.code.jump_when(R1, When::Not, task::INSIDE, done);
        self.code.load(Size::Word, R1, R7, key::NUMBER);
        self.code
            .jump_when(R1, When::Not, number.cast_signed(), done);
        self.code.load(Size::Word, R1, R7, key::ARCH);
        self.code.set(R2, arch.cast_signed());
        self.code.lower_half(R2);
        self.code.jump_when_register(R1, When::Not, R2, done);
        self.code.copy(R2, R7);
        self.code.map(R1, &self.maps.calls);
        self.code.call(Function::Lookup);
        self.code.jump_when(R0, When::Equal, 0, done);
        self.code.copy(R9, R0);
        self.code.load(Size::Double, R1, R9, call::TOLD);
        self.code.jump_when(R1, When::Not, 0, done);
        self.called(OTHER_STACK);
        self.code.copy(R6, R0);
        self.read_field(pointer, Size::Double, R8, self.offsets.name);
        self.kernels_text(pointer);
        self.send(R6, call::TOLD, done);
        self.code.at(done);
    }
}
