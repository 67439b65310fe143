//! Filters of phases: each is added to the program's when its first thread comes to where the phase begins.
//!
//! The thread stops at a breakpoint of the processor, which is its own: no other thread of the process runs into it,
//! and the code is as it was. There it makes, by an instruction of the vdso, the one call that adds the filter for all
//! threads of the process (`SECCOMP_FILTER_FLAG_TSYNC`); the others are not stopped. The filter lies below what the
//! thread uses of its stack for as long as the call takes. Then memory, registers and blocked signals are what they
//! were, and nothing is left to stop for.
//!
//! What the program does itself comes first: where it has a filter of its own, that one would be asked about the call,
//! and could kill the thread for it, so none is added.

use std::fs::File;
use std::io::{self, Read as _};

use portcullis_bpf::Program;
use portcullis_sys::ptrace::{self, SignalSet, SyscallStop};
use portcullis_sys::registers::Registers;
use portcullis_sys::{Error, breakpoint};

use crate::borrowed::{self, CallsInVdso};
use crate::image::Image;
use crate::job;
use crate::memory::Memory;

/// Below its stack pointer a function may use so much without saying so (psABI of x86_64, 3.2.2).
const RED_ZONE: u64 = 128;

/// What a program is bound by from some point on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phase {
    /// What it is called where it is told that it cannot be kept.
    pub name: String,
    /// Where it begins: addresses of the program's file.
    pub begins: Vec<u64>,
    /// The filter. Where it takes a call away it asks the tracer, with the place of the phase among all, counted from
    /// one: [`Decide::decide_in`](crate::Decide::decide_in) answers then.
    pub filter: Program,
}

/// The phases of a program.
#[derive(Clone, Copy, Debug)]
pub struct Phases<'a> {
    /// All of them.
    pub all: &'a [Phase],
    /// Makes the filter of the launch allow the call that adds another one.
    pub secret: u64,
    /// The program is ended when one cannot be kept.
    pub required: bool,
}

/// What became of a phase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Held {
    /// The program ended before it.
    NotReached,
    /// Its filter is in force, but for processes that the program had started before it: so many.
    InForce {
        /// How many of them there were.
        before: usize,
    },
    /// It is not, and why.
    NotInForce(String),
}

/// The phases of a program that runs.
pub(crate) struct Keeping<'a> {
    phases: Phases<'a>,
    /// The program's first thread.
    thread: i32,
    /// What is to be added to an address of its file.
    bias: u64,
    /// Of each phase, when it is known.
    held: Vec<Option<Held>>,
    /// Which phase begins where a breakpoint is.
    slots: [Option<(usize, u64)>; breakpoint::SLOTS],
    /// How many filters the thread has, as far as they are not its own.
    filters: Option<i32>,
    calls: CallsInVdso,
    /// The call that it makes for us.
    borrowed: Option<Borrowed>,
}

/// A thread that makes a call which is not its own.
struct Borrowed {
    phase: usize,
    registers: Registers,
    mask: SignalSet,
    memory: Memory,
    place: u64,
    bytes: Vec<u8>,
}

impl<'a> Keeping<'a> {
    /// For a program at its exec stop, whose first thread is `thread`.
    pub(crate) fn begin(thread: i32, phases: Phases<'a>) -> Result<Keeping<'a>, Error> {
        let mut keeping = Keeping {
            phases,
            thread,
            bias: 0,
            held: vec![None; phases.all.len()],
            slots: [None; breakpoint::SLOTS],
            filters: filters(thread),
            calls: CallsInVdso::default(),
            borrowed: None,
        };
        match bias(thread) {
            Some(bias) => keeping.bias = bias,
            None => keeping.give_up("where the program is in memory cannot be read"),
        }
        match keeping.watch() {
            // Killed where it stands.
            Err(e) if e.is_gone() => {}
            other => other?,
        }
        Ok(keeping)
    }

    /// Sets breakpoints where the next phases begin, as far as there are enough.
    fn watch(&mut self) -> Result<(), Error> {
        for (index, phase) in self.phases.all.iter().enumerate() {
            let is_watched = self.slots.iter().flatten().any(|(of, _)| *of == index);
            if self.held[index].is_some() || is_watched {
                continue;
            }
            if phase.begins.len() > breakpoint::SLOTS {
                let reason = format!(
                    "it begins at {} places, and the processor watches {}",
                    phase.begins.len(),
                    breakpoint::SLOTS
                );
                self.held[index] = Some(Held::NotInForce(reason));
                continue;
            }
            let free = self.slots.iter().filter(|slot| slot.is_none()).count();
            if phase.begins.len() > free {
                continue;
            }
            for address in &phase.begins {
                let Some(slot) = self.slots.iter().position(Option::is_none) else {
                    break;
                };
                let address = self.bias.wrapping_add(*address);
                match breakpoint::set(self.thread, slot, Some(address)) {
                    Ok(()) => self.slots[slot] = Some((index, address)),
                    Err(e) if e.is_gone() => return Err(e),
                    Err(e) => {
                        let reason = format!("the processor does not watch where it begins: {e}");
                        self.refuse(index, reason)?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// For a task at a SIGTRAP: whether it is the thread, where a phase begins. It makes a call then, to whose stops
    /// it is to be resumed, unless the phase cannot be kept.
    pub(crate) fn reached(&mut self, tid: i32) -> Result<bool, Error> {
        if tid != self.thread
            || self.borrowed.is_some()
            || ptrace::signal_origin(tid)? != (libc::SIGTRAP, breakpoint::CODE)
        {
            return Ok(false);
        }
        let at = Registers::of(tid)?.ip();
        match self.begins_at(at) {
            Some(phase) => self.add(phase).map(|()| true),
            None => Ok(false),
        }
    }

    fn begins_at(&self, address: u64) -> Option<usize> {
        let mut slots = self.slots.iter().flatten();
        slots.find(|(_, at)| *at == address).map(|(of, _)| *of)
    }

    /// Whether the task makes a call for us.
    pub(crate) fn has_borrowed(&self, tid: i32) -> bool {
        tid == self.thread && self.borrowed.is_some()
    }

    /// Has the thread add the filter of a phase that begins where it stands.
    fn add(&mut self, phase: usize) -> Result<(), Error> {
        self.unwatch(phase)?;
        if filters(self.thread) != self.filters {
            let reason =
                "it has a filter of its own, which would be asked about the one of the phase";
            return self.refuse(phase, reason.into());
        }
        match self.borrow_thread(phase)? {
            Ok(borrowed) => {
                self.borrowed = Some(borrowed);
                Ok(())
            }
            Err(reason) => self.refuse(phase, reason),
        }
    }

    /// Puts the filter into the thread's memory and its registers to the call; otherwise says what is in the way.
    fn borrow_thread(&mut self, phase: usize) -> Result<Result<Borrowed, String>, Error> {
        let tid = self.thread;
        let behind = Image::of(tid).vdso();
        let behind = behind.and_then(|base| self.calls.behind_call(tid, base));
        let Some(behind) = behind else {
            return Ok(Err("there is no vdso in which it could make a call".into()));
        };
        let filter = &self.phases.all[phase].filter;
        let registers = Registers::of(tid)?;
        let needed = RED_ZONE + borrowed::size(filter) as u64;
        let place = registers.sp().saturating_sub(needed) / 16 * 16;
        let program = borrowed::bytes(filter, place);
        let put = || -> io::Result<(Memory, Vec<u8>)> {
            let memory = Memory::open_writable(tid)?;
            let mut former = vec![0; program.len()];
            memory.fill(place, &mut former)?;
            memory.write(place, &program)?;
            Ok((memory, former))
        };
        let (memory, bytes) = match put() {
            Ok(put) => put,
            Err(e) => return Ok(Err(format!("its stack cannot be written: {e}"))),
        };
        let borrowed = Borrowed {
            phase,
            registers,
            mask: ptrace::signal_mask(tid)?,
            memory,
            place,
            bytes,
        };
        ptrace::set_signal_mask(tid, SignalSet::MAX)?;
        let mut from = registers;
        from.set_ip(behind);
        let args = [
            u64::from(libc::SECCOMP_SET_MODE_FILTER),
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            place,
            0,
            0,
            self.phases.secret,
        ];
        from.calling(libc::SYS_seccomp as u32, args).set(tid)?;
        Ok(Ok(borrowed))
    }

    /// At a stop of the call: when it is its end, the thread is as it was. `before`: the processes that the program
    /// has started.
    pub(crate) fn step(&mut self, before: impl FnOnce() -> usize) -> Result<(), Error> {
        let SyscallStop::Exit { value } = ptrace::syscall_info(self.thread)?.at else {
            return Ok(());
        };
        let Some(borrowed) = self.borrowed.take() else {
            return Ok(());
        };
        let tid = self.thread;
        let restored = borrowed.memory.write(borrowed.place, &borrowed.bytes);
        restored.map_err(|reason| Error {
            call: "write(/proc/PID/mem)",
            reason,
        })?;
        borrowed.registers.set(tid)?;
        ptrace::set_signal_mask(tid, borrowed.mask)?;
        match value {
            0 => {
                self.filters = self.filters.map(|n| n + 1);
                self.held[borrowed.phase] = Some(Held::InForce { before: before() });
            }
            // The number of a thread, as the program knows it.
            thread @ 1.. => {
                let reason = format!("its thread {thread} has a filter of its own");
                self.refuse(borrowed.phase, reason)?;
            }
            error => {
                let errno = i32::try_from(-error).unwrap_or(0);
                let error = io::Error::from_raw_os_error(errno);
                self.refuse(
                    borrowed.phase,
                    format!("the kernel did not take its filter: {error}"),
                )?;
            }
        }
        self.watch()?;
        // It may be where another one begins as well, and does not stop there again.
        match self.begins_at(borrowed.registers.ip()) {
            Some(next) => self.add(next),
            None => Ok(()),
        }
    }

    /// The program executes another one: what has not begun does not any more. The kernel takes breakpoints away then.
    pub(crate) fn executed(&mut self, tid: i32) {
        if tid == self.thread {
            self.slots = [None; breakpoint::SLOTS];
            self.borrowed = None;
            self.give_up("the program executed another one before it");
        }
    }

    fn give_up(&mut self, reason: &str) {
        for held in self.held.iter_mut().filter(|held| held.is_none()) {
            *held = Some(Held::NotInForce(reason.to_owned()));
        }
    }

    fn refuse(&mut self, phase: usize, reason: String) -> Result<(), Error> {
        self.held[phase] = Some(Held::NotInForce(reason));
        self.unwatch(phase)
    }

    fn unwatch(&mut self, phase: usize) -> Result<(), Error> {
        for (slot, place) in self.slots.iter_mut().enumerate() {
            if place.is_some_and(|(of, _)| of == phase) {
                breakpoint::set(self.thread, slot, None)?;
                *place = None;
            }
        }
        Ok(())
    }

    /// Which phase cannot be kept, and why, when all have to be.
    pub(crate) fn broken(&self) -> Option<String> {
        let mut all = self.phases.all.iter().zip(&self.held);
        all.find_map(|(phase, held)| match held {
            Some(Held::NotInForce(reason)) if self.phases.required => {
                Some(format!("the phase {} cannot be kept: {reason}", phase.name))
            }
            _ => None,
        })
    }

    /// How many phases there are.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// What became of each phase.
    pub(crate) fn told(self) -> Vec<Held> {
        let held = self.held.into_iter();
        held.map(|held| held.unwrap_or(Held::NotReached)).collect()
    }
}

/// How many filters a task has (Linux 5.9).
fn filters(tid: i32) -> Option<i32> {
    job::status(tid, "Seccomp_filters:")
}

/// What is to be added to an address of the file that a process executes to have it in the process: its program headers
/// lie where the auxiliary vector says (getauxval(3)).
fn bias(pid: i32) -> Option<u64> {
    const AT_PHDR: u64 = 3;
    // The kernel's vector has about 20 pairs.
    let mut vector = Vec::with_capacity(1024);
    let file = File::open(format!("/proc/{pid}/auxv")).ok()?;
    file.take(4096).read_to_end(&mut vector).ok()?;
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
    let mut pairs = vector.chunks_exact(16).map(|pair| pair.split_at(8));
    let (_, headers) = pairs.find(|(kind, _)| word(kind) == AT_PHDR)?;
    let base = Image::of(pid).base(word(headers))?;
    Some(Image::object(&Memory::open(pid).ok()?, base)?.bias)
}
