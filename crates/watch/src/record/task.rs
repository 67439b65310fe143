//! What is remembered of a task.

use std::rc::Rc;

use portcullis_bpf::Program;
use portcullis_sys::registers::Prelude;

use super::bounds::Bounds;
use super::free::{Free, Scope};
use super::inject::Injection;
use super::own::OwnFilters;
use super::seen::{CallId, ImageId, Start};
use crate::decide::Call;
use crate::native::Interruption;

/// What the kernel takes of filters in one chain (`MAX_INSNS_PER_PATH` of its `seccomp.c`).
const CHAIN: usize = 32768;

pub(super) struct Task {
    /// The program that it runs.
    pub(super) image: ImageId,
    /// Whether all its calls stop, or those that its filter knows run free.
    pub(super) full: bool,
    /// Its filter asks about calls of the code alone that its program had then, which lies there.
    pub(super) bounds: Option<Rc<Bounds>>,
    /// It gets no filter: it has one of its own, or a filter could not be put into it.
    pub(super) barred: bool,
    /// Its own filters, and those that it has from others.
    pub(super) own: OwnFilters,
    /// Ours.
    pub(super) inherited: Inherited,
    /// What its filters may still weigh.
    pub(super) room: usize,
    /// The call that it is in, as far as its exit is awaited.
    pub(super) pending: Option<Pending>,
    /// A filter is on its way into it.
    pub(super) injection: Option<Injection>,
    /// It loads one by itself before its first instruction, or did.
    pub(super) prelude: Option<Prelude>,
    pub(super) interruption: Interruption,
    /// Calls since it began to run its program, was forked, or forked last.
    pub(super) calls: u64,
    /// It began by executing its program: how that was started.
    pub(super) start: Option<Started>,
}

/// How a program was started.
#[derive(Clone, Copy)]
pub(super) struct Started {
    pub(super) start: Start,
    /// How often it was started alike before, and ended.
    pub(super) alike: u64,
    /// Where its vdso begins.
    pub(super) vdso: Option<u64>,
}

/// A call whose exit is awaited.
pub(super) struct Pending {
    /// As what it is counted.
    pub(super) call: Option<CallId>,
    /// It puts a filter of the program's own into the task, or into all of its process.
    pub(super) filters: Option<OwnFilter>,
    /// It changes what is mapped.
    pub(super) maps: bool,
    /// What it does to files is told.
    pub(super) files: Option<Call>,
    /// What it seems to return are registers of other code: that which a signal interrupted, or those of a call that a
    /// filter answers with a SIGSYS or the end.
    pub(super) restores: bool,
}

/// A filter of the program's own.
pub(super) struct OwnFilter {
    /// It is put into all of the process, with those that the task has already (`SECCOMP_FILTER_FLAG_TSYNC`).
    pub(super) is_whole: bool,
    /// What it is; `None` when it could not be read.
    pub(super) program: Option<Rc<Program>>,
}

/// Whose unknown calls the filters of ours in a chain ask about.
#[derive(Clone, Default)]
pub(super) struct Inherited {
    everybodys: bool,
    codes: Vec<Rc<Bounds>>,
}

impl Inherited {
    fn add(&mut self, scope: &Scope) {
        match scope {
            Scope::Code(bounds) => self.codes.push(Rc::clone(bounds)),
            Scope::Everybody | Scope::OwnCode => self.everybodys = true,
        }
    }

    /// Whether one may ask about a call with this instruction pointer.
    pub(super) fn ask_at(&self, ip: u64) -> bool {
        self.everybodys || self.codes.iter().any(|bounds| bounds.hold(ip))
    }
}

impl Task {
    /// One that executed `image`.
    pub(super) fn new(image: ImageId) -> Task {
        Task {
            image,
            full: true,
            bounds: None,
            barred: false,
            own: OwnFilters::default(),
            inherited: Inherited::default(),
            room: CHAIN,
            pending: None,
            injection: None,
            prelude: None,
            interruption: Interruption::default(),
            calls: 0,
            start: None,
        }
    }

    /// One that this one created: it has the same filters and runs the same program.
    pub(super) fn child(&self, handled: bool) -> Task {
        Task {
            image: self.image,
            full: self.full,
            bounds: self.bounds.clone(),
            barred: self.barred,
            own: self.own.clone(),
            inherited: self.inherited.clone(),
            room: self.room,
            pending: None,
            injection: None,
            prelude: None,
            interruption: Interruption::of_new(handled),
            calls: 0,
            start: None,
        }
    }

    /// One whose creator was not seen: which filters it has is not known.
    pub(super) fn stray(image: ImageId, handled: bool) -> Task {
        Task {
            barred: true,
            interruption: Interruption::of_new(handled),
            ..Task::new(image)
        }
    }

    /// It executed `image`.
    pub(super) fn executed(&mut self, image: ImageId) {
        self.image = image;
        self.full = true;
        self.bounds = None;
        self.injection = None;
        self.prelude = None;
        self.interruption = Interruption::default();
        self.calls = 0;
        self.start = None;
    }

    /// A filter was put into it.
    pub(super) fn freed(&mut self, free: &Rc<Free>) {
        self.full = false;
        self.bounds = match &free.scope {
            Scope::Code(bounds) => Some(Rc::clone(bounds)),
            Scope::Everybody | Scope::OwnCode => None,
        };
        self.inherited.add(&free.scope);
        self.room = self.room.saturating_sub(free.weight());
    }

    /// Whether it has executed its program, and nothing of that yet.
    pub(super) fn stands_at_exec(&self) -> bool {
        self.start.is_some() && self.calls == 0 && self.prelude.is_none()
    }

    /// Whether it has to stop at the next entry or exit of a call.
    pub(super) fn stops_at_calls(&self) -> bool {
        self.full || self.pending.is_some() || self.injection.is_some()
    }
}
