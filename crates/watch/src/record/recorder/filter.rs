//! Filters of ours: when a task gets one, what becomes of it, and what is answered where a policy's asks.

use std::rc::Rc;

use portcullis_abi::Arch;
use portcullis_policy::Action;
use portcullis_sys::ptrace::{self, SyscallInfo, SyscallStop};
use portcullis_sys::registers::Registers;
use portcullis_sys::{Error, process};

use super::{Recorder, call, gone};
use crate::record::backend::Standing;
use crate::record::bounds::{self, Bounds};
use crate::record::confined::Confined;
use crate::record::fact::Fact;
use crate::record::first::FirstStack;
use crate::record::free::{Free, Scope};
use crate::record::inject::Injection;
use crate::record::made::Made;
use crate::record::prelude;
use crate::record::task::Task;

impl Recorder<'_> {
    /// An injection is over: the task has the filter, or not.
    pub(super) fn injected(&mut self, tid: i32, free: Option<Rc<Free>>) -> Result<(), Error> {
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        task.injection = None;
        let confines = self.confined.is_some() && !self.is_confined;
        match free {
            Some(free) if confines => {
                self.is_confined = true;
                task.room = task.room.saturating_sub(free.weight());
            }
            None if confines => return process::kill_unreaped(tid),
            Some(free) => {
                task.freed(&free);
                self.filters += 1;
                let image = task.image;
                let seen = &mut self.images[image.0 as usize];
                if !std::mem::replace(&mut seen.is_free, true) {
                    self.sink.fact(Fact::Free { image });
                }
            }
            None => task.barred = true,
        }
        Ok(())
    }

    /// At the exit of a call that returned `value`: lets the known calls of the task run free, if it is time.
    pub(super) fn free(&mut self, tid: i32, info: &SyscallInfo, value: i64) -> Result<(), Error> {
        if let Some(confined) = self.confined.filter(|_| !self.is_confined) {
            return self.confine(tid, info, confined);
        }
        if !value_stands(value) || info.arch != Arch::NATIVE.audit_arch() {
            return Ok(());
        }
        let Some(free) = self.in_time(tid) else {
            return Ok(());
        };
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        let vdso = task.start.and_then(|started| started.vdso);
        task.injection = match task.stands_at_exec() {
            true => Injection::begin_at_exec(tid, free, vdso, &mut self.calls_in_vdso)?,
            false => Injection::begin(tid, free)?,
        };
        Ok(())
    }

    /// At the stop of the exec of a program: the same, without another stop where that can be.
    pub(super) fn free_at_exec(&mut self, tid: i32) -> Result<(), Error> {
        let Some(task) = self.tasks.get(&tid) else {
            return Ok(());
        };
        // A policy may deny the call that loads a filter. Of a program that is not native no vdso is known.
        let is_led = self.confined.is_some() || self.images[task.image.0 as usize].is_led;
        let vdso = task.start.and_then(|started| started.vdso);
        let Some(vdso) = vdso.filter(|_| !is_led) else {
            return Ok(());
        };
        let Some(free) = self.in_time(tid) else {
            return Ok(());
        };
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        task.prelude = prelude::begin(tid, &free, vdso, &mut self.calls_in_vdso, &task.inherited)?;
        if task.prelude.is_none() {
            return Ok(());
        }
        // It does not stop at the exit of the exec, which has succeeded.
        self.returned(tid, 0)?;
        self.injected(tid, Some(free))
    }

    /// A task at the stop of a SIGTRAP: whether that says that the filter was refused which it was to load by itself. It
    /// is led through the call then, and through others that may help.
    pub(super) fn refused(&mut self, tid: i32) -> Result<bool, Error> {
        let Some(task) = self.tasks.get_mut(&tid).filter(|task| task.calls == 0) else {
            return Ok(false);
        };
        match &task.prelude {
            Some(prelude) if prelude.is_refused(tid)? => {}
            _ => return Ok(false),
        }
        task.prelude = None;
        task.full = true;
        task.bounds = None;
        self.filters -= 1;
        self.images[task.image.0 as usize].is_led = true;
        let vdso = task.start.and_then(|started| started.vdso);
        if let Some(free) = self.in_time(tid)
            && let Some(task) = self.tasks.get_mut(&tid)
        {
            let calls = &mut self.calls_in_vdso;
            task.injection = Injection::begin_at_exec(tid, free, vdso, calls)?;
        }
        Ok(true)
    }

    /// The filter that a task is to get now.
    fn in_time(&mut self, tid: i32) -> Option<Rc<Free>> {
        let task = self
            .tasks
            .get(&tid)
            .filter(|task| task.full && !task.barred)?;
        let standing = Standing {
            image: task.image,
            seen: &self.images[task.image.0 as usize],
            calls: task.calls,
            alike: task.start.map_or(0, |started| started.alike),
            room: task.room,
        };
        let free = self.backend.free(&standing)?;
        self.bounded(tid, free)
    }

    /// `free` as the task can have it; `None` when bounds are needed and there are none, or no room for them.
    fn bounded(&mut self, tid: i32, free: Rc<Free>) -> Option<Rc<Free>> {
        if !matches!(free.scope, Scope::OwnCode) {
            return Some(free);
        }
        let task = self.tasks.get(&tid)?;
        let bounded = Bounds::of(tid).and_then(|bounds| free.within(bounds));
        let fitting = bounded.filter(|free| free.weight() <= task.room);
        if fitting.is_none() {
            self.images[task.image.0 as usize].adds_code = true;
        }
        fitting.map(Rc::new)
    }

    /// At the entry of a call: where that can add code to a program, filters which look at calls of the code that it had
    /// are not enough any more, and its tasks stop at each call.
    pub(super) fn keep_bounds(
        &mut self,
        tid: i32,
        made: &Made,
        args: &[u64; 6],
    ) -> Result<(), Error> {
        let Some(task) = self.tasks.get(&tid) else {
            return Ok(());
        };
        let image = task.image;
        let begins_sharer = match made.name() {
            Some("clone") => bounds::adds_code(made),
            Some("clone3") => bounds::begins_sharer(tid, args[0]),
            _ => false,
        };
        let ends_bounds = task.bounds.as_ref().is_some_and(|b| b.end_by(made, args));
        if !begins_sharer && !ends_bounds {
            return Ok(());
        }
        self.images[image.0 as usize].adds_code = true;
        let is_free = |task: &Task| task.bounds.is_some() && !task.full && task.image == image;
        let all = self.tasks.iter_mut().filter(|(_, task)| is_free(task));
        for (other, task) in all {
            task.full = true;
            if *other != tid {
                ptrace::interrupt(*other).or_else(gone)?;
            }
        }
        Ok(())
    }

    /// Puts the policy's filter into the root, which has executed nothing yet; all others have it from there.
    /// Without it the program does not run.
    fn confine(&mut self, tid: i32, info: &SyscallInfo, own: &Confined) -> Result<(), Error> {
        let filter = Rc::clone(&own.filter);
        let injection = match info.arch == Arch::NATIVE.audit_arch() {
            true => {
                let vdso = FirstStack::of(tid, info.sp).vdso;
                Injection::begin_at_exec(tid, filter, vdso, &mut self.calls_in_vdso)?
            }
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
    pub(super) fn asked(&mut self, tid: i32) -> Result<(), Error> {
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
        let call = portcullis_policy::Call {
            arch: info.arch,
            number: number as u32,
            ip: info.ip,
            args,
        };
        match self.confined.filter(|own| own.sees_denials()) {
            None => Ok(()),
            Some(own) => match own.decide(&call) {
                Action::Errno(errno) => Registers::of(tid)?.skip_call(tid, errno),
                Action::KillProcess => process::kill_unreaped(tid),
                _ => Ok(()),
            },
        }
    }
}

/// Whether a call is over for good: the signal that interrupted another one is still to be looked at, with
/// the registers as they are.
fn value_stands(value: i64) -> bool {
    !call::begins_anew(value) && value != -i64::from(libc::EINTR)
}
