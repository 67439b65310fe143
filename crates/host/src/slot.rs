//! Where one worker of a pool lives after another: the thread that is the parent of their namespaces, follows each, and
//! talks to it; or where native programs are launched one after another. All of that ends with the thread.

use std::cell::Cell;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use portcullis_sandbox::{Counted, Followed, Group, LayerName, Observer, Root, launch_embedded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::artifact::Artifact;
use crate::course::Course;
use crate::error::Error;
use crate::exec;
use crate::pool::{Assignment, Enforced, Shared};
use crate::recorded::{self, Recording, Trace};
use crate::running::{self, Bench, Done, Hold};
use crate::template::{Inherited, Start, Template, ended, released};
use crate::victim::Victim;
use crate::wire::{self, Answer, Instruction, Message, Order};

/// One place for a worker, or for native programs one after another.
pub(crate) struct Slot {
    pub(crate) number: usize,
    pub(crate) shared: Arc<Shared>,
    /// What its workers are; nothing where there are none.
    pub(crate) worker: Option<Arc<Worker>>,
    /// Its first worker is started when there is a job for it.
    pub(crate) cold: bool,
    /// Layers that native programs go without.
    pub(crate) without: Arc<[LayerName]>,
}

/// What the workers of a pool are.
pub(crate) struct Worker {
    pub(crate) template: Template,
    /// The filter of jobs.
    pub(crate) jobs: Vec<Instruction>,
    /// After how many jobs one is replaced, so that the layout of its memory and its canaries change.
    pub(crate) lifetime: u32,
}

/// Why there is no worker any more.
enum Over {
    /// It ran as many jobs as one may.
    Worn,
    /// What is next is of another tenant.
    Moved,
    /// It ended by itself, or was of no use any more.
    Died,
    /// There is nothing more to do.
    Closed,
}

impl Slot {
    /// Its life: until the pool is closed.
    pub(crate) fn live(self) {
        match &self.worker {
            Some(worker) => self.keep(worker),
            None => self.launch(),
        }
    }

    /// Launches native programs.
    fn launch(&self) {
        loop {
            self.shared.free(self.number, true);
            let Some(assignment) = self.shared.next(self.number) else {
                return;
            };
            let mut course = Course::new(assignment.begun);
            let (done, enforced) = self.program(&assignment, &mut course);
            course.ends("collect");
            let enforced = enforced.as_ref();
            self.shared
                .ended(self.number, &assignment, done, &course, enforced);
        }
    }

    fn program(
        &self,
        assignment: &Assignment,
        course: &mut Course,
    ) -> (Done, Option<Arc<Enforced>>) {
        let Assignment {
            artifact,
            job,
            leash,
            listener,
            ..
        } = assignment;
        if leash.is_pulled() {
            return (Done::called_off(), None);
        }
        let Some(program) = artifact.program() else {
            return (Done::failed("it is no native program".to_owned()), None);
        };
        let hold = Hold {
            leash,
            listener: listener.as_ref(),
            course,
        };
        let ran = self
            .shared
            .trace(&program.name())
            .and_then(|trace| exec::run(program, job, &self.without, trace, hold));
        match ran {
            Ok((done, enforced)) => (done, Some(enforced)),
            Err(error) => (Done::failed(error.to_string()), None),
        }
    }

    /// Keeps one worker after another.
    fn keep(&self, worker: &Worker) {
        let mut next = None;
        if self.cold {
            self.shared.ready(self.number);
            next = self.shared.next(self.number);
            if next.is_none() {
                return;
            }
        }
        loop {
            // Nobody waits for a worker that could not be started: the next to need one tries again.
            match self.worker(worker, &mut next) {
                Ok(Over::Worn) => self.shared.count(|counts| counts.recycled += 1),
                Ok(Over::Moved) => {}
                Ok(Over::Died) => self.shared.count(|counts| counts.died += 1),
                Ok(Over::Closed) => return,
                Err(error) => {
                    if let Some(assignment) = next.take() {
                        let done = Done::failed(error.to_string());
                        let course = Course::new(assignment.begun);
                        self.shared
                            .ended(self.number, &assignment, done, &course, None);
                    }
                    self.shared.failed(self.number, error);
                    self.shared.free(self.number, true);
                    next = self.shared.next(self.number);
                    if next.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// One worker, from its start to its end. `next` is what it begins with, and what it left to the one after it.
    fn worker(&self, worker: &Worker, next: &mut Option<Box<Assignment>>) -> Result<Over, Error> {
        let template = &worker.template;
        let trace = self.shared.trace(template.program().0)?;
        let Start {
            plan,
            control,
            theirs,
        } = template.start()?;
        let mut keeper = Keeper {
            slot: self,
            worker,
            control: &control,
            theirs: Some(theirs),
            next,
            trace,
            tenant: None,
            enforced: Arc::new(template.enforced(&plan)),
        };
        Ok(launch_embedded(&plan, || template.filter(), &mut keeper)?.report)
    }
}

/// Follows a worker instead of a tracer: lets it go, and gives it jobs as long as it is fit for them.
struct Keeper<'a> {
    slot: &'a Slot,
    worker: &'a Worker,
    control: &'a UnixStream,
    /// The program's ends: open here until it has them, so that its end is seen.
    theirs: Option<Inherited>,
    next: &'a mut Option<Box<Assignment>>,
    /// What it and its jobs call is told to this.
    trace: Option<Box<dyn Trace>>,
    /// Whom it belongs to.
    tenant: Option<Arc<str>>,
    enforced: Arc<Enforced>,
}

impl Observer for Keeper<'_> {
    type Report = Over;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Over>, portcullis_sys::Error> {
        let pid = root.pid;
        let over = match self.trace.take() {
            None => {
                let first = released(&root)?;
                self.serve([first_of(&root), pid], root.group, &first)
            }
            Some(trace) => {
                let (name, policy) = self.worker.template.program();
                let recording = Recording {
                    trace,
                    name,
                    policy,
                };
                let processes = [first_of(&root), pid];
                recorded::record(recording, &root, |group, first| {
                    self.serve(processes, group, first)
                })?
            }
        };
        ended(&root, over)
    }
}

impl Keeper<'_> {
    /// `processes` are its first one and its program.
    fn serve(&mut self, processes: [i32; 2], group: Option<&Group>, first: &OwnedFd) -> Over {
        drop(self.theirs.take());
        let Slot { number, shared, .. } = self.slot;
        shared.started(&self.enforced);
        let counted = Cell::new(Counted::default());
        let shortage = || {
            let mut last = counted.get();
            let shortage = group.and_then(|group| group.shortage(&mut last));
            counted.set(last);
            shortage.unwrap_or_default()
        };
        let is_bounded = || !group.is_some_and(Group::was_lost);
        let forks = group.and_then(Group::forks);
        let meter = group.and_then(Group::meter);
        let victim = Victim::of(processes[1], processes[0]);
        let bench = Bench {
            control: self.control,
            worker: processes[1],
            forks: forks.as_ref(),
            apart: Cell::new(forks.is_some()),
            meter: meter.as_ref(),
            victim: victim.as_ref(),
            // Without namespaces it is its own first process.
            always: &processes[usize::from(processes[0] == processes[1])..],
            first: first.as_fd(),
            shortage: &shortage,
            is_bounded: &is_bounded,
        };
        let mut loaded = None;
        let mut left = self.worker.lifetime;
        loop {
            if self.next.is_none() {
                shared.free(*number, self.tenant.is_none());
            }
            let Some(assignment) = self.next.take().or_else(|| shared.next(*number)) else {
                return Over::Closed;
            };
            let tenant = self.tenant.get_or_insert_with(|| assignment.tenant.clone());
            let moved = *tenant != assignment.tenant;
            if moved || is_gone(first) {
                *self.next = Some(assignment);
                return if moved { Over::Moved } else { Over::Died };
            }
            let mut course = Course::new(assignment.begun);
            let ran = self.run(&bench, &assignment, &mut loaded, &mut course);
            let (done, fit) = ran.unwrap_or_else(|e| (Done::failed(e.to_string()), false));
            course.ends("collect");
            shared.ended(*number, &assignment, done, &course, Some(&self.enforced));
            left -= 1;
            match (fit, left) {
                (false, _) => return Over::Died,
                (true, 0) => return Over::Worn,
                (true, _) => {}
            }
        }
    }

    /// `false`, or an error: the worker is of no use any more.
    fn run(
        &self,
        bench: &Bench<'_>,
        assignment: &Assignment,
        loaded: &mut Option<Arc<Artifact>>,
        course: &mut Course,
    ) -> Result<(Done, bool), Error> {
        let leash = &assignment.leash;
        if leash.is_pulled() {
            return Ok((Done::called_off(), true));
        }
        let artifact = &assignment.artifact;
        let same = |loaded: &Arc<Artifact>| Arc::ptr_eq(loaded, artifact);
        if !loaded.as_ref().is_some_and(same) {
            *loaded = None;
            if let Err(why) = self.load(artifact)? {
                return Ok((Done::refused(why), true));
            }
            *loaded = Some(Arc::clone(artifact));
        }
        course.ends("prepare");
        let hold = Hold {
            leash,
            listener: assignment.listener.as_ref(),
            course,
        };
        running::run(bench, &assignment.job, hold)
    }

    /// Gives the worker an artifact; it may not be one for its engine.
    fn load(&self, artifact: &Artifact) -> Result<Result<(), String>, Error> {
        let order = Order::Load {
            filter: self.worker.jobs.clone(),
        };
        wire::send(self.control, &order, &[], Some(artifact.open()?.as_fd()))?;
        let answer = wire::receive(self.control, 0)?;
        match answer.map(|Message { head, .. }| head) {
            Some(Answer::Loaded) => Ok(Ok(())),
            Some(Answer::Refused(why)) => Ok(Err(why)),
            Some(_) => Err(Error::Worker("answered something else".to_owned())),
            None => Err(Error::Worker(
                "ended while it was given an artifact".to_owned(),
            )),
        }
    }
}

/// The first process of its namespaces.
fn first_of(root: &Root<'_>) -> i32 {
    root.init.unwrap_or(root.pid)
}

/// Whether the process of `handle` has ended.
fn is_gone(handle: &OwnedFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut one = [PollFd::new(handle, PollFlags::IN)];
    // What cannot be asked is found out by talking to it.
    matches!(poll(&mut one, Some(&now)), Ok(1))
}
