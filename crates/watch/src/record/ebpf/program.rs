//! The programs that run in the kernel: at the entry and the exit of each call, and when tasks are created, execute a program
//! and end.
//!
//! Each first asks whether the task is followed. Two rules keep calls from being lost: the table of calls is the truth, read
//! once more in the end, and a record of it is sent again at the next occasion until there was room for it; and what could
//! not be kept is counted.

use portcullis_abi::Arch;

use super::assemble::{
    Code, Do, Function, Label, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, Register, STACK, Size, When,
};
use super::layout::{
    COMPATIBLE, NUMBERS, OTHER, UNKNOWN, VALUES, X32, call, image, key, place, record, state, task,
};
use super::maps::Maps;
use super::structure::Offsets;

/// Places on the stack of each program.
const TASK: i16 = -8;
const SCRATCH: i16 = -16;
const LENGTH: i16 = -24;
const SMALL: i16 = -32;
const OTHER_SMALL: i16 = -40;
const SILENT: i16 = -48;
const FRESH: i16 = SILENT - call::SIZE;
const REGISTERS: i16 = -96 - registers::SIZE;

/// `BPF_NOEXIST`, `BPF_RB_FORCE_WAKEUP`, and `BPF_F_USER_STACK | BPF_F_USER_BUILD_ID` of `linux/bpf.h`.
const ONLY_NEW: i32 = 1;
const WAKE: i32 = 2;
const USERS_FRAMES_BY_FILE: i32 = 1 << 8 | 1 << 11;
/// `TS_COMPAT` of the kernel's `asm/thread_info.h`: the task is in a call of i386.
#[cfg(target_arch = "x86_64")]
const IN_COMPATIBLE: i32 = 2;
/// `PSR_MODE32_BIT` of `asm/ptrace.h`.
#[cfg(target_arch = "aarch64")]
const MODE_32: i32 = 0x10;
/// What Linux 6.13 marks nanoseconds of an inode with (`I_CTIME_QUERIED` of `linux/fs.h`).
const NANOSECONDS: i32 = 0x7fff_ffff;
/// `ERESTARTSYS` to `ERESTART_RESTARTBLOCK` of `linux/errno.h`: nothing has been returned yet.
const BEGINS_ANEW: (i32, i32) = (512, 516);
const LAST_ERROR: i32 = 4095;

/// The part of `struct pt_regs` that is read, and where in that part what is.
#[cfg(target_arch = "x86_64")]
mod registers {
    pub(super) const FIRST: i16 = 32;
    pub(super) const SIZE: i16 = 128;
    pub(super) const ARGUMENTS: [i16; 6] = [112 - 32, 104 - 32, 96 - 32, 56 - 32, 72 - 32, 64 - 32];
    pub(super) const OTHERS: [i16; 6] = [40 - 32, 88 - 32, 96 - 32, 104 - 32, 112 - 32, 32 - 32];
    pub(super) const NUMBER: i16 = 120 - 32;
    pub(super) const IP: i16 = 128 - 32;
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

/// What programs are written with.
pub(super) struct Writer<'a> {
    code: Code,
    maps: &'a Maps,
    offsets: &'a Offsets,
    /// Where a program ends.
    end: Label,
}

/// At which end of a call a program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Entry,
    Exit,
}

impl<'a> Writer<'a> {
    fn new(maps: &'a Maps, offsets: &'a Offsets) -> Writer<'a> {
        let mut code = Code::default();
        let end = code.label();
        Writer {
            code,
            maps,
            offsets,
            end,
        }
    }

    fn finish(mut self) -> Option<Vec<u64>> {
        self.code.at(self.end);
        self.code.exit();
        self.code.finish()
    }

    /// `sys_enter(registers, number)`.
    pub(super) fn entry(maps: &Maps, offsets: &Offsets) -> Option<Vec<u64>> {
        let mut own = Writer::new(maps, offsets);
        own.followed();
        own.key(At::Entry);
        own.counted();
        let told = own.code.label();
        own.code.load(Size::Double, R1, R9, call::TOLD);
        own.code.jump_when(R1, When::Not, 0, told);
        own.tell(At::Entry, told);
        own.code.at(told);
        own.stands(task::INSIDE);
        own.finish()
    }

    /// `sys_exit(registers, value)`.
    pub(super) fn exit(maps: &Maps, offsets: &Offsets) -> Option<Vec<u64>> {
        let mut own = Writer::new(maps, offsets);
        own.followed();
        let (known, have, result) = (own.code.label(), own.code.label(), own.code.label());
        own.code.store_value(Size::Double, STACK, SILENT, 0);
        own.code.load(Size::Word, R1, R7, task::STANDS);
        own.stands(task::OUTSIDE);
        own.code
            .jump_when(R1, When::Equal, task::PASSED_OVER, own.end);
        own.code.jump_when(R1, When::Equal, task::INSIDE, known);
        // A filter has answered, before the entry would have been seen.
        own.key(At::Exit);
        own.counted();
        // Where it answers by a signal, what seems to be returned is the number (`syscall_rollback`).
        own.code.load(Size::Double, R1, R6, 8);
        own.code.load(Size::Word, R2, R7, key::NUMBER);
        own.code.jump_when_register(R1, When::Not, R2, have);
        own.code.store_value(Size::Double, STACK, SILENT, 1);
        own.code.jump(have);
        own.code.at(known);
        own.code.copy(R2, R7);
        own.code.map(R1, &maps.calls);
        own.code.call(Function::Lookup);
        own.code.jump_when(R0, When::Equal, 0, own.end);
        own.code.copy(R9, R0);
        own.code.at(have);
        own.code.load(Size::Double, R1, R9, call::TOLD);
        own.code.jump_when(R1, When::Not, 0, result);
        own.place();
        own.tell(At::Exit, result);
        own.code.at(result);
        own.result();
        own.finish()
    }

    /// `sched_process_fork(parent, child)`: before the child runs.
    pub(super) fn fork(maps: &Maps, offsets: &Offsets) -> Option<Vec<u64>> {
        const CHILD: i16 = -16;
        const VALUE: i16 = CHILD - task::SIZE;
        let mut own = Writer::new(maps, offsets);
        let lost = own.code.label();
        own.code.copy(R6, R1);
        own.current();
        own.lookup_task(TASK);
        own.code.store_value(Size::Double, STACK, CHILD, 0);
        own.code.load(Size::Double, R3, R6, 8);
        own.read_field(CHILD, Size::Word, R3, offsets.task);
        for at in (0..task::SIZE).step_by(8) {
            own.code.store_value(Size::Double, STACK, VALUE + at, 0);
        }
        own.code.load(Size::Double, R1, R7, task::IMAGE);
        own.code.store(Size::Double, STACK, VALUE + task::IMAGE, R1);
        let stands = VALUE + task::STANDS;
        own.code
            .store_value(Size::Word, STACK, stands, task::PASSED_OVER);
        own.code.map(R1, &maps.tasks);
        own.code.address(R2, STACK, CHILD);
        own.code.address(R3, STACK, VALUE);
        own.code.set(R4, 0);
        own.code.call(Function::Update);
        own.code.jump_when(R0, When::Not, 0, lost);
        own.count(state::ALIVE, 1);
        own.count(state::TASKS, 1);
        own.code.jump(own.end);
        own.code.at(lost);
        own.count(state::LOST_TASKS, 1);
        own.finish()
    }

    /// `sched_process_exit(task)`.
    pub(super) fn end(maps: &Maps, offsets: &Offsets) -> Option<Vec<u64>> {
        const RECORD: i16 = -8 - record::KEY;
        let mut own = Writer::new(maps, offsets);
        own.current();
        own.code.map(R1, &maps.tasks);
        own.code.address(R2, STACK, TASK);
        own.code.call(Function::Delete);
        own.code.jump_when(R0, When::Not, 0, own.end);
        own.count(state::ALIVE, -1);
        own.code.memory(R1, &maps.state);
        own.code.load(Size::Double, R1, R1, state::ALIVE);
        // Of several that end at once the last sees it, and others may.
        own.code.jump_when(R1, When::Not, 0, own.end);
        for at in (0..record::KEY).step_by(8) {
            own.code.store_value(Size::Double, STACK, RECORD + at, 0);
        }
        own.code
            .store_value(Size::Word, STACK, RECORD, record::THE_END);
        own.code.map(R1, maps.ring.map());
        own.code.address(R2, STACK, RECORD);
        own.code.set(R3, record::KEY.into());
        own.code.set(R4, WAKE);
        own.code.call(Function::Tell);
        own.finish()
    }

    /// `sched_process_exec(task, former number, binary)`: it runs the new program, of which nothing has run yet.
    pub(super) fn exec(maps: &Maps, offsets: &Offsets) -> Option<Vec<u64>> {
        const FORMER: i16 = -16;
        const POINTER: i16 = -24;
        const FILE: i16 = POINTER - image::KEY;
        const VALUE: i16 = FILE - image::SIZE;
        const BY: i16 = VALUE - 8;
        let mut own = Writer::new(maps, offsets);
        let (same, known, lost, have) = (
            own.code.label(),
            own.code.label(),
            own.code.label(),
            own.code.label(),
        );
        own.code.copy(R6, R1);
        own.current();
        own.code.load(Size::Double, R1, R6, 8);
        own.code.store(Size::Double, STACK, FORMER, R1);
        own.lookup_task(FORMER);
        // A thread that executes takes its leader's number.
        own.code.load(Size::Word, R1, STACK, FORMER);
        own.code.load(Size::Word, R2, STACK, TASK);
        own.code.jump_when_register(R1, When::Equal, R2, same);
        own.code.map(R1, &maps.tasks);
        own.code.address(R2, STACK, TASK);
        own.code.copy(R3, R7);
        own.code.set(R4, 0);
        own.code.call(Function::Update);
        own.code.map(R1, &maps.tasks);
        own.code.address(R2, STACK, FORMER);
        own.code.call(Function::Delete);
        let moved = own.code.label();
        own.find_task(TASK);
        own.code.jump_when(R0, When::Not, 0, moved);
        own.count(state::ALIVE, -1);
        own.count(state::LOST_TASKS, 1);
        own.code.jump(own.end);
        own.code.at(moved);
        own.code.copy(R7, R0);
        own.code.at(same);
        own.code.load(Size::Double, R8, R6, 16);
        own.read_field(POINTER, Size::Double, R8, offsets.binary);
        own.code.load(Size::Double, R3, STACK, POINTER);
        own.read_field(POINTER, Size::Double, R3, offsets.inode);
        own.code.load(Size::Double, R9, STACK, POINTER);
        own.code.store_value(Size::Double, STACK, FILE, 0);
        own.code.store_value(Size::Double, STACK, FILE + 24, 0);
        own.read_field(POINTER, Size::Double, R9, offsets.tree);
        own.code.load(Size::Double, R3, STACK, POINTER);
        own.read_field(FILE, Size::Word, R3, offsets.device);
        own.read_field(FILE + 8, Size::Double, R9, offsets.number);
        own.read_field(FILE + 16, Size::Double, R9, offsets.seconds);
        own.read_field(FILE + 24, Size::Word, R9, offsets.nanoseconds);
        own.code.load(Size::Double, R1, STACK, FILE + 24);
        own.code.with(Do::And, R1, NANOSECONDS);
        own.code.store(Size::Double, STACK, FILE + 24, R1);
        own.find(&maps.images, FILE);
        own.code.jump_when(R0, When::Not, 0, known);
        // A number that nobody else has: one processor has one such moment.
        own.code.call(Function::Time);
        own.code.copy(R9, R0);
        own.code.call(Function::Processor);
        own.code.with(Do::Left, R9, 10);
        own.code.with_register(Do::Add, R9, R0);
        own.code.store(Size::Double, STACK, VALUE + image::ID, R9);
        own.code
            .store_value(Size::Double, STACK, VALUE + image::TOLD, 0);
        own.code.map(R1, &maps.images);
        own.code.address(R2, STACK, FILE);
        own.code.address(R3, STACK, VALUE);
        own.code.set(R4, ONLY_NEW);
        own.code.call(Function::Update);
        own.find(&maps.images, FILE);
        own.code.jump_when(R0, When::Equal, 0, lost);
        own.code.at(known);
        own.code.copy(R9, R0);
        own.code.load(Size::Double, R1, R7, task::IMAGE);
        own.code.store(Size::Double, STACK, BY, R1);
        own.code.load(Size::Double, R1, R9, image::ID);
        own.code.store(Size::Double, R7, task::IMAGE, R1);
        own.code.load(Size::Double, R1, R9, image::TOLD);
        own.code.jump_when(R1, When::Not, 0, own.end);
        own.scratch(record::A_PROGRAM, OTHER_STACK);
        own.code.copy(R6, R0);
        for (to, from) in [(record::IMAGE, None), (record::BY, Some(BY))] {
            match from {
                None => own.code.load(Size::Double, R1, R9, image::ID),
                Some(at) => own.code.load(Size::Double, R1, STACK, at),
            }
            own.code.store(Size::Double, R6, to, R1);
        }
        for at in (0..image::KEY).step_by(8) {
            own.code.load(Size::Double, R1, STACK, FILE + at);
            own.code.store(Size::Double, R6, record::FILE + at, R1);
        }
        own.read_field(POINTER, Size::Double, R8, offsets.interpreter);
        own.code.address(R1, R6, record::TEXT);
        own.code.set(R2, record::LONGEST.into());
        own.code.load(Size::Double, R3, STACK, POINTER);
        own.code.call(Function::ReadKernelText);
        own.code.jump_when(R0, When::AtLeastSigned, 0, have);
        own.code.set(R0, 0);
        own.code.at(have);
        own.code.store(Size::Word, R6, record::LENGTHS[0], R0);
        own.code.copy(R3, R0);
        own.code.with(Do::Add, R3, record::TEXT.into());
        own.send(R6, image::TOLD, own.end);
        own.code.jump(own.end);
        own.code.at(lost);
        own.code
            .store_value(Size::Double, R7, task::IMAGE, image::OTHERS);
        own.count(state::LOST_IMAGES, 1);
        own.finish()
    }

    /// The current task and process, on the stack.
    fn current(&mut self) {
        self.code.call(Function::ProcessAndTask);
        self.code.store(Size::Double, STACK, TASK, R0);
    }

    /// `R0`: the value of the key on the stack, or 0.
    fn find(&mut self, map: &portcullis_sys::ebpf::Map, at: i16) {
        self.code.map(R1, map);
        self.code.address(R2, STACK, at);
        self.code.call(Function::Lookup);
    }

    fn find_task(&mut self, at: i16) {
        self.find(&self.maps.tasks, at);
    }

    /// `R7`: the task whose number is on the stack; ends when it is not followed.
    fn lookup_task(&mut self, at: i16) {
        self.find_task(at);
        self.code.jump_when(R0, When::Equal, 0, self.end);
        self.code.copy(R7, R0);
    }

    /// `R6` what the tracepoint tells, `R7` the current task; ends when that is not followed, or has executed nothing yet.
    fn followed(&mut self) {
        self.code.copy(R6, R1);
        self.current();
        self.lookup_task(TASK);
        self.code.load(Size::Double, R1, R7, task::IMAGE);
        self.code.jump_when(R1, When::Equal, image::NONE, self.end);
    }

    fn stands(&mut self, how: i32) {
        self.code.store_value(Size::Word, R7, task::STANDS, how);
    }

    /// Adds to a counter.
    fn count(&mut self, counter: i16, by: i32) {
        self.code.memory(R1, &self.maps.state);
        self.code.set(R2, by);
        self.code.add_to(R1, counter, R2);
    }

    /// Reads a field of what a register leads to in the kernel to the stack. What cannot be read there is 0.
    fn read_field(&mut self, to: i16, size: Size, from: Register, offset: u32) {
        self.code.copy(R3, from);
        self.code.with(Do::Add, R3, offset.cast_signed());
        self.code.address(R1, STACK, to);
        self.code.set(R2, if size == Size::Word { 4 } else { 8 });
        self.code.call(Function::ReadKernel);
    }

    /// The key of the call, in the task, with its arguments and its place.
    fn key(&mut self, at: At) {
        let own = Arch::NATIVE.audit_arch().cast_signed();
        let other = OTHER.audit_arch().cast_signed();
        let (compatible, native, have) = (self.code.label(), self.code.label(), self.code.label());
        self.code.load(Size::Double, R1, R7, task::IMAGE);
        self.code.store(Size::Double, R7, key::IMAGE, R1);
        self.code.load(Size::Double, R3, R6, 0);
        self.code.with(Do::Add, R3, registers::FIRST.into());
        self.code.address(R1, STACK, REGISTERS);
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
        for index in 0..6 {
            let own = 8 * index;
            self.code.load(Size::Double, R1, R7, task::ARGUMENTS + own);
            self.code.load(Size::Double, R2, R8, place::MASKS + own);
            self.code.with_register(Do::And, R1, R2);
            self.code.store(Size::Double, R7, key::ARGUMENTS + own, R1);
        }
        self.code.store_value(Size::Double, R7, key::ANY, 0);
    }

    #[cfg(target_arch = "x86_64")]
    fn is_compatible(&mut self, then: Label) {
        let status = self.offsets.status.unwrap_or_default();
        self.code.call(Function::CurrentTask);
        self.code.store_value(Size::Double, STACK, SMALL, 0);
        self.read_field(SMALL, Size::Word, R0, status);
        self.code.load(Size::Word, R1, STACK, SMALL);
        self.code.jump_when(R1, When::AnyBit, IN_COMPATIBLE, then);
    }

    #[cfg(target_arch = "aarch64")]
    fn is_compatible(&mut self, then: Label) {
        self.code
            .load(Size::Double, R1, STACK, REGISTERS + registers::MODE);
        self.code.jump_when(R1, When::AnyBit, MODE_32, then);
    }

    fn arguments(&mut self, places: [i16; 6], arch: i32) {
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
    fn index(&mut self, first: u32, then: Label) {
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
    fn place(&mut self) {
        self.code.load(Size::Word, R1, R7, task::PLACE);
        self.code.store(Size::Double, STACK, SMALL, R1);
        self.find(&self.maps.places, SMALL);
        self.code.jump_when(R0, When::Equal, 0, self.end);
        self.code.copy(R8, R0);
    }

    fn find_call(&mut self, have: Label) {
        self.code.copy(R2, R7);
        self.code.map(R1, &self.maps.calls);
        self.code.call(Function::Lookup);
        self.code.copy(R9, R0);
        self.code.jump_when(R9, When::Not, 0, have);
    }

    /// `R9`: the call in the table of calls, counted; ends when there is no room for it.
    fn counted(&mut self) {
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
        for index in 0..6 {
            let at = key::ARGUMENTS + 8 * index;
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

    /// `R0`: memory in which a record is made, with its head.
    fn scratch(&mut self, kind: i32, small: i16) {
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
    fn keyed(&mut self) {
        for at in (0..key::SIZE).step_by(8) {
            self.code.load(Size::Double, R1, R7, at);
            self.code.store(Size::Double, R0, record::KEY + at, R1);
        }
    }

    /// Sends `R3` bytes of a record, and notes that at an offset from `R9`.
    fn send(&mut self, from: Register, told: i16, then: Label) {
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
    fn tell(&mut self, at: At, then: Label) {
        let output = self.code.label();
        self.scratch(record::A_CALL, SMALL);
        self.code.store(Size::Double, STACK, SCRATCH, R0);
        self.keyed();
        for at in (0..56).step_by(8) {
            self.code.load(Size::Double, R1, R7, task::ARGUMENTS + at);
            self.code
                .store(Size::Double, R0, record::ARGUMENTS + at, R1);
        }
        self.code.store_value(Size::Double, R0, record::FRAME, 0);
        for length in record::LENGTHS {
            self.code.store_value(Size::Word, R0, length, 0);
        }
        self.code.copy(R1, R6);
        self.code.address(R2, R0, record::FRAME);
        self.code.set(R3, record::FRAME_SIZE.into());
        self.code.set(R4, USERS_FRAMES_BY_FILE);
        self.code.call(Function::Stack);
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

    fn length(&mut self, length: i16) {
        self.code
            .store_value(Size::Double, STACK, LENGTH, length.into());
    }

    /// `R3`: the task's argument that a slot of the place names.
    fn argument(&mut self, slot: i16, none: Label) {
        let last = task::ARGUMENTS + 40;
        self.code.load(Size::Word, R1, R8, slot);
        self.code.jump_when(R1, When::Equal, 0, none);
        self.code.jump_when(R1, When::Above, last.into(), none);
        self.code.copy(R2, R7);
        self.code.with_register(Do::Add, R2, R1);
        self.code.load(Size::Double, R3, R2, 0);
        self.code.jump_when(R3, When::Equal, 0, none);
    }

    fn address_of_socket(&mut self, at: At, then: Label, output: Label) {
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

    /// What the call in `R9` returned: told when it is new. Two processors that see something new at once may lose one of
    /// their marks, and tell it again.
    fn result(&mut self) {
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
    fn bit(&mut self) {
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

/// Where a program with other things on its stack has a small key.
const OTHER_STACK: i16 = -128;
