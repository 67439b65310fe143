//! What a call returned: told when it is new.

use super::super::assemble::{
    Do, Function, Label, R0, R1, R2, R3, R4, R6, R7, R8, R9, STACK, Size, When,
};
use super::super::layout::{call, record, state, task};
use super::{SILENT, SMALL, Writer};

/// `ERESTARTSYS` to `ERESTART_RESTARTBLOCK` of `linux/errno.h`: nothing has been returned yet.
const BEGINS_ANEW: (i32, i32) = (512, 516);
const LAST_ERROR: i32 = 4095;

impl Writer<'_> {
    /// Ends when the call returned what it was known to return.
    pub(super) fn expected(&mut self, unknown: Label) {
        let have = self.code.label();
        self.code.load(Size::Double, R1, R6, 8);
        self.code.set(R8, 0);
        self.code.jump_when(R1, When::AtLeastSigned, 0, have);
        self.code.jump_when(R1, When::BelowSigned, -63, unknown);
        self.code.with_register(Do::Add, R8, R1);
        self.code.with(Do::Negate, R8, 0);
        self.code.at(have);
        self.code.set(R1, 1);
        self.code.with_register(Do::Left, R1, R8);
        self.code.load(Size::Double, R2, R7, task::RETURNED);
        self.code.with_register(Do::And, R2, R1);
        self.code.jump_when(R2, When::Not, 0, self.end);
    }

    /// What the call in `R9` returned: told when it is new. Two processors that see something new at once may lose one of
    /// their marks, and tell it again.
    pub(super) fn result(&mut self) {
        let (have, send) = (self.code.label(), self.code.label());
        let end = self.end;
        self.code.load(Size::Double, R1, STACK, SILENT);
        self.code.jump_when(R1, When::Not, 0, end);
        self.code.load(Size::Double, R1, R6, 8);
        self.code.set(R8, 0);
        self.code.jump_when(R1, When::AtLeastSigned, 0, have);
        self.code
            .jump_when(R1, When::BelowSigned, -LAST_ERROR, have);
        self.code.copy(R8, R1);
        self.code.with(Do::Negate, R8, 0);
        let (first, last) = BEGINS_ANEW;
        let other = self.code.label();
        self.code.jump_when(R8, When::Above, last, other);
        self.code.jump_when(R8, When::AtLeast, first, end);
        self.code.at(other);
        self.code.at(have);
        self.code.jump_when(R8, When::AtLeast, call::ERRORS, send);
        self.bit();
        self.code.load(Size::Double, R2, R3, 0);
        self.code.with_register(Do::And, R2, R1);
        self.code.jump_when(R2, When::Not, 0, end);
        self.code.at(send);
        self.scratch(record::A_RESULT, SMALL);
        self.keyed();
        self.code.store(Size::Word, R0, record::ERROR, R8);
        self.code.copy(R2, R0);
        self.code.map(R1, self.maps.ring.map());
        self.code.set(R3, record::OF_RESULT.into());
        self.code.set(R4, 0);
        self.code.call(Function::Tell);
        self.code.jump_when(R8, When::AtLeast, call::ERRORS, end);
        // Without a mark it is told at its next return, or in the end.
        let sent = self.code.label();
        self.code.jump_when(R0, When::Equal, 0, sent);
        self.count(state::UNTOLD, 1);
        self.code.at(sent);
        self.bit();
        self.code.load(Size::Double, R2, R3, 0);
        self.code.with_register(Do::Or, R2, R1);
        self.code.store(Size::Double, R3, 0, R2);
    }

    /// `R1` the mark of the error in `R8`, below the last that has one, and `R3` where it is.
    pub(super) fn bit(&mut self) {
        self.code.copy(R3, R8);
        self.code.with(Do::Right, R3, 6);
        self.code.with(Do::Left, R3, 3);
        self.code.with_register(Do::Add, R3, R9);
        self.code.with(Do::Add, R3, call::RETURNED.into());
        self.code.copy(R2, R8);
        self.code.with(Do::And, R2, 63);
        self.code.set(R1, 1);
        self.code.with_register(Do::Left, R1, R2);
    }
}
