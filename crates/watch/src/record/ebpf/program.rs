//! The programs that run in the kernel: at the entry and the exit of each call, and when tasks are created, execute a program
//! and end.
//!
//! Each first asks whether the task is followed. Two rules keep calls from being lost: the table of calls is the truth, read
//! once more in the end, and a record of it is sent again at the next occasion until there was room for it; and what could
//! not be kept is counted.

mod result;
mod tell;
mod which;

use super::assemble::{
    Code, Do, Function, Label, R0, R1, R2, R3, R4, R6, R7, R8, R9, Register, STACK, Size, When,
};
use super::layout::{call, image, key, record, state, task};
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

/// `BPF_NOEXIST`, `BPF_RB_FORCE_WAKEUP`, and `BPF_F_USER_STACK | BPF_F_USER_BUILD_ID` of `linux/bpf.h`.
const ONLY_NEW: i32 = 1;
const WAKE: i32 = 2;
const USERS_FRAMES_BY_FILE: i32 = 1 << 8 | 1 << 11;
/// What Linux 6.13 marks nanoseconds of an inode with (`I_CTIME_QUERIED` of `linux/fs.h`).
const NANOSECONDS: i32 = 0x7fff_ffff;

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
        let (told, new) = (own.code.label(), own.code.label());
        own.code.load(Size::Double, R1, R9, call::TOLD);
        own.code.jump_when(R1, When::Equal, 0, new);
        own.code.load(Size::Double, R1, R9, call::RETURNED);
        own.code.store(Size::Double, R7, task::RETURNED, R1);
        own.stands(task::INSIDE);
        own.code.jump(own.end);
        own.code.at(new);
        own.frame();
        own.tell(At::Entry, told);
        own.code.at(told);
        own.code.store_value(Size::Double, R7, task::RETURNED, 0);
        own.stands(task::INSIDE);
        own.finish()
    }

    /// `sys_exit(registers, value)`.
    pub(super) fn exit(maps: &Maps, offsets: &Offsets) -> Option<Vec<u64>> {
        let mut own = Writer::new(maps, offsets);
        own.followed();
        let (known, have, result) = (own.code.label(), own.code.label(), own.code.label());
        let result_unknown = own.code.label();
        own.code.store_value(Size::Double, STACK, SILENT, 0);
        own.code.load(Size::Word, R1, R7, task::STANDS);
        own.stands(task::OUTSIDE);
        own.code
            .jump_when(R1, When::Equal, task::PASSED_OVER, own.end);
        own.code.jump_when(R1, When::Equal, task::INSIDE, known);
        // A filter has answered, before the entry would have been seen.
        own.key(At::Exit);
        own.counted();
        own.frame();
        // Where it answers by a signal, what seems to be returned is the number (`syscall_rollback`).
        own.code.load(Size::Double, R1, R6, 8);
        own.code.load(Size::Word, R2, R7, key::NUMBER);
        own.code.jump_when_register(R1, When::Not, R2, have);
        own.code.store_value(Size::Double, STACK, SILENT, 1);
        own.code.jump(have);
        own.code.at(known);
        own.expected(result_unknown);
        own.code.at(result_unknown);
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
        let (same, known, lost) = (own.code.label(), own.code.label(), own.code.label());
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
        own.executes(POINTER);
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
        own.kernels_text(POINTER);
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
}

/// Where a program with other things on its stack has a small key.
const OTHER_STACK: i16 = -128;
