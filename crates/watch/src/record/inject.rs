//! Puts a filter into a task that stands behind a system call: the task makes the calls that are needed
//! itself, by the very instruction behind which it stands.
//!
//! The filter's program lies in a mapping of its own that is made for it and removed: nothing below the stack
//! pointer is touched, because a stack may be small and lie between other data (of coroutines, of Go). A
//! program that has executed nothing yet is another matter: its stack is the kernel's, nothing lies below the
//! pointer, and what was there is as it was afterwards. It has made no call behind which to stand; the vdso has
//! one. Signals are blocked meanwhile, so that no handler sees the borrowed registers (behind an exec there is
//! none); a stop for job control may come in between and changes nothing.
//!
//! Each call is two stops, and the exec's exit behind which it is made one more. A program that stands in its exec can
//! do without: it goes to its first instruction by way of a few others, behind the end of its own copy of the vdso,
//! that load the filter, write over it and their traces in the registers, and stop only when it is refused.

use std::rc::Rc;

use portcullis_sys::Error;
use portcullis_sys::ptrace::{self, SignalSet};
use portcullis_sys::registers::Registers;

use super::free::Free;
use crate::borrowed::{self, CallsInVdso};
use crate::memory::Memory;

const PAGE: u64 = 4096;
/// Of what lies on a stack.
const ALIGNMENT: u64 = 16;

/// A filter on its way into a task.
pub(super) struct Injection {
    original: Registers,
    /// From where the task makes calls.
    from: Registers,
    /// The signals that it blocked, where others are blocked meanwhile.
    mask: Option<SignalSet>,
    free: Rc<Free>,
    step: Step,
    /// Where the program lies.
    place: u64,
    /// That is on the stack of a program that has not begun, where it is written over in the end.
    stack: Option<Memory>,
    loaded: bool,
}

/// The call that the task is making.
#[derive(Clone, Copy)]
enum Step {
    Map,
    Load,
    /// Never to gain privileges: what the kernel asks of who may not load filters otherwise. A program has made
    /// the promise from the beginning where the recorder itself has none (`launch`); here it is that of a task
    /// which has given up those that it had, and it changes what its execs do.
    Promise,
    LoadAgain,
    Unmap,
}

/// What became of an injection.
pub(super) enum Progress {
    /// The task has another call to make.
    Going,
    /// The task is as it was before, and has the filter, or not.
    Done(Option<Rc<Free>>),
}

impl Injection {
    /// Begins, for a task at the exit stop of a native call that is not to begin anew; `None` when the
    /// instruction behind which it stands cannot make another call.
    pub(super) fn begin(tid: i32, free: Rc<Free>) -> Result<Option<Injection>, Error> {
        let original = Registers::of(tid)?;
        if !original.is_behind_call(tid)? {
            return Ok(None);
        }
        let injection = Injection {
            original,
            from: original,
            mask: Some(ptrace::signal_mask(tid)?),
            free,
            step: Step::Map,
            place: 0,
            stack: None,
            loaded: false,
        };
        ptrace::set_signal_mask(tid, SignalSet::MAX)?;
        injection.call(tid)?;
        Ok(Some(injection))
    }

    /// The same, for a task at the exit of the exec of a native program whose vdso begins at `vdso`; `None` when it has
    /// to wait for the exit of its first call.
    pub(super) fn begin_at_exec(
        tid: i32,
        free: Rc<Free>,
        vdso: Option<u64>,
        calls: &mut CallsInVdso,
    ) -> Result<Option<Injection>, Error> {
        let original = Registers::of(tid)?;
        let Some(behind) = vdso.and_then(|base| calls.behind_call(tid, base)) else {
            return Ok(None);
        };
        let mut from = original;
        from.set_ip(behind);
        let place = place_on_stack(&original, &free);
        let program = borrowed::bytes(&free.program, place);
        let Some(stack) = written(tid, place, &program) else {
            return Ok(None);
        };
        let injection = Injection {
            original,
            from,
            mask: None,
            free,
            step: Step::Load,
            place,
            stack: Some(stack),
            loaded: false,
        };
        injection.call(tid)?;
        Ok(Some(injection))
    }

    /// Goes on, at the exit stop of the task's call, which returned `value`.
    pub(super) fn step(&mut self, tid: i32, value: i64) -> Result<Progress, Error> {
        self.step = match (self.step, value) {
            (Step::Map, place) if place > 0 => {
                self.place = place.cast_unsigned();
                let memory = Memory::open_writable(tid);
                match memory.and_then(|memory| memory.write(self.place, &self.program())) {
                    Ok(()) => Step::Load,
                    Err(_) => Step::Unmap,
                }
            }
            (Step::Load, refused) if refused == -i64::from(libc::EACCES) => Step::Promise,
            (Step::Promise, 0) => Step::LoadAgain,
            (Step::Load | Step::LoadAgain, value) => {
                self.loaded = value == 0;
                if self.stack.is_some() {
                    return self.end(tid);
                }
                Step::Unmap
            }
            (Step::Promise, _) if self.stack.is_some() => return self.end(tid),
            (Step::Promise, _) => Step::Unmap,
            (Step::Map | Step::Unmap, _) => return self.end(tid),
        };
        self.call(tid)?;
        Ok(Progress::Going)
    }

    fn end(&self, tid: i32) -> Result<Progress, Error> {
        if let Some(stack) = &self.stack {
            // The stack of a new program is empty below its pointer, and is so again.
            let _ = stack.write(self.place, &vec![0; borrowed::size(&self.free.program)]);
        }
        self.original.set(tid)?;
        if let Some(mask) = self.mask {
            ptrace::set_signal_mask(tid, mask)?;
        }
        let free = self.loaded.then(|| Rc::clone(&self.free));
        Ok(Progress::Done(free))
    }

    fn size(&self) -> u64 {
        let bytes = borrowed::size(&self.free.program);
        (bytes as u64).next_multiple_of(PAGE)
    }

    fn call(&self, tid: i32) -> Result<(), Error> {
        let (number, args) = match self.step {
            Step::Map => {
                let protection = libc::PROT_READ | libc::PROT_WRITE;
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let args = [0, self.size(), protection as u64, flags as u64, u64::MAX, 0];
                (libc::SYS_mmap, args)
            }
            Step::Load | Step::LoadAgain => {
                // Without the flag, kernels before 5.16 slow a task with a filter down (spec_store_bypass).
                let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
                let mode = u64::from(libc::SECCOMP_SET_MODE_FILTER);
                (libc::SYS_seccomp, [mode, flags, self.place, 0, 0, 0])
            }
            Step::Promise => {
                let option = libc::PR_SET_NO_NEW_PRIVS as u64;
                (libc::SYS_prctl, [option, 1, 0, 0, 0, 0])
            }
            Step::Unmap => (libc::SYS_munmap, [self.place, self.size(), 0, 0, 0, 0]),
        };
        self.from.calling(number as u32, args).set(tid)
    }

    /// The program as the kernel reads it at `place`.
    fn program(&self) -> Vec<u8> {
        borrowed::bytes(&self.free.program, self.place)
    }
}

/// Where a filter lies on the stack of a program that has executed nothing yet: as near to the pointer as it can be,
/// mostly in a page that the kernel has filled already.
pub(super) fn place_on_stack(registers: &Registers, free: &Free) -> u64 {
    let size = borrowed::size(&free.program) as u64;
    registers.sp().saturating_sub(size) / ALIGNMENT * ALIGNMENT
}

/// The memory of the task, in which `bytes` were written to its stack.
pub(super) fn written(tid: i32, place: u64, bytes: &[u8]) -> Option<Memory> {
    let writes = |memory: &Memory| memory.write(place, bytes).is_ok();
    let by_number = Some(Memory::by_number(tid)).filter(writes);
    by_number.or_else(|| Memory::open_writable(tid).ok().filter(writes))
}
