//! The recorder's loop: every stop of every task, answered once.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use portcullis_policy::Action;
use portcullis_sys::ptrace::{self, SyscallInfo, SyscallStop};
use portcullis_sys::registers::Registers;
use portcullis_sys::signal::Forwarding;
use portcullis_sys::wait::{self, Change, End, Stop, Usage, event};
use portcullis_sys::{Error, process};

use super::Ending;
use super::backend::{Backend, Standing};
use super::caller::Callers;
use super::confined::Confined;
use super::fact::{Fact, Remark, Sink};
use super::free;
use super::identity::Identity;
use super::inject::{Injection, Progress, Vdso};
use super::launch;
use super::made::{Discriminator, Made};
use super::observed::observed;
use super::seen::{Call, CallId, ImageId, Seen, Start};
use super::task::{OwnFilter, Pending, Task};
use super::touched;
use crate::decide;
use crate::job;
use crate::memory::Memory;

/// Programs that are told apart; what is beyond them counts as the last.
const IMAGES: usize = 4096;
/// Different calls, of all programs, that are kept.
const CALLS: usize = 1 << 18;
/// How often counts are told.
const PERIOD: Duration = Duration::from_secs(10);

/// Follows the program that stands at its exec stop, and all that it starts, until the last of them ended.
pub(super) fn follow(
    root: i32,
    forwarding: Forwarding,
    confined: Option<&Confined>,
    tells_files: bool,
    backend: &mut dyn Backend,
    sink: &mut dyn Sink,
) -> Result<Ending, super::Error> {
    let mut recorder = Recorder {
        root,
        confined,
        is_confined: false,
        tells_files,
        backend,
        sink,
        forwarding: Some(forwarding),
        tasks: HashMap::new(),
        early: HashSet::new(),
        images: Vec::new(),
        files: HashMap::new(),
        calls: Vec::new(),
        told: Vec::new(),
        told_at: Instant::now(),
        discriminator: Discriminator::default(),
        callers: Callers::default(),
        vdso: Vdso::default(),
        remarks: HashSet::new(),
        handled: false,
        ended: None,
        tasks_seen: 1,
        calls_seen: 0,
        filters: 0,
    };
    let followed = recorder.run();
    if followed.is_err() {
        // What is left must not wait for a tracer that gave up.
        for tid in recorder.tasks.keys() {
            let _ = process::kill_unreaped(*tid);
        }
    }
    followed?;
    if confined.is_some() && !recorder.is_confined {
        return Err(super::Error::NotConfined);
    }
    recorder.tell_counts();
    let Some((end, usage)) = recorder.ended else {
        return Err(Error {
            call: "waitid",
            reason: std::io::Error::from_raw_os_error(libc::ECHILD),
        }
        .into());
    };
    Ok(Ending {
        end,
        usage,
        tasks: recorder.tasks_seen,
        calls: recorder.calls_seen,
        filters: recorder.filters,
    })
}

struct Recorder<'a> {
    root: i32,
    /// A policy, and whether the root has its filter.
    confined: Option<&'a Confined>,
    is_confined: bool,
    /// What is done to files is told.
    tells_files: bool,
    backend: &'a mut dyn Backend,
    sink: &'a mut dyn Sink,
    /// While the root lives, signals to the recorder are for it.
    forwarding: Option<Forwarding>,
    tasks: HashMap<i32, Task>,
    /// New tasks that stopped before the stop of their creator told of them. They wait for it: as what
    /// they run, and which filters they have, is only known then.
    early: HashSet<i32>,
    images: Vec<Seen>,
    /// Images by device, inode and time of change.
    files: HashMap<(u64, u64, i64, i64), ImageId>,
    calls: Vec<Call>,
    /// The counts that were told last.
    told: Vec<u64>,
    told_at: Instant,
    discriminator: Discriminator,
    callers: Callers,
    vdso: Vdso,
    remarks: HashSet<Remark>,
    /// A handler of a signal has run in some task.
    handled: bool,
    ended: Option<(End, Usage)>,
    tasks_seen: u64,
    calls_seen: u64,
    filters: u64,
}

impl Recorder<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let image = self.image(self.root, None);
        self.tasks.insert(self.root, Task::new(image));
        self.resume(self.root, 0)?;
        while let Some((tid, change)) = wait::next()? {
            match change {
                Change::Ended(end, usage) => self.task_ended(tid, end, usage),
                Change::Stopped(stop) => self.stopped(tid, stop),
            }
            .or_else(|error| match error.is_gone() {
                // Killed between its stop and our request; its end is reported next.
                true => Ok(()),
                false => Err(error),
            })?;
            if self.told_at.elapsed() >= PERIOD {
                self.tell_counts();
            }
        }
        Ok(())
    }

    fn task_ended(&mut self, tid: i32, end: End, usage: Usage) -> Result<(), Error> {
        if let Some(task) = self.tasks.remove(&tid) {
            self.ended_alike(&task);
        }
        self.early.remove(&tid);
        if tid == self.root {
            self.ended = Some((end, usage));
            // From here on a signal ends the recorder, and with it what outlives the root.
            self.forwarding = None;
        }
        // Its stop will not tell any more of whom it created.
        let orphans: Vec<i32> = self.early.drain().collect();
        for orphan in orphans {
            let image = self.image(orphan, None);
            self.tasks.insert(orphan, Task::stray(image, self.handled));
            self.resume(orphan, 0).or_else(gone)?;
        }
        Ok(())
    }

    /// What a task ran since it was started has ended.
    fn ended_alike(&mut self, task: &Task) {
        if let Some((start, _)) = task.start {
            self.images[task.image.0 as usize].ended(start);
        }
    }

    fn stopped(&mut self, tid: i32, stop: Stop) -> Result<(), Error> {
        if !self.tasks.contains_key(&tid) && !matches!(stop, Stop::Event(event::EXEC, _)) {
            self.early.insert(tid);
            return Ok(());
        }
        match stop {
            Stop::Event(event::STOP, signal) if job::is_stop(signal) => {
                ptrace::listen(tid)?;
                if tid == self.root {
                    job::stop_with(self.root, signal)?;
                }
                return Ok(());
            }
            Stop::Event(event::FORK | event::VFORK | event::CLONE, _) => self.created(tid, stop)?,
            Stop::Event(event::SECCOMP, _) => self.asked(tid)?,
            Stop::Event(event::EXEC, _) => self.executed(tid)?,
            Stop::Event(..) => {}
            Stop::Syscall => self.at_call(tid)?,
            Stop::Signal(signal) => return self.signaled(tid, signal),
        }
        self.resume(tid, 0)
    }

    /// Lets a task go on, to its next call or not.
    fn resume(&self, tid: i32, signal: i32) -> Result<(), Error> {
        match self.tasks.get(&tid) {
            Some(task) if !task.stops_at_calls() => ptrace::resume(tid, signal),
            _ => ptrace::resume_to_syscall(tid, signal),
        }
    }

    fn signaled(&mut self, tid: i32, signal: i32) -> Result<(), Error> {
        let mut hides = false;
        if let Some(task) = self.tasks.get_mut(&tid).filter(|t| t.injection.is_none()) {
            hides = task.interruption.hides(tid, signal)?;
            self.handled |= task.interruption.handled();
        }
        self.resume(tid, if hides { 0 } else { signal })
    }

    /// A task created another one.
    fn created(&mut self, tid: i32, stop: Stop) -> Result<(), Error> {
        let Ok(child) = i32::try_from(ptrace::event_message(tid)?) else {
            return Ok(());
        };
        let is_process = !matches!(stop, Stop::Event(event::CLONE, _));
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        let born = task.child(self.handled);
        if is_process || job::process_of(child) == child {
            task.calls = 0;
            self.images[task.image.0 as usize].starts_others = true;
        }
        self.tasks_seen += 1;
        self.tasks.insert(child, born);
        if self.early.remove(&child) {
            self.resume(child, 0).or_else(gone)?;
        }
        Ok(())
    }

    /// A task executed a program.
    fn executed(&mut self, tid: i32) -> Result<(), Error> {
        // A thread that executes takes its leader's number; its own is gone.
        let former = i32::try_from(ptrace::event_message(tid)?).unwrap_or(tid);
        let known = self.tasks.remove(&former);
        let known = known.or_else(|| self.tasks.remove(&tid));
        let image = self.image(tid, known.as_ref().map(|task| task.image));
        self.callers.forget_mappings();
        let task = match known {
            Some(mut task) => {
                self.ended_alike(&task);
                let start = Start::of(tid);
                let alike = self.images[image.0 as usize].alike(start);
                task.executed(image, (start, alike));
                task
            }
            None => Task::stray(image, self.handled),
        };
        self.tasks.insert(tid, task);
        Ok(())
    }

    /// The program that `tid` runs.
    fn image(&mut self, tid: i32, by: Option<ImageId>) -> ImageId {
        let path = PathBuf::from(format!("/proc/{tid}/exe"));
        let metadata = fs::metadata(&path);
        let file = metadata.map_or((0, 0, 0, 0), |m| {
            (m.dev(), m.ino(), m.ctime(), m.ctime_nsec())
        });
        let last = ImageId(IMAGES as u32 - 1);
        let known = self.files.get(&file).copied();
        let next = ImageId(self.images.len() as u32);
        let id = known.unwrap_or(next.min(last));
        if id.0 as usize == self.images.len() {
            self.images.push(Seen::default());
            self.files.insert(file, id);
            let name = fs::read_link(&path).unwrap_or_default();
            let identity = File::open(&path).ok().and_then(|file| Identity::of(&file));
            self.sink.fact(Fact::Image {
                id,
                path: &name,
                identity,
                by,
            });
            if launch::lost(&path).is_some() {
                self.remark(Remark::Privileges(id));
            }
        }
        id
    }

    /// A task at the entry or the exit of a call.
    fn at_call(&mut self, tid: i32) -> Result<(), Error> {
        let info = ptrace::syscall_info(tid)?;
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        match (info.at, &mut task.injection) {
            (SyscallStop::Exit { value }, Some(injection)) => {
                if let Progress::Done(free) = injection.step(tid, value)? {
                    task.injection = None;
                    match free {
                        Some(free) if self.confined.is_some() && !self.is_confined => {
                            self.is_confined = true;
                            task.room = task.room.saturating_sub(free.weight());
                        }
                        None if self.confined.is_some() && !self.is_confined => {
                            return process::kill_unreaped(tid);
                        }
                        Some(free) => {
                            task.freed(&free);
                            self.filters += 1;
                            let image = task.image;
                            self.sink.fact(Fact::Free { image });
                        }
                        None => task.barred = true,
                    }
                }
            }
            (_, Some(_)) => {}
            (SyscallStop::Entry { number, args }, None) => {
                self.entered(tid, &info, number as u32, args)?;
            }
            (SyscallStop::Exit { value }, None) => {
                self.returned(tid, value)?;
                if let Some(confined) = self.confined.filter(|_| !self.is_confined) {
                    return self.confine(tid, &info, confined);
                }
                if value_stands(value) {
                    self.free(tid, &info)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts the policy's filter into the root, which has executed nothing yet; all others have it from there.
    /// Without it the program does not run.
    fn confine(&mut self, tid: i32, info: &SyscallInfo, own: &Confined) -> Result<(), Error> {
        let filter = Rc::clone(&own.filter);
        let injection = match info.arch == portcullis_abi::Arch::NATIVE.audit_arch() {
            true => Injection::begin_at_exec(tid, filter, &mut self.vdso)?,
            false => None,
        };
        match (injection, self.tasks.get_mut(&tid)) {
            (Some(injection), Some(task)) => task.injection = Some(injection),
            _ => process::kill_unreaped(tid)?,
        }
        Ok(())
    }

    /// A task at a call that a filter does not allow, or does not know. Under full tracing its entry was seen
    /// already.
    fn asked(&mut self, tid: i32) -> Result<(), Error> {
        let Some(task) = self.tasks.get(&tid).filter(|t| t.injection.is_none()) else {
            return Ok(());
        };
        let is_seen = task.full;
        if is_seen && self.confined.is_none() {
            return Ok(());
        }
        let info = ptrace::syscall_info(tid)?;
        let SyscallStop::Seccomp { number, args, .. } = info.at else {
            return Ok(());
        };
        if !is_seen {
            self.entered(tid, &info, number as u32, args)?;
        }
        match self.confined.filter(|own| own.sees_denials()) {
            None => Ok(()),
            Some(own) => match own.decide(info.arch, number as u32, info.ip, args) {
                Action::Errno(errno) => Registers::of(tid)?.skip_call(tid, errno),
                Action::KillProcess => process::kill_unreaped(tid),
                _ => Ok(()),
            },
        }
    }

    /// A task makes a call.
    fn entered(
        &mut self,
        tid: i32,
        info: &SyscallInfo,
        number: u32,
        args: [u64; 6],
    ) -> Result<(), Error> {
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        self.calls_seen += 1;
        task.calls += 1;
        let made = self.discriminator.made(info.arch, number, &args);
        let seen = &mut self.images[task.image.0 as usize];
        let made = seen.kept(made);
        let (call, new) = match seen.calls.get(&made) {
            Some(call) => {
                seen.quiet += 1;
                (Some(*call), false)
            }
            None if self.calls.len() < CALLS => {
                let id = CallId(self.calls.len() as u32);
                self.calls.push(Call::new());
                seen.calls.insert(made, id);
                seen.quiet = 0;
                (Some(id), true)
            }
            None => (None, false),
        };
        if let Some(CallId(at)) = call {
            self.calls[at as usize].count += 1;
        }
        let registers = decide::Call {
            arch: info.arch,
            number,
            ip: info.ip,
            args,
        };
        let special = free::is_watched(&made);
        let name = made.name();
        let maps = is_mapping(name);
        task.pending = (task.full || new || special).then_some(Pending {
            call,
            filters: None,
            restores: matches!(name, Some("rt_sigreturn" | "sigreturn")),
            maps,
            files: (self.tells_files && is_native(&made) && touched::is_told(number))
                .then_some(registers),
        });
        let image = task.image;
        if let (Some(id), true) = (call, new) {
            // Who runs free maps files unseen.
            if self.tasks.values().any(|task| !task.full) {
                self.callers.forget_mappings();
            }
            self.sink.fact(Fact::Call {
                id,
                image,
                made: &made,
                observed: observed(tid, &registers),
                caller: self.callers.of(tid, info.ip),
            });
        }
        let own = self.confined.filter(|_| self.is_confined);
        let answer = own.map(|own| own.decide(info.arch, number, info.ip, args));
        if let (Some(call), Some(answer)) = (call, answer.filter(|a| !a.permits()))
            && self.calls[call.0 as usize].denied.insert(answer)
        {
            self.sink.fact(Fact::Denied { call, answer });
        }
        if call.is_none() {
            self.remark(Remark::TooMany);
        }
        if maps {
            self.callers.forget_mappings();
        }
        self.special(tid, image, &made, &args)
    }

    /// Calls that change what can be seen.
    fn special(
        &mut self,
        tid: i32,
        image: ImageId,
        made: &Made,
        args: &[u64; 6],
    ) -> Result<(), Error> {
        match made.name() {
            Some("seccomp") if args[0] as u32 <= libc::SECCOMP_SET_MODE_FILTER => {
                let whole = args[1] & libc::SECCOMP_FILTER_FLAG_TSYNC != 0;
                self.awaits_filter(
                    tid,
                    if whole {
                        OwnFilter::Process
                    } else {
                        OwnFilter::Task
                    },
                );
            }
            Some("prctl") if args[0] as u32 == libc::PR_SET_SECCOMP as u32 => {
                self.awaits_filter(tid, OwnFilter::Task);
            }
            Some("ptrace") => self.remark(Remark::Traces(image)),
            Some("io_uring_setup") => self.remark(Remark::Ring(image)),
            Some("clone") if args[0] & libc::CLONE_UNTRACED as u64 != 0 && is_native(made) => {
                self.remark(Remark::Untraced(image));
                Registers::of(tid)?
                    .without_in_first(libc::CLONE_UNTRACED as u64)
                    .set(tid)?;
            }
            Some("clone3") if is_native(made) && stays_traced(tid, args[0]) => {
                self.remark(Remark::Untraced(image));
            }
            _ => {}
        }
        Ok(())
    }

    fn awaits_filter(&mut self, tid: i32, filter: OwnFilter) {
        let pending = self.tasks.get_mut(&tid).and_then(|t| t.pending.as_mut());
        if let Some(pending) = pending {
            pending.filters = Some(filter);
        }
    }

    /// A task's call returned.
    fn returned(&mut self, tid: i32, value: i64) -> Result<(), Error> {
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        let Some(pending) = task.pending.take() else {
            return Ok(());
        };
        if pending.maps {
            self.callers.forget_mappings();
        }
        let error = match value {
            // Of a call that is to begin anew nothing has been returned yet.
            _ if begins_anew(value) => return Ok(()),
            -4095..=-1 => Some(value.unsigned_abs() as u16),
            _ => None,
        };
        let image = task.image;
        if let (Some(call), None) = (pending.files, error) {
            for file in touched::touched(tid, &call, value) {
                self.sink.fact(Fact::Touched(file));
            }
        }
        if let Some(call) = pending.call
            && !pending.restores
            && self.calls[call.0 as usize].returned(error)
        {
            self.sink.fact(Fact::Returned { call, error });
        }
        let Some(filter) = pending.filters.filter(|_| error.is_none()) else {
            return Ok(());
        };
        self.remark(Remark::OwnFilter(image));
        let process = job::process_of(tid);
        let mut ran_free = false;
        for (other, task) in &mut self.tasks {
            let own = *other == tid;
            if own || (filter == OwnFilter::Process && job::process_of(*other) == process) {
                ran_free |= !own && !task.full;
                task.barred = true;
                task.full = true;
            }
        }
        if ran_free {
            self.remark(Remark::OwnFilterOnFree(image));
        }
        Ok(())
    }

    /// Lets the known calls of a task at the exit of one run free, if it is time.
    fn free(&mut self, tid: i32, info: &SyscallInfo) -> Result<(), Error> {
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        if !task.full || task.barred || info.arch != portcullis_abi::Arch::NATIVE.audit_arch() {
            return Ok(());
        }
        let standing = Standing {
            image: task.image,
            seen: &self.images[task.image.0 as usize],
            calls: task.calls,
            alike: task.start.map_or(0, |(_, alike)| alike),
            room: task.room,
        };
        if let Some(free) = self.backend.free(&standing) {
            task.injection = match task.stands_at_exec() {
                true => Injection::begin_at_exec(tid, free, &mut self.vdso)?,
                false => Injection::begin(tid, free)?,
            };
        }
        Ok(())
    }

    fn remark(&mut self, remark: Remark) {
        if self.remarks.insert(remark) {
            self.sink.fact(Fact::Remark(remark));
        }
    }

    /// Tells the counts that changed.
    fn tell_counts(&mut self) {
        self.told_at = Instant::now();
        self.told.resize(self.calls.len(), 0);
        let mut changed = Vec::new();
        for (at, (call, told)) in self.calls.iter().zip(&mut self.told).enumerate() {
            if call.count != *told {
                *told = call.count;
                changed.push((CallId(at as u32), call.count));
            }
        }
        if !changed.is_empty() {
            self.sink.fact(Fact::Counts(changed));
        }
    }
}

/// Whether a call can change what is mapped where.
fn is_mapping(name: Option<&str>) -> bool {
    let all = ["mmap", "mmap2", "munmap", "mremap", "shmat", "shmdt", "ipc"];
    name.is_none_or(|name| all.contains(&name))
}

/// Whether the flags at `address` (the first field of `struct clone_args`, clone(2)) asked for a child without a
/// tracer, and do not any more.
fn stays_traced(tid: i32, address: u64) -> bool {
    let untraced = libc::CLONE_UNTRACED as u64;
    let memory = Memory::open_writable(tid).ok();
    let flags = memory.as_ref().and_then(|memory| memory.word(address));
    let asked = flags.filter(|flags| flags & untraced != 0);
    asked.zip(memory).is_some_and(|(flags, memory)| {
        let own = (flags & !untraced).to_le_bytes();
        memory.write(address, &own).is_ok()
    })
}

fn is_native(made: &Made) -> bool {
    made.architecture() == Some(portcullis_abi::Arch::NATIVE)
}

fn gone(error: Error) -> Result<(), Error> {
    match error.is_gone() {
        true => Ok(()),
        false => Err(error),
    }
}

/// `ERESTARTSYS` to `ERESTART_RESTARTBLOCK` of the kernel's `linux/errno.h`: the call is made again, or
/// returns `EINTR`, when the signal that interrupted it has been looked at.
fn begins_anew(value: i64) -> bool {
    (-516..=-512).contains(&value)
}

/// Whether a call is over for good: the signal that interrupted another one is still to be looked at, with
/// the registers as they are.
fn value_stands(value: i64) -> bool {
    !begins_anew(value) && value != -i64::from(libc::EINTR)
}
