//! The tracer's loop: every stop of every task, answered once.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use portcullis_abi::{Arch, KernelVersion};
use portcullis_sys::ptrace::{self, SyscallStop, Trapped};
use portcullis_sys::registers::Registers;
use portcullis_sys::wait::{self, Change, End, Stop, Usage, event};
use portcullis_sys::{Error, freezer, process};

use crate::audit::{Audit, Audited};
use crate::core_calls::CoreCalls;
use crate::decide::{Action, Call, Decide, Decision};
use crate::denial::{Answer, Denial, Omitted};
use crate::denials::Denials;
use crate::entry::Entry;
use crate::files::Files;
use crate::job::{self, is_traced, process_of};
use crate::native::{self, Interruption};
use crate::phases::{Held, Keeping, Phases};
use crate::record::{Beside, Ending, Full, Recording};
use crate::{arguments, stack};

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
    /// Where its own code begins; `None` for a program of another ABI, in which no trap is set.
    pub entry: Option<u64>,
    /// Asked once when `pid` stands at `entry`, or at once when there is none; an error ends the program
    /// and is the reason.
    pub check: &'a dyn Fn(i32) -> Result<(), String>,
    /// The kernel's audit records, where they can be read.
    pub audit: Option<&'a Audit>,
    /// Filters that are added while it runs.
    pub phases: Option<Phases<'a>>,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Record {
    /// How the root ended.
    pub end: End,
    /// The root was ended by its filter (or by the tracer, giving the policy's answer).
    pub denied: bool,
    /// The call for which it was, then.
    pub ended_by: Option<Call>,
    /// The root was ended by a filter that the program installed itself.
    pub own_filter: bool,
    /// Why the root was ended before its own code ran.
    pub refused: Option<String>,
    /// What the root, and the children it waited for, consumed.
    pub usage: Usage,
    /// Calls outside the set, in the order of their first appearance.
    pub denials: Vec<Denial>,
    /// Calls outside the set beyond those that are told apart.
    pub omitted: Vec<Omitted>,
    /// The files that their stacks refer to.
    pub files: Files,
    /// Tasks that were still there when the root ended, and were killed.
    pub outlived: usize,
    /// What the kernel's audit records tell, where they were read.
    pub audited: Option<Audited>,
    /// What became of each phase.
    pub phases: Vec<Held>,
}

/// Follows the program of `start` to its end and reaps it and every other tracee. What outlives
/// the root is killed.
pub fn follow(start: Start<'_>, mode: Mode, policy: &dyn Decide) -> Result<Record, Error> {
    let Some(audit) = start.audit else {
        return trace(start, mode, policy, None);
    };
    audit.follow(start.pid);
    std::thread::scope(|scope| {
        let listening = audit.listen(scope)?;
        let record = trace(start, mode, policy, None)?;
        Ok(Record {
            audited: Some(listening.end()),
            ..record
        })
    })
}

/// [`follow`], with every call told to `recording`: each costs two stops more.
pub fn follow_recorded(
    start: Start<'_>,
    mode: Mode,
    policy: &dyn Decide,
    recording: Recording<'_>,
) -> Result<(Record, Ending), Error> {
    let mut backend = Full;
    let recording = Recording {
        sink: &mut *recording.sink,
        ..recording
    };
    let mut beside = Beside::begin(start.pid, recording, &mut backend);
    let record = trace(start, mode, policy, Some(&mut beside))?;
    Ok((record, beside.ending()?))
}

/// What fails because a task was killed where it stands is let be: its end is reported next.
fn trace<'a>(
    start: Start<'a>,
    mode: Mode,
    policy: &'a dyn Decide,
    beside: Option<&'a mut Beside<'_>>,
) -> Result<Record, Error> {
    let entry = start.entry.map(|at| Entry::set(start.pid, at));
    let entry = match entry.transpose() {
        Err(e) if e.is_gone() => None,
        other => other?,
    };
    let refused = match start.entry {
        Some(_) => None,
        None => refusal(start.check, start.pid),
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
        announced: HashSet::new(),
        handled: false,
        denials: Denials::default(),
        last: None,
        files: Files::default(),
        killed: HashSet::new(),
        thinned: HashSet::new(),
        signaled: HashSet::new(),
        own: HashMap::new(),
        tells_own: tells_own(),
        own_ended: HashSet::new(),
        refused,
        ended: None,
        outlived: 0,
        audit: start.audit,
        phases: None,
        beside,
    };
    if let Some(phases) = start.phases.filter(|_| tracer.refused.is_none()) {
        tracer.phases = Some(Keeping::begin(start.pid, phases)?);
        tracer.requires_phases()?;
    }
    match tracer.resume(start.pid, 0) {
        Err(e) if e.is_gone() => {}
        other => other?,
    }
    // What has an init is no child of this thread, and the init itself is another's affair.
    while let Some((tid, change)) = wait::next_that_signals()? {
        match change {
            Change::Ended(end, usage) => {
                if let Some(beside) = &mut tracer.beside {
                    beside.ended(tid, end, usage)?;
                }
                tracer.ended(tid, end, usage);
            }
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
    let (denials, omitted) = tracer.denials.into_parts();
    let by_signal = matches!(end, End::Signaled(libc::SIGSYS | libc::SIGKILL));
    let denied = by_signal && tracer.killed.contains(&start.pid)
        || end == End::Signaled(libc::SIGSYS) && tracer.thinned.contains(&start.pid);
    Ok(Record {
        end,
        denied,
        ended_by: tracer.last.filter(|_| denied),
        own_filter: !denied && tracer.own_ended.contains(&start.pid),
        refused: tracer.refused,
        usage,
        denials,
        omitted,
        files: tracer.files,
        outlived: tracer.outlived,
        audited: None,
        phases: tracer.phases.map_or(Vec::new(), Keeping::told),
    })
}

/// Why `check` refuses the program that stands at a stop; nothing when it was killed there, so that there is no more to be
/// seen of it.
fn refusal(check: &dyn Fn(i32) -> Result<(), String>, pid: i32) -> Option<String> {
    check(pid).err().filter(|_| Registers::of(pid).is_ok())
}

/// Whether the end of a task tells that a filter of the program's own ended it. Before Linux 5.16 a dump of core ended
/// other tasks too as if they had been killed (`zap_threads` of fs/coredump.c); on x86_64 their registers say that they
/// had not.
fn tells_own() -> bool {
    const ALONE: KernelVersion = KernelVersion::new(5, 16);
    let name = rustix::system::uname();
    let release = name
        .release()
        .to_str()
        .ok()
        .and_then(|name| name.parse().ok());
    cfg!(target_arch = "x86_64") || release.is_some_and(|release: KernelVersion| release >= ALONE)
}

/// What is remembered of a task.
#[derive(Clone, Copy, Default)]
struct Task {
    /// Its registers when a SIGSYS was last delivered to it: if it ends right there, the signal
    /// ended it.
    sigsys_at: Option<Registers>,
    /// That SIGSYS was the policy's own answer to a call.
    is_answer: bool,
    /// A call for which it is to get a SIGSYS, which is on its way.
    trapped: Option<Trapped>,
    interruption: Interruption,
}

struct Tracer<'a, 'b> {
    root: i32,
    mode: Mode,
    policy: &'a dyn Decide,
    check: &'a dyn Fn(i32) -> Result<(), String>,
    core: CoreCalls,
    entry: Option<Entry>,
    tasks: HashMap<i32, Task>,
    /// Tasks of which the one that started them has told, and that have not stopped yet themselves.
    announced: HashSet<i32>,
    /// A handler of a signal has run in some task.
    handled: bool,
    denials: Denials,
    /// Of the calls that can end a process, the root's last: others may have made the same one before, and it another one.
    last: Option<Call>,
    files: Files,
    /// Processes that a filter ended.
    killed: HashSet<i32>,
    /// Processes that it took a thread from: with the last one the process ends as if it was killed.
    thinned: HashSet<i32>,
    /// Processes that a SIGSYS ended which was delivered to one of their tasks: all of them end with its
    /// status then, wherever they stand.
    signaled: HashSet<i32>,
    /// Tasks that ended as if a filter had killed them, in a call that the policy lets be made, by process.
    own: HashMap<i32, usize>,
    /// What stands in `own` can be relied on.
    tells_own: bool,
    /// Processes that a filter of the program's own ended.
    own_ended: HashSet<i32>,
    refused: Option<String>,
    ended: Option<(End, Usage)>,
    outlived: usize,
    audit: Option<&'a Audit>,
    phases: Option<Keeping<'a>>,
    /// Who is told of every call.
    beside: Option<&'a mut Beside<'b>>,
}

impl Tracer<'_, '_> {
    fn ended(&mut self, tid: i32, end: End, usage: Usage) {
        self.tasks.remove(&tid);
        // A process is reported after all of its tasks.
        let by_signal = self.signaled.remove(&tid);
        if by_signal {
            self.thinned.remove(&tid);
            if self.killed.remove(&tid) {
                self.denials.take_back(tid, Answer::Killed);
            }
        }
        if let Some(tasks) = self.own.remove(&tid) {
            self.settle(tid, tasks, end, by_signal);
        }
        if tid != self.root {
            return;
        }
        self.ended = Some((end, usage));
        self.outlived = self.tasks.len() + self.unseen().count();
        for tid in self.tasks.keys() {
            // Not reaped, so the number is still its own. It can only be gone already.
            let _ = process::kill_unreaped(*tid);
            freezer::end_frozen(*tid);
        }
    }

    /// A process ended in which `tasks` seemed to be killed by a filter of the program's own.
    fn settle(&mut self, pid: i32, tasks: usize, end: End, by_signal: bool) {
        let ended = end == End::Signaled(libc::SIGSYS);
        if !ended {
            // The process went on: each was one thread's end.
            self.denials.one_thread_each(pid);
            return;
        }
        // With a process all of its tasks end, wherever they stand: one was killed for its call.
        if by_signal || self.killed.contains(&pid) || tasks > 1 {
            self.denials.take_back(pid, Answer::OwnKilled);
        }
        if !by_signal && !self.killed.contains(&pid) {
            self.own_ended.insert(pid);
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
        if let Some(audit) = self.audit.filter(|_| !self.tasks.contains_key(&tid)) {
            audit.follow(self.process_of(tid));
        }
        self.tasks.entry(tid).or_insert_with(new);
        self.announced.remove(&tid);
        if let Some(beside) = &mut self.beside {
            beside.stopped(tid, stop)?;
        }
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
                if let Some(phases) = &mut self.phases {
                    phases.executed(tid);
                    self.requires_phases()?;
                }
                // A thread that executes takes its leader's number; its own is gone.
                let former = i32::try_from(ptrace::event_message(tid)?).unwrap_or(tid);
                self.tasks.remove(&former);
                self.tasks.insert(tid, Task::default());
            }
            Stop::Event(event::FORK | event::VFORK | event::CLONE, _) => {
                let child = i32::try_from(ptrace::event_message(tid)?).unwrap_or(tid);
                if !self.tasks.contains_key(&child) {
                    self.announced.insert(child);
                }
            }
            Stop::Syscall => self.phase_steps(tid)?,
            Stop::Event(..) => {}
            Stop::Signal(signal) => return self.signaled(tid, signal),
        }
        self.resume(tid, 0)
    }

    /// Lets a task run on; one that makes a call for us stops behind it, and one that is recorded at each.
    fn resume(&self, tid: i32, signal: i32) -> Result<(), Error> {
        match self.beside.is_some() || self.has_borrowed(tid) {
            true => ptrace::resume_to_syscall(tid, signal),
            false => ptrace::resume(tid, signal),
        }
    }

    fn has_borrowed(&self, tid: i32) -> bool {
        let phases = self.phases.as_ref();
        phases.is_some_and(|phases| phases.has_borrowed(tid))
    }

    /// A task at a stop of a call: whether it makes it for us.
    fn phase_steps(&mut self, tid: i32) -> Result<(), Error> {
        if !self.has_borrowed(tid) {
            return Ok(());
        }
        if let Some(mut phases) = self.phases.take() {
            let stepped = phases.step(|| self.other_processes());
            self.phases = Some(phases);
            stepped?;
        }
        self.requires_phases()
    }

    /// How many processes there are besides the program's own.
    fn other_processes(&self) -> usize {
        let all = self.tasks.keys().copied().chain(self.unseen());
        let others = all.map(process_of).filter(|pid| *pid != self.root);
        others.collect::<HashSet<i32>>().len()
    }

    /// Tasks that are there and have not stopped yet. One whose whole life passed before it was told of is not there.
    fn unseen(&self) -> impl Iterator<Item = i32> {
        self.announced.iter().copied().filter(|tid| is_traced(*tid))
    }

    /// Ends the program when a phase that it has to be held to cannot be kept.
    fn requires_phases(&mut self) -> Result<(), Error> {
        let broken = self.phases.as_ref().and_then(Keeping::broken);
        if let Some(reason) = broken.filter(|_| self.refused.is_none()) {
            self.refused = Some(reason);
            process::kill_unreaped(self.root)?;
        }
        Ok(())
    }

    fn signaled(&mut self, tid: i32, signal: i32) -> Result<(), Error> {
        if signal == libc::SIGTRAP
            && let Some(phases) = &mut self.phases
            && phases.reached(tid)?
        {
            self.requires_phases()?;
            return self.resume(tid, 0);
        }
        if signal == libc::SIGTRAP
            && let Some(entry) = &self.entry
            && entry.reached(tid)?
        {
            if self.process_of(tid) == self.root {
                if let Some(reason) = refusal(self.check, tid) {
                    self.refused = Some(reason);
                    process::kill_unreaped(self.root)?;
                    return self.resume(tid, 0);
                }
                // A process that a library's initialiser forked has the trap in its own copy.
                if self.tasks.keys().all(|t| self.process_of(*t) == self.root) {
                    self.entry = None;
                }
            }
            return self.resume(tid, 0);
        }
        if signal == libc::SIGSYS && self.answered(tid)? {
            return self.resume(tid, signal);
        }
        let task = self.tasks.entry(tid).or_default();
        let hides = task.interruption.hides(tid, signal)?;
        self.handled |= task.interruption.handled();
        self.resume(tid, if hides { 0 } else { signal })
    }

    /// The process of a task; of the root that is its own number, whatever `/proc` has to be read for others.
    fn process_of(&self, tid: i32) -> i32 {
        match tid == self.root {
            true => tid,
            false => process_of(tid),
        }
    }

    /// A task at a SIGSYS: whether that is the policy's answer to a call.
    fn answered(&mut self, tid: i32) -> Result<bool, Error> {
        let registers = Registers::of(tid)?;
        let task = self.tasks.entry(tid).or_default();
        let trapped = task.trapped.take();
        task.sigsys_at = Some(registers);
        task.is_answer = trapped.is_some();
        if let Some(call) = trapped {
            ptrace::set_trapped(tid, call)?;
            self.handled = true;
            return Ok(true);
        }
        // The filter itself traps foreign calls only. A program can send itself a signal that says so, but it
        // makes no foreign call by that.
        if !ptrace::says_trapped(tid)? {
            return Ok(false);
        }
        let arch = ptrace::syscall_info(tid)?.arch;
        let call = Call::of(tid, arch, &registers)?.filter(Call::is_foreign);
        let Some(call) = call else {
            return Ok(false);
        };
        let decision = self.policy.decide(&call);
        if !matches!(decision.action, Action::Trap(_)) {
            return Ok(false);
        }
        self.note(
            (self.process_of(tid), tid),
            call,
            &registers,
            Answer::Trapped,
            (decision, None),
        );
        self.tasks.entry(tid).or_default().is_answer = true;
        Ok(true)
    }

    /// A task at its end: was it its filter?
    fn exiting(&mut self, tid: i32) -> Result<(), Error> {
        let status = ptrace::event_message(tid)?;
        if status & 0x7f != libc::SIGSYS as u64 {
            return Ok(());
        }
        let registers = Registers::of(tid)?;
        let task = self.tasks.get(&tid).copied().unwrap_or_default();
        let pid = self.process_of(tid);
        if task.sigsys_at == Some(registers) {
            let which = match task.is_answer {
                true => &mut self.killed,
                false => &mut self.signaled,
            };
            which.insert(pid);
            return Ok(());
        }
        let arch = ptrace::syscall_info(tid)?.arch;
        let Some(call) = Call::of(tid, arch, &registers)? else {
            return Ok(());
        };
        let decision = self.policy.decide(&call);
        // Observing, the filter itself kills foreign calls only.
        let kills = self.mode == Mode::Enforce || call.is_foreign();
        let answer = match decision.action {
            Action::Kill if kills => {
                self.killed.insert(pid);
                Answer::Killed
            }
            Action::KillThread if kills => {
                self.thinned.insert(pid);
                Answer::ThreadKilled
            }
            // Nothing but a filter ends a task so without a signal stop, and it was not this one.
            _ if self.tells_own && registers.was_killed() => {
                *self.own.entry(pid).or_default() += 1;
                Answer::OwnKilled
            }
            _ => return Ok(()),
        };
        self.note((pid, tid), call, &registers, answer, (decision, None));
        Ok(())
    }

    /// A task at a call for which the filter asks.
    fn asked(&mut self, tid: i32) -> Result<(), Error> {
        let info = ptrace::syscall_info(tid)?;
        let SyscallStop::Seccomp { number, args, data } = info.at else {
            return Ok(());
        };
        if self.has_borrowed(tid) {
            return Ok(());
        }
        let call = Call {
            arch: info.arch,
            number: number as u32,
            ip: info.ip,
            args,
        };
        let phases = self.phases.as_ref().map_or(0, Keeping::len);
        let phase = (data as usize).checked_sub(1).filter(|at| *at < phases);
        let decision = match phase {
            Some(phase) => self.policy.decide_in(phase, &call),
            None => self.policy.decide(&call),
        };
        let core = self.core.answer(&call);
        let answer = match (self.mode, decision.action) {
            (_, Action::Allow) => return Ok(()),
            (Mode::Observe, _) if !call.is_foreign() => {
                core.map_or(Answer::LetThrough, Answer::Errno)
            }
            (_, Action::Errno(errno)) => Answer::Errno(errno),
            (_, Action::Trap(_)) => Answer::Trapped,
            (Mode::Enforce, Action::Kill)
                if self.core.can_be_added(&call) && self.policy.widened(tid, &call) =>
            {
                return Ok(());
            }
            // Nobody but the kernel ends one thread of several: the process is.
            (_, Action::KillThread | Action::Kill) => Answer::Killed,
        };
        let registers = Registers::of(tid)?;
        let pid = self.process_of(tid);
        self.note((pid, tid), call, &registers, answer, (decision, phase));
        match (answer, decision.action) {
            (Answer::LetThrough, _) => Ok(()),
            (Answer::Errno(errno), _) => registers.skip_call(tid, errno),
            (Answer::Trapped, Action::Trap(data)) => self.trap(pid, tid, &call, &registers, data),
            _ => self.kill(pid, tid),
        }
    }

    fn kill(&mut self, pid: i32, tid: i32) -> Result<(), Error> {
        self.killed.insert(pid);
        // A task with a fatal signal pending skips the call (`__seccomp_filter` of the kernel).
        process::kill_unreaped(tid)
    }

    /// Answers a call with a SIGSYS, as the kernel does (`force_sig_seccomp`): a task that blocks or ignores it
    /// is killed.
    fn trap(
        &mut self,
        pid: i32,
        tid: i32,
        call: &Call,
        registers: &Registers,
        data: u16,
    ) -> Result<(), Error> {
        let blocked = ptrace::signal_mask(tid)? & 1 << (libc::SIGSYS - 1) != 0;
        if blocked || native::is_ignored(tid, libc::SIGSYS) {
            return self.kill(pid, tid);
        }
        registers.roll_back(tid)?;
        self.tasks.entry(tid).or_default().trapped = Some(Trapped {
            arch: call.arch,
            number: call.number,
            ip: call.ip,
            data,
        });
        process::signal_task(pid, tid, libc::SIGSYS)
    }

    fn note(
        &mut self,
        (pid, tid): (i32, i32),
        call: Call,
        registers: &Registers,
        answer: Answer,
        (decision, phase): (Decision, Option<usize>),
    ) {
        let own = |name: &str| format!("/proc/{tid}/{name}");
        let program = fs::metadata(own("exe")).map_or((0, 0), |m| (m.dev(), m.ino()));
        let same = self
            .denials
            .same(&call, answer, (phase, decision.rule), program);
        let fatal = [Answer::Killed, Answer::ThreadKilled, Answer::Trapped];
        if pid == self.root && fatal.contains(&answer) {
            self.last = Some(call);
        }
        // What ended the program is told after any flood.
        let always = pid == self.root && matches!(answer, Answer::Killed | Answer::OwnKilled);
        let files = &mut self.files;
        let shown = || arguments::shown(tid, &call);
        self.denials.count(same, always, shown, || Denial {
            pid,
            tid,
            thread: fs::read(own("comm")).map_or(Vec::new(), |name| name.trim_ascii_end().to_vec()),
            image: fs::read_link(own("exe")).ok(),
            call,
            answer,
            phase,
            rule: decision.rule,
            shown: arguments::shown(tid, &call),
            backtrace: stack::walk(tid, registers, files),
            count: 1,
            others: Vec::new(),
            unlooked: 0,
        });
    }
}
