//! Which call a task is in: its key, its place in the table, and its count.

use portcullis_abi::Arch;

use super::super::assemble::{
    Do, Function, Label, R0, R1, R2, R3, R4, R6, R7, R8, R9, STACK, Size, When,
};
use super::super::layout::{
    COMPATIBLE, NUMBERS, OTHER, UNKNOWN, VALUES, X32, call, key, place, state, task,
};
use super::{At, FRESH, ONLY_NEW, SMALL, Writer};
use crate::record::made::MOST;

/// `TS_COMPAT` of the kernel's `asm/thread_info.h`: the task is in a call of i386.
#[cfg(target_arch = "x86_64")]
const IN_COMPATIBLE: i32 = 2;
/// `PSR_MODE32_BIT` of `asm/ptrace.h`.
#[cfg(target_arch = "aarch64")]
const MODE_32: i32 = 0x10;

/// Where `struct pt_regs` has what, and the part of it that is read (`asm/ptrace.h`).
#[cfg(target_arch = "x86_64")]
mod registers {
    pub(super) const FIRST: i16 = 32;
    pub(super) const SIZE: i16 = 128;
    pub(super) const ARGUMENTS: [i16; 6] = [112, 104, 96, 56, 72, 64];
    /// Of calls of i386.
    pub(super) const OTHERS: [i16; 6] = [40, 88, 96, 104, 112, 32];
    pub(super) const NUMBER: i16 = 120;
    pub(super) const IP: i16 = 128;
}
#[cfg(target_arch = "aarch64")]
mod registers {
    pub(super) const FIRST: i16 = 0;
    pub(super) const SIZE: i16 = 288;
    /// The first register is lost in the result, and kept behind the others.
    pub(super) const ARGUMENTS: [i16; 6] = [272, 8, 16, 24, 32, 40];
    pub(super) const OTHERS: [i16; 6] = ARGUMENTS;
    pub(super) const NUMBER: i16 = 280;
    pub(super) const IP: i16 = 256;
    pub(super) const MODE: i16 = 264;
}
/// Where the part of them begins that was read, as a place on the stack.
const REGISTERS: i16 = READ - registers::FIRST;
const READ: i16 = -96 - registers::SIZE;

impl Writer<'_> {
    /// The key of the call, in the task, with its arguments and its place.
    pub(super) fn key(&mut self, at: At) {
        let own = Arch::NATIVE.audit_arch().cast_signed();
        let other = OTHER.audit_arch().cast_signed();
        let (compatible, native, have) = (self.code.label(), self.code.label(), self.code.label());
        self.code.load(Size::Double, R1, R7, task::IMAGE);
        self.code.store(Size::Double, R7, key::IMAGE, R1);
        self.code.load(Size::Double, R3, R6, 0);
        self.code.with(Do::Add, R3, registers::FIRST.into());
        self.code.address(R1, STACK, READ);
        self.code.set(R2, registers::SIZE.into());
        self.code.call(Function::ReadKernel);
        match at {
            At::Entry => self.code.load(Size::Double, R8, R6, 8),
            At::Exit => {
                let number = REGISTERS + registers::NUMBER;
                self.code.load(Size::Word, R8, STACK, number);
            }
        }
        self.code.lower_half(R8);
        self.code.store(Size::Word, R7, key::NUMBER, R8);
        self.code
            .load(Size::Double, R1, STACK, REGISTERS + registers::IP);
        self.code.store(Size::Double, R7, task::IP, R1);
        self.is_compatible(compatible);
        self.arguments(registers::ARGUMENTS, own);
        if cfg!(target_arch = "x86_64") {
            self.code
                .jump_when(R8, When::AnyBit, Arch::X32_BIT.cast_signed(), native);
        }
        self.index(0, have);
        if cfg!(target_arch = "x86_64") {
            self.code.at(native);
            self.code.with(Do::And, R8, (!Arch::X32_BIT).cast_signed());
            self.code.lower_half(R8);
            self.index(X32, have);
        }
        self.code.at(compatible);
        self.arguments(registers::OTHERS, other);
        self.index(COMPATIBLE, have);
        self.code.at(have);
        self.code.store(Size::Word, R7, task::PLACE, R8);
        self.place();
        for index in 0..MOST as i16 {
            let none = self.code.label();
            let value = key::VALUES + 8 * index;
            self.code.store_value(Size::Double, R7, value, 0);
            self.argument(place::ARGUMENTS + 4 * index, none);
            self.code
                .load(Size::Double, R2, R8, place::MASKS + 8 * index);
            self.code.with_register(Do::And, R3, R2);
            self.code.store(Size::Double, R7, value, R3);
            self.code.at(none);
        }
        self.code.store_value(Size::Double, R7, key::ANY, 0);
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn is_compatible(&mut self, then: Label) {
        let status = self.offsets.status.unwrap_or_default();
        self.code.call(Function::CurrentTask);
        self.code.store_value(Size::Double, STACK, SMALL, 0);
        self.read_field(SMALL, Size::Word, R0, status);
        self.code.load(Size::Word, R1, STACK, SMALL);
        self.code.jump_when(R1, When::AnyBit, IN_COMPATIBLE, then);
    }

    #[cfg(target_arch = "aarch64")]
    pub(super) fn is_compatible(&mut self, then: Label) {
        self.code
            .load(Size::Double, R1, STACK, REGISTERS + registers::MODE);
        self.code.jump_when(R1, When::AnyBit, MODE_32, then);
    }

    pub(super) fn arguments(&mut self, places: [i16; 6], arch: i32) {
        for (index, place) in (0..).zip(places) {
            self.code.load(Size::Double, R1, STACK, REGISTERS + place);
            if arch == OTHER.audit_arch().cast_signed() {
                self.code.lower_half(R1);
            }
            self.code
                .store(Size::Double, R7, task::ARGUMENTS + 8 * index, R1);
        }
        self.code.set(R1, arch);
        self.code.store(Size::Word, R7, key::ARCH, R1);
    }

    /// `R8`: from a number to its place in the table.
    pub(super) fn index(&mut self, first: u32, then: Label) {
        let known = self.code.label();
        let numbers = NUMBERS.cast_signed() - 1;
        self.code.set(R1, numbers);
        self.code.jump_when_register(R1, When::AtLeast, R8, known);
        self.code.set(R8, UNKNOWN.cast_signed());
        self.code.jump(then);
        self.code.at(known);
        self.code.with(Do::Add, R8, first.cast_signed());
        self.code.jump(then);
    }

    /// `R8`: what the table says of the task's call.
    pub(super) fn place(&mut self) {
        self.code.load(Size::Word, R1, R7, task::PLACE);
        self.code.store(Size::Double, STACK, SMALL, R1);
        self.find(&self.maps.places, SMALL);
        self.code.jump_when(R0, When::Equal, 0, self.end);
        self.code.copy(R8, R0);
    }

    pub(super) fn find_call(&mut self, have: Label) {
        self.code.copy(R2, R7);
        self.code.map(R1, &self.maps.calls);
        self.code.call(Function::Lookup);
        self.code.copy(R9, R0);
        self.code.jump_when(R9, When::Not, 0, have);
    }

    /// `R9`: the call in the table of calls, counted; ends when there is no room for it.
    pub(super) fn counted(&mut self) {
        let (have, numbered, any, insert) = (
            self.code.label(),
            self.code.label(),
            self.code.label(),
            self.code.label(),
        );
        self.find_call(have);
        let number = |own: &mut Self| {
            own.code.copy(R2, R7);
            own.code.map(R1, &own.maps.numbers);
            own.code.call(Function::Lookup);
            own.code.jump_when(R0, When::Not, 0, numbered);
        };
        number(self);
        self.code.store_value(Size::Double, STACK, SMALL, 0);
        self.code.map(R1, &self.maps.numbers);
        self.code.copy(R2, R7);
        self.code.address(R3, STACK, SMALL);
        self.code.set(R4, ONLY_NEW);
        self.code.call(Function::Update);
        number(self);
        self.code.jump(insert);
        self.code.at(numbered);
        self.code.load(Size::Double, R1, R0, 0);
        self.code.jump_when(R1, When::AtLeast, VALUES, any);
        self.code.set(R1, 1);
        self.code.add_to(R0, 0, R1);
        self.code.jump(insert);
        self.code.at(any);
        self.code.store_value(Size::Double, R7, key::ANY, 1);
        for index in 0..MOST as i16 {
            let at = key::VALUES + 8 * index;
            self.code.store_value(Size::Double, R7, at, 0);
        }
        self.find_call(have);
        self.code.at(insert);
        for at in (0..call::SIZE).step_by(8) {
            self.code.store_value(Size::Double, STACK, FRESH + at, 0);
        }
        self.code.map(R1, &self.maps.calls);
        self.code.copy(R2, R7);
        self.code.address(R3, STACK, FRESH);
        self.code.set(R4, ONLY_NEW);
        self.code.call(Function::Update);
        self.find_call(have);
        self.stands(task::PASSED_OVER);
        self.count(state::LOST_CALLS, 1);
        self.code.jump(self.end);
        self.code.at(have);
        self.code.set(R1, 1);
        self.code.add_to(R9, call::COUNT, R1);
    }
}
