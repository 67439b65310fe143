//! The tracer's loop: every stop of every task, answered once.

use std::collections::{HashMap, HashSet};

use portcullis_abi::Arch;
use portcullis_sys::ptrace::{self, SyscallStop};
use portcullis_sys::registers::Registers;
use portcullis_sys::wait::{self, Change, End, Stop, Usage, event};
use portcullis_sys::{Error, process};

use crate::core_calls::CoreCalls;
use crate::decide::{Action, Call, Decide, Decision};
use crate::denial::{Answer, Denial};
use crate::entry::Entry;
use crate::job::{self, process_of};
use crate::native::Interruption;
use crate::{memory, paths, stack};

/// Most different calls outside the set that are told apart; more are counted only.
const DENIALS: usize = 4096;

/// Whether calls for which the filter asks are denied as the policy says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are let through and counted, but for the core that is never given and for calls of a
    /// foreign ABI.
    Observe,
}

/// A program at its exec stop, a tracee of the calling thread.
pub struct Start<'a> {
    /// Its process.
    pub pid: i32,
    /// The first process of its namespaces, a child of the calling thread that is not traced: what is left in
    /// them ends with it.
    pub init: Option<i32>,
    /// Where its own code begins; `None` for a program of another ABI, in which no trap is set.
    pub entry: Option<u64>,
    /// Asked once when `pid` stands at `entry`, or at once when there is none; an error ends the program
    /// and is the reason.
    pub check: &'a dyn Fn(i32) -> Result<(), String>,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Record {
    /// How the root ended.
    pub end: End,
    /// The root was ended by its filter (or by the tracer, giving the policy's answer).
    pub denied: bool,
    /// Why the root was ended before its own code ran.
    pub refused: Option<String>,
    /// What the root, and the children it waited for, consumed; with an init, the
    /// processor time of all that it reaped.
    pub usage: Usage,
    /// Calls outside the set, in the order of their first appearance.
    pub denials: Vec<Denial>,
    /// Calls outside the set beyond those that are told apart.
    pub omitted: u64,
    /// Tasks that were still there when the root ended, and were killed.
    pub outlived: usize,
}

/// Follows the program of `start` to its end and reaps it and every other tracee. What outlives
/// the root is killed.
pub fn follow(start: Start<'_>, mode: Mode, policy: &dyn Decide) -> Result<Record, Error> {
    let entry = start.entry.map(|at| Entry::set(start.pid, at));
    let entry = entry.transpose()?;
    let refused = match entry {
        Some(_) => None,
        None => (start.check)(start.pid).err(),
    };
    if refused.is_some() {
        process::kill_unreaped(start.pid)?;
    }
    let mut tracer = Tracer {
        root: start.pid,
        mode,
        policy,
        check: start.check,
        core: CoreCalls::new(Arch::NATIVE),
        entry,
        tasks: HashMap::from([(start.pid, Task::default())]),
        handled: false,
        denials: Vec::new(),
        places: HashMap::new(),
        omitted: 0,
        killed: HashSet::new(),
        signaled: HashSet::new(),
        refused,
        ended: None,
        outlived: 0,
    };
    ptrace::resume(start.pid, 0)?;
    let mut all = None;
    while let Some((tid, change)) = wait::next()? {
        match change {
            Change::Ended(_, usage) if Some(tid) == start.init => all = Some(usage),
            // It is stopped and continued with its group; nobody traces it.
            Change::Stopped(_) if Some(tid) == start.init => {}
            Change::Ended(end, usage) => tracer.ended(tid, end, usage),
            Change::Stopped(stop) => match tracer.stopped(tid, stop) {
                // Killed between its stop and our request; its end is reported next.
                Err(e) if e.is_gone() => {}
                other => other?,
            },
        }
    }
    let Some((end, usage)) = tracer.ended else {
        return Err(Error {
            call: "waitid",
            reason: std::io::Error::from_raw_os_error(libc::ECHILD),
        });
    };
    let by_signal = matches!(end, End::Signaled(libc::SIGSYS | libc::SIGKILL));
    Ok(Record {
        end,
        denied: by_signal && tracer.killed.contains(&start.pid),
        refused: tracer.refused,
        // The init was a copy of the launcher: its memory is not the program's.
        usage: Usage {
            cpu_ns: all.map_or(usage.cpu_ns, |all: Usage| all.cpu_ns),
            ..usage
        },
        denials: tracer.denials,
        omitted: tracer.omitted,
        outlived: tracer.outlived,
    })
}

/// What is remembered of a task.
#[derive(Clone, Copy, Default)]
struct Task {
    /// Its registers when a SIGSYS was last delivered to it: if it ends right there, the signal
    /// ended it and no filter.
    sigsys_at: Option<Registers>,
    interruption: Interruption,
}

struct Tracer<'a> {
    root: i32,
    mode: Mode,
    policy: &'a dyn Decide,
    check: &'a dyn Fn(i32) -> Result<(), String>,
    core: CoreCalls,
    entry: Option<Entry>,
    tasks: HashMap<i32, Task>,
    /// A handler of a signal has run in some task.
    handled: bool,
    denials: Vec<Denial>,
    /// Where in `denials` a call at an instruction is.
    places: HashMap<(u32, u32, u64, Answer), usize>,
    omitted: u64,
    /// Processes that a filter ended.
    killed: HashSet<i32>,
    /// Processes that a SIGSYS ended which was delivered to one of their tasks: all of them end with its
    /// status then, wherever they stand.
    signaled: HashSet<i32>,
    refused: Option<String>,
    ended: Option<(End, Usage)>,
    outlived: usize,
}

impl Tracer<'_> {
    fn ended(&mut self, tid: i32, end: End, usage: Usage) {
        self.tasks.remove(&tid);
        // A process is reported after all of its tasks.
        if self.signaled.remove(&tid) && self.killed.remove(&tid) {
            self.take_back(tid);
        }
        if tid != self.root {
            return;
        }
        self.ended = Some((end, usage));
        self.outlived = self.tasks.len();
        for tid in self.tasks.keys() {
            // Not reaped, so the number is still its own. It can only be gone already.
            let _ = process::kill_unreaped(*tid);
        }
    }

    fn stopped(&mut self, tid: i32, stop: Stop) -> Result<(), Error> {
        if self.ended.is_some() || self.refused.is_some() {
            // A task that was born while the others were killed.
            process::kill_unreaped(tid)?;
            return ptrace::resume(tid, 0);
        }
        let new = || Task {
            interruption: Interruption::of_new(self.handled),
            ..Task::default()
        };
        self.tasks.entry(tid).or_insert_with(new);
        match stop {
            Stop::Event(event::STOP, signal) if job::is_stop(signal) => {
                ptrace::listen(tid)?;
                if tid == self.root {
                    job::stop_with(self.root, signal)?;
                }
                return Ok(());
            }
            Stop::Event(event::EXIT, _) => self.exiting(tid)?,
            Stop::Event(event::SECCOMP, _) => self.asked(tid)?,
            Stop::Event(event::EXEC, _) => {
                // A thread that executes takes its leader's number; its own is gone.
                let former = i32::try_from(ptrace::event_message(tid)?).unwrap_or(tid);
                self.tasks.remove(&former);
                self.tasks.insert(tid, Task::default());
            }
            Stop::Event(..) | Stop::Syscall => {}
            Stop::Signal(signal) => return self.signaled(tid, signal),
        }
        ptrace::resume(tid, 0)
    }

    fn signaled(&mut self, tid: i32, signal: i32) -> Result<(), Error> {
        if signal == libc::SIGTRAP
            && let Some(entry) = &self.entry
            && entry.reached(tid)?
        {
            if process_of(tid) == self.root {
                if let Err(reason) = (self.check)(tid) {
                    self.refused = Some(reason);
                    process::kill_unreaped(self.root)?;
                    return ptrace::resume(tid, 0);
                }
                // A process that a library's initialiser forked has the trap in its own copy.
                if self.tasks.keys().all(|t| process_of(*t) == self.root) {
                    self.entry = None;
                }
            }
            return ptrace::resume(tid, 0);
        }
        let task = self.tasks.entry(tid).or_default();
        let hides = task.interruption.hides(tid, signal)?;
        self.handled |= task.interruption.handled();
        if signal == libc::SIGSYS {
            task.sigsys_at = Some(Registers::of(tid)?);
        }
        ptrace::resume(tid, if hides { 0 } else { signal })
    }

    /// A task at its end: was it its filter?
    fn exiting(&mut self, tid: i32) -> Result<(), Error> {
        let status = ptrace::event_message(tid)?;
        if status & 0x7f != libc::SIGSYS as u64 {
            return Ok(());
        }
        let registers = Registers::of(tid)?;
        let sigsys_at = self.tasks.get(&tid).and_then(|task| task.sigsys_at);
        if sigsys_at == Some(registers) {
            self.signaled.insert(process_of(tid));
            return Ok(());
        }
        let arch = ptrace::syscall_info(tid)?.arch;
        let Some(call) = Call::of(tid, arch, &registers)? else {
            return Ok(());
        };
        // Observing, the filter itself kills foreign calls only.
        if self.mode == Mode::Observe && !call.is_foreign() {
            return Ok(());
        }
        let decision = self.policy.decide(&call);
        if decision.action == Action::Kill {
            let pid = process_of(tid);
            self.killed.insert(pid);
            self.note(pid, tid, call, &registers, Answer::Killed, decision);
        }
        Ok(())
    }

    /// A task at a call for which the filter asks.
    fn asked(&mut self, tid: i32) -> Result<(), Error> {
        let info = ptrace::syscall_info(tid)?;
        let SyscallStop::Seccomp { number, args, .. } = info.at else {
            return Ok(());
        };
        let call = Call {
            arch: info.arch,
            number: number as u32,
            ip: info.ip,
            args,
        };
        let decision = self.policy.decide(&call);
        let core = self.core.answer(&call);
        let answer = match (self.mode, decision.action) {
            (_, Action::Allow) => return Ok(()),
            (Mode::Observe, _) if !call.is_foreign() && core.is_some() => {
                Answer::Errno(core.unwrap_or_default())
            }
            (_, Action::Errno(errno)) => Answer::Errno(errno),
            (Mode::Observe, Action::Kill) if !call.is_foreign() => Answer::LetThrough,
            (Mode::Enforce, Action::Kill)
                if self.core.can_be_added(&call) && self.policy.widened(tid, &call) =>
            {
                return Ok(());
            }
            (_, Action::Kill) => Answer::Killed,
        };
        let registers = Registers::of(tid)?;
        let pid = process_of(tid);
        self.note(pid, tid, call, &registers, answer, decision);
        match answer {
            Answer::LetThrough => Ok(()),
            Answer::Errno(errno) => registers.skip_call(tid, errno),
            Answer::Killed => {
                self.killed.insert(pid);
                // A task with a fatal signal pending skips the call (`__seccomp_filter` of the kernel).
                process::kill_unreaped(tid)
            }
        }
    }

    /// The denials of `pid` were none: a signal ended it.
    fn take_back(&mut self, pid: i32) {
        let is_one = |denial: &Denial| denial.pid == pid && denial.answer == Answer::Killed;
        self.denials.retain(|denial| !is_one(denial));
        let places = self.denials.iter().enumerate();
        self.places = places.map(|(at, denial)| (place(denial), at)).collect();
    }

    fn note(
        &mut self,
        pid: i32,
        tid: i32,
        call: Call,
        registers: &Registers,
        answer: Answer,
        decision: Decision,
    ) {
        let place = (call.arch, call.number, call.ip, answer);
        if let Some(at) = self.places.get(&place) {
            self.denials[*at].count += 1;
            return;
        }
        if self.denials.len() >= DENIALS {
            self.omitted += 1;
            return;
        }
        self.places.insert(place, self.denials.len());
        let strings = memory::Memory::open(tid)
            .map(|memory| paths::observed(&memory, &call))
            .unwrap_or_default();
        self.denials.push(Denial {
            pid,
            tid,
            call,
            answer,
            rule: decision.rule,
            strings,
            backtrace: stack::walk(tid, registers),
            count: 1,
        });
    }
}

/// By what two denials are one.
fn place(denial: &Denial) -> (u32, u32, u64, Answer) {
    let call = &denial.call;
    (call.arch, call.number, call.ip, denial.answer)
}
