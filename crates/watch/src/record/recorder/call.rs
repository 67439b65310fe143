//! One call, from its entry to its return: what is new about it is told.

use portcullis_policy::Action;
use portcullis_sys::Error;
use portcullis_sys::ptrace::SyscallInfo;
use portcullis_sys::registers::Registers;

use super::{CALLS, Recorder};
use crate::decide;
use crate::job;
use crate::memory::Memory;
use crate::record::fact::{Denier, Fact, Remark};
use crate::record::free;
use crate::record::made::Made;
use crate::record::observed::observed;
use crate::record::own;
use crate::record::seen::{Call, CallId, ImageId};
use crate::record::task::{OwnFilter, Pending};
use crate::record::touched;

impl Recorder<'_> {
    /// A task makes a call.
    pub(super) fn entered(
        &mut self,
        tid: i32,
        info: &SyscallInfo,
        number: u32,
        args: [u64; 6],
    ) -> Result<(), Error> {
        let made = self.discriminator.made(info.arch, number, &args);
        self.keep_bounds(tid, &made, &args)?;
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        self.calls_seen += 1;
        task.calls += 1;
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
        let confined = self.confined.filter(|_| self.is_confined);
        let by_confined = confined.map(|confined| confined.decide(&registers.asked()));
        let standing = self.standing.filter(|_| Some(task.image) != self.forked);
        let policys =
            by_confined.or_else(|| standing.map(|policy| policy.decide(&registers.asked()).action));
        let denials = [
            (Denier::Policy, policys.filter(|answer| !answer.permits())),
            (Denier::OwnFilter, task.own.denial(&registers.asked())),
        ];
        // The kernel rolls such a call back before it ends the task (`syscall_rollback` in `__seccomp_filter`): what
        // seems to be returned is the call's own number.
        let rolls_back = |(_, answer): &(Denier, Option<Action>)| {
            use Action::{KillProcess, KillThread, Trap};
            matches!(answer, Some(Trap(_) | KillThread | KillProcess))
        };
        let special = free::is_watched(&made);
        let name = made.name();
        let maps = is_mapping(name);
        task.pending = (task.full || new || special).then_some(Pending {
            call,
            filters: None,
            restores: matches!(name, Some("rt_sigreturn" | "sigreturn"))
                || denials.iter().any(rolls_back),
            maps,
            files: (self.tells_files && made.is_native() && touched::is_told(number))
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
        for (by, answer) in denials {
            if let (Some(call), Some(answer)) = (call, answer)
                && self.calls[call.0 as usize].denied.insert((by, answer))
            {
                self.sink.fact(Fact::Denied { call, by, answer });
            }
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
                let is_whole = args[1] & libc::SECCOMP_FILTER_FLAG_TSYNC != 0;
                self.awaits_filter(tid, made, is_whole, args[2]);
            }
            Some("prctl") if args[0] as u32 == libc::PR_SET_SECCOMP as u32 => {
                self.awaits_filter(tid, made, false, args[2]);
            }
            Some("ptrace") => self.remark(Remark::Traces(image)),
            Some("io_uring_setup") => self.remark(Remark::Ring(image)),
            Some("clone") if args[0] & libc::CLONE_UNTRACED as u64 != 0 && made.is_native() => {
                self.remark(Remark::Untraced(image));
                Registers::of(tid)?
                    .without_in_first(libc::CLONE_UNTRACED as u64)
                    .set(tid)?;
            }
            Some("clone3") if made.is_native() && stays_traced(tid, args[0]) => {
                self.remark(Remark::Untraced(image));
            }
            _ => {}
        }
        Ok(())
    }

    /// The call installs the filter at `address`, when it succeeds.
    fn awaits_filter(&mut self, tid: i32, made: &Made, is_whole: bool, address: u64) {
        let pending = self.tasks.get_mut(&tid).and_then(|t| t.pending.as_mut());
        if let Some(pending) = pending {
            let program = match made.is_native() {
                true => own::read(tid, address),
                false => None,
            };
            pending.filters = Some(OwnFilter { is_whole, program });
        }
    }

    /// A task's call returned.
    pub(super) fn returned(&mut self, tid: i32, value: i64) -> Result<(), Error> {
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
        if self.forks.is_none() {
            self.remark(Remark::OwnFilter(image));
        }
        let image = self.forked(tid, image);
        let Some(task) = self.tasks.get_mut(&tid) else {
            return Ok(());
        };
        task.image = image;
        if let Some(program) = filter.program {
            task.own.add(program);
        }
        let all = task.own.clone();
        let process = job::process_of(tid);
        let mut ran_free = false;
        for (other, task) in &mut self.tasks {
            let own = *other == tid;
            if own || (filter.is_whole && job::process_of(*other) == process) {
                ran_free |= !own && !task.full;
                task.barred = true;
                task.full = true;
                task.own = all.clone();
            }
        }
        if ran_free {
            self.remark(Remark::OwnFilterOnFree(image));
        }
        Ok(())
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

/// `ERESTARTSYS` to `ERESTART_RESTARTBLOCK` of the kernel's `linux/errno.h`: the call is made again, or
/// returns `EINTR`, when the signal that interrupted it has been looked at.
pub(super) fn begins_anew(value: i64) -> bool {
    (-516..=-512).contains(&value)
}
