//! The recorder's loop: every stop of every task, answered once.

mod beside;
mod call;
mod filter;
mod vfork;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_abi::Arch;
use portcullis_policy::Policy;
use portcullis_sys::ptrace::{self, SyscallStop};
use portcullis_sys::signal::Forwarding;
use portcullis_sys::wait::{self, Change, End, Stop, Usage, event};
use portcullis_sys::{Error, process};

use super::Ending;
use super::backend::{Backend, Full};
use super::caller::Callers;
use super::confined::Confined;
use super::fact::{Fact, Remark, Sink};
use super::first::FirstStack;
use super::identity::Identity;
use super::inject::Progress;
use super::launch;
use super::made::Discriminator;
use super::seen::{Call, CallId, ImageId, Seen, Start};
use super::task::{Started, Task};
use crate::borrowed::CallsInVdso;
use crate::job;

pub(crate) use beside::Beside;

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
    let mut recorder = Recorder::new(root, backend, sink);
    recorder.forwarding = Some(forwarding);
    recorder.confined = confined;
    recorder.tells_files = tells_files;
    recorder.follow()
}

/// The same for one that somebody else has started, at every call.
pub(super) fn follow_started(
    program: &super::Started<'_>,
    sink: &mut dyn Sink,
) -> Result<Ending, super::Error> {
    let mut backend = Full;
    let mut recorder = Recorder::new(program.pid, &mut backend, sink);
    recorder.name = Some(program.name);
    recorder.forks = Some(program.forks);
    recorder.standing = Some(program.policy);
    recorder.follow()
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
    /// What the first image is called, where its file does not tell.
    name: Option<&'a str>,
    /// What those are called that it forks, when they are told apart.
    forks: Option<&'a str>,
    /// What they do.
    forked: Option<ImageId>,
    /// A policy whose filter the root has from somebody else.
    standing: Option<&'a Policy>,
    tasks: HashMap<i32, Task>,
    /// New tasks that stopped before the stop of their creator told of them. They wait for it: as what
    /// they run, and which filters they have, is only known then.
    early: HashSet<i32>,
    /// Who stands still in a vfork, by the child that it waits for.
    in_vfork: HashMap<i32, i32>,
    images: Vec<Seen>,
    /// Images by device, inode and time of change.
    files: HashMap<(u64, u64, i64, i64), ImageId>,
    calls: Vec<Call>,
    /// The counts that were told last.
    told: Vec<u64>,
    told_at: Instant,
    discriminator: Discriminator,
    callers: Callers,
    calls_in_vdso: CallsInVdso,
    remarks: HashSet<Remark>,
    /// A handler of a signal has run in some task.
    handled: bool,
    ended: Option<(End, Usage)>,
    tasks_seen: u64,
    calls_seen: u64,
    filters: u64,
}

impl<'a> Recorder<'a> {
    fn new(root: i32, backend: &'a mut dyn Backend, sink: &'a mut dyn Sink) -> Recorder<'a> {
        Recorder {
            root,
            confined: None,
            is_confined: false,
            tells_files: false,
            backend,
            sink,
            forwarding: None,
            name: None,
            forks: None,
            forked: None,
            standing: None,
            tasks: HashMap::new(),
            early: HashSet::new(),
            in_vfork: HashMap::new(),
            images: Vec::new(),
            files: HashMap::new(),
            calls: Vec::new(),
            told: Vec::new(),
            told_at: Instant::now(),
            discriminator: Discriminator::default(),
            callers: Callers::default(),
            calls_in_vdso: CallsInVdso::default(),
            remarks: HashSet::new(),
            handled: false,
            ended: None,
            tasks_seen: 1,
            calls_seen: 0,
            filters: 0,
        }
    }

    fn follow(mut self) -> Result<Ending, super::Error> {
        let followed = self.run();
        if followed.is_err() {
            // What is left must not wait for a tracer that gave up.
            for tid in self.tasks.keys() {
                let _ = process::kill_unreaped(*tid);
            }
        }
        followed?;
        if self.confined.is_some() && !self.is_confined {
            return Err(super::Error::NotConfined);
        }
        Ok(self.ending()?)
    }

    /// When all have ended.
    fn ending(mut self) -> Result<Ending, Error> {
        self.tell_counts();
        let Some((end, usage)) = self.ended else {
            return Err(Error {
                call: "waitid",
                reason: std::io::Error::from_raw_os_error(libc::ECHILD),
            });
        };
        Ok(Ending {
            end,
            usage,
            tasks: self.tasks_seen,
            calls: self.calls_seen,
            filters: self.filters,
        })
    }

    /// The root stands at its exec stop.
    fn begin(&mut self) {
        let image = self.image(self.root, None);
        let root = match self.standing {
            None => Task::new(image),
            // It gets no filter of ours behind that of others.
            Some(_) => Task::stray(image, self.handled),
        };
        self.tasks.insert(self.root, root);
    }

    fn run(&mut self) -> Result<(), Error> {
        self.begin();
        self.resume(self.root, 0)?;
        // Who started it has children of its own.
        let next = match self.standing {
            None => wait::next,
            Some(_) => wait::next_that_signals,
        };
        while let Some((tid, change)) = next()? {
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
        self.in_vfork.retain(|_, waits| *waits != tid);
        self.is_no_longer_awaited(tid)?;
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
        if let Some(started) = task.start {
            self.images[task.image.0 as usize].ended(started.start);
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
                if tid == self.root && self.forwarding.is_some() {
                    job::stop_with(self.root, signal)?;
                }
                return Ok(());
            }
            Stop::Event(event::FORK | event::VFORK | event::CLONE, _) => {
                let child = self.created(tid, stop)?;
                self.is_no_longer_awaited(tid)?;
                if matches!(stop, Stop::Event(event::VFORK, _)) && self.awaits(tid, child)? {
                    return Ok(());
                }
            }
            Stop::Event(event::SECCOMP, _) => self.asked(tid)?,
            Stop::Event(event::EXEC, _) => {
                let former = former(tid)?;
                self.executed(tid, former)?;
                self.free_at_exec(tid)?;
                // First of all it goes on itself.
                self.resume(tid, 0)?;
                self.is_no_longer_awaited(former)?;
                return self.is_no_longer_awaited(tid);
            }
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
        if signal == libc::SIGTRAP && self.refused(tid)? {
            return self.resume(tid, 0);
        }
        let mut hides = false;
        if let Some(task) = self.tasks.get_mut(&tid).filter(|t| t.injection.is_none()) {
            hides = task.interruption.hides(tid, signal)?;
            self.handled |= task.interruption.handled();
        }
        self.resume(tid, if hides { 0 } else { signal })
    }

    /// A task created another one: that, when nothing was known of it before.
    fn created(&mut self, tid: i32, stop: Stop) -> Result<Option<i32>, Error> {
        let Ok(child) = i32::try_from(ptrace::event_message(tid)?) else {
            return Ok(None);
        };
        let is_process = !matches!(stop, Stop::Event(event::CLONE, _));
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(None);
        };
        let born = task.child(self.handled);
        if is_process || job::process_of(child) == child {
            task.calls = 0;
            self.images[task.image.0 as usize].starts_others = true;
        }
        let Entry::Vacant(place) = self.tasks.entry(child) else {
            return Ok(None);
        };
        place.insert(born);
        self.tasks_seen += 1;
        if self.early.remove(&child) {
            self.resume(child, 0).or_else(gone)?;
        }
        Ok(Some(child))
    }

    /// A task executed a program; a thread that does so takes its leader's number, and its own, the `former`, is gone.
    fn executed(&mut self, tid: i32, former: i32) -> Result<(), Error> {
        let known = self.tasks.remove(&former);
        let known = known.or_else(|| self.tasks.remove(&tid));
        let image = self.image(tid, known.as_ref().map(|task| task.image));
        self.callers.forget_mappings();
        let task = match known {
            Some(mut task) => {
                self.ended_alike(&task);
                task.executed(image);
                task.start = Some(self.started(tid, image)?);
                task
            }
            None => Task::stray(image, self.handled),
        };
        self.tasks.insert(tid, task);
        Ok(())
    }

    /// How the program was started in whose exec `tid` stands.
    fn started(&self, tid: i32, image: ImageId) -> Result<Started, Error> {
        let info = ptrace::syscall_info(tid)?;
        let first = match info.arch == Arch::NATIVE.audit_arch() {
            true => FirstStack::of(tid, info.sp),
            false => FirstStack::default(),
        };
        let start = Start::with(&first.words);
        Ok(Started {
            start,
            alike: self.images[image.0 as usize].alike(start),
            vdso: first.vdso,
        })
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
            let name = match self.name.take() {
                Some(name) => PathBuf::from(name),
                None => fs::read_link(&path).unwrap_or_default(),
            };
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

    /// What runs in the task `tid` from here on, which has taken a filter of its own: something else than `image` when
    /// that forked it.
    fn forked(&mut self, tid: i32, image: ImageId) -> ImageId {
        let name = self.forks.filter(|_| job::process_of(tid) != self.root);
        let Some(name) = name else {
            return image;
        };
        if let Some(known) = self.forked {
            return known;
        }
        let id = ImageId(self.images.len() as u32);
        self.images.push(Seen::default());
        self.forked = Some(id);
        let file = File::open(format!("/proc/{tid}/exe"));
        self.sink.fact(Fact::Image {
            id,
            path: Path::new(name),
            identity: file.ok().and_then(|file| Identity::of(&file)),
            by: Some(image),
        });
        id
    }

    /// A task at the entry or the exit of a call.
    fn at_call(&mut self, tid: i32) -> Result<(), Error> {
        let info = ptrace::syscall_info(tid)?;
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        match (info.at, &mut task.injection) {
            (SyscallStop::Exit { value }, Some(injection)) => match injection.step(tid, value)? {
                Progress::Going => Ok(()),
                Progress::Done(free) => self.injected(tid, free),
            },
            (SyscallStop::Entry { number, args }, None) => {
                self.entered(tid, &info, number as u32, args)
            }
            (SyscallStop::Exit { value }, None) => {
                self.returned(tid, value)?;
                self.free(tid, &info, value)
            }
            _ => Ok(()),
        }
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

/// The number that a task had before the exec at whose stop it stands.
fn former(tid: i32) -> Result<i32, Error> {
    Ok(i32::try_from(ptrace::event_message(tid)?).unwrap_or(tid))
}

fn gone(error: Error) -> Result<(), Error> {
    match error.is_gone() {
        true => Ok(()),
        false => Err(error),
    }
}
