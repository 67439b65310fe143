//! The break-out test: before a program starts, siblings that are confined as it will be try to get out, each in
//! one way, and what comes of it is compared with what the plan promises.
//!
//! An attempt goes no further than shows whether the way is open: a file is opened and not written, a port is
//! connected and nothing sent. What a sibling could reach is made for it ([`Witness`]). Attempts at the layers
//! beyond the filter are made without the filter, which would hide them; those at the filter behind it.

use std::os::fd::AsFd as _;

use portcullis_policy::{Action, Call, Policy};
use portcullis_sys::namespace::Namespaces;
use portcullis_sys::seccomp::{self, SockFilter};
use portcullis_sys::signal::Forwarding;
use portcullis_sys::wait::{self, Change, End};
use portcullis_sys::{channel, process};

use crate::attempt::Step;
use crate::breakout_table::{self, Attempt, When};
use crate::cgroup::Controller;
use crate::child::{COMPLAINT, LONGEST};
use crate::confinement::{Confinement, Network};
use crate::error::Error;
use crate::features::Features;
use crate::layer::LayerName;
use crate::limits::Limits;
use crate::plan::{Mode, Plan, Spec};
use crate::rules::Rules;
use crate::secret::{ArmedFilter, Cookie};
use crate::started::{For, complaint, prepare};
use crate::witness::Witness;

/// What the filter of a start answers to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is made.
    Passes,
    /// It fails with this number.
    Errno(i32),
    /// It ends the process.
    Kills,
}

impl From<Action> for Answer {
    /// As nobody traces or supervises a sibling, what asks one is answered `ENOSYS` (seccomp(2)).
    fn from(action: Action) -> Answer {
        match action {
            Action::KillProcess | Action::KillThread | Action::Trap(_) => Answer::Kills,
            Action::Errno(errno) => Answer::Errno(errno.into()),
            Action::Notify | Action::Trace(_) => Answer::Errno(libc::ENOSYS),
            Action::Log | Action::Allow => Answer::Passes,
        }
    }
}

impl Answer {
    /// What `policy` says of a call: its architecture (`AUDIT_ARCH_*`), its number and its arguments.
    pub fn of(policy: &Policy, arch: u32, number: u32, args: [u64; 6]) -> Answer {
        let call = Call {
            arch,
            number,
            ip: 0,
            args,
        };
        Answer::from(policy.decide(&call).action)
    }
}

/// The filter that the program will have.
pub struct Filtered<'a> {
    /// Makes one for a sibling.
    pub filter: &'a dyn Fn() -> Result<ArmedFilter, Error>,
    /// What it answers to a call: its architecture (`AUDIT_ARCH_*`), its number and its arguments.
    pub answer: &'a dyn Fn(u32, u32, [u64; 6]) -> Answer,
}

/// What became of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// It got through.
    Out,
    /// It failed with this error number.
    Failed(i32),
    /// It was ended by this signal.
    Killed(i32),
}

/// What was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried {
    /// How many attempts were made.
    pub attempts: usize,
    /// What came otherwise than the plan promises, one sentence each.
    pub surprises: Vec<String>,
}

/// Has siblings of the program of `plan` try to get out in every way that the plan closes. An error means that
/// a sibling could not be made as the program would be.
pub fn prove(
    plan: &Plan,
    features: &Features,
    filtered: Option<&Filtered<'_>>,
) -> Result<Tried, Error> {
    prove_on(&Stage::new()?, plan, features, filtered)
}

/// Like [`prove`], in a process that has other things to do: none of its signals is a sibling's
/// ([`launch_embedded`](crate::launch_embedded)).
pub fn prove_embedded(
    plan: &Plan,
    features: &Features,
    filtered: Option<&Filtered<'_>>,
) -> Result<Tried, Error> {
    prove_on(&Stage::embedded()?, plan, features, filtered)
}

fn prove_on(
    stage: &Stage,
    plan: &Plan,
    features: &Features,
    filtered: Option<&Filtered<'_>>,
) -> Result<Tried, Error> {
    // Each limit is tried for itself, but for that of processes, which attempts at other layers are not to break.
    let under = |limits| {
        let mut confinement = plan.confinement.clone();
        confinement.limits = limits;
        stage.sibling(plan, confinement, features)
    };
    let sibling = under(Limits {
        processes: plan.confinement.limits.processes,
        ..Limits::default()
    })?;
    let mut tried = Tried {
        attempts: 0,
        surprises: Vec::new(),
    };
    for attempt in stage.attempts() {
        if attempt.is_closed(&sibling) {
            let came = stage.attempt(&sibling, &attempt)?;
            tried.note(&attempt, came, attempt.fails_under(plan, came));
        }
    }
    for attempt in stage.attempts_at_code(plan) {
        let came = stage.attempt(&sibling, &attempt)?;
        tried.note(&attempt, came, attempt.fails_under(plan, came));
    }
    let forking = under(plan.confinement.limits)?;
    for attempt in stage.attempts_at_forks(&forking) {
        let came = stage.attempt(&forking, &attempt)?;
        tried.note(&attempt, came, attempt.fails_as_it_must(came));
    }
    for attempt in stage.attempts_at_limits(plan) {
        let came = stage.attempt(&under(attempt.limits)?, &attempt)?;
        tried.note(&attempt, came, attempt.fails_under(plan, came));
    }
    if let Some(filtered) = filtered.filter(|_| plan.mode == Mode::Enforce) {
        through_filter(stage, &sibling, filtered, &mut tried)?;
    }
    Ok(tried)
}

/// The attempts at the filter.
fn through_filter(
    stage: &Stage,
    sibling: &Plan,
    filtered: &Filtered<'_>,
    tried: &mut Tried,
) -> Result<(), Error> {
    // How an attempt ended is told by its end: that must pass.
    match stage.behind(sibling, filtered, &[])? {
        Came::Out => {}
        came => {
            let end = format!("the filter does not let a process end: {came:?}");
            tried.surprises.push(end);
            return Ok(());
        }
    }
    for attempt in breakout_table::of_filter() {
        let (arch, number, arguments) = attempt.asked();
        let came = match (filtered.answer)(arch, number, arguments) {
            // The program is meant to be able to.
            Answer::Passes => continue,
            Answer::Errno(errno) => (
                stage.behind(sibling, filtered, &attempt.steps)?,
                Came::Failed(errno),
            ),
            Answer::Kills => (
                stage.behind(sibling, filtered, &attempt.steps)?,
                Came::Killed(libc::SIGSYS),
            ),
        };
        // A kernel that takes no 32-bit calls has no such way: there the instruction is no call.
        let no_call = attempt.is_foreign() && came.0 == Came::Killed(libc::SIGSEGV);
        tried.note(&attempt, came.0, came.0 == came.1 || no_call);
    }
    Ok(())
}

impl Tried {
    fn note(&mut self, attempt: &Attempt, came: Came, expected: bool) {
        self.attempts += 1;
        if !expected {
            let name = attempt.name;
            self.surprises.push(match came {
                Came::Out => format!("{name}: it got through"),
                Came::Failed(errno) => {
                    let reason = std::io::Error::from_raw_os_error(errno);
                    format!("{name}: it failed otherwise than it should ({reason})")
                }
                Came::Killed(signal) => format!("{name}: it was ended by signal {signal}"),
            });
        }
    }
}

/// Where attempts are made: what they try to reach, and the launcher's signals, when they are for siblings.
pub struct Stage {
    witness: Witness,
    forwarding: Option<Forwarding>,
}

impl Stage {
    /// Makes what attempts try to reach, below `/tmp`; it is removed in the end.
    pub fn new() -> Result<Stage, Error> {
        Ok(Stage {
            witness: Witness::new()?,
            forwarding: Some(Forwarding::install()?),
        })
    }

    /// The same in a process with other things to do, whose signals are its own.
    fn embedded() -> Result<Stage, Error> {
        Ok(Stage {
            witness: Witness::new()?,
            forwarding: None,
        })
    }

    /// Every attempt at the layers beyond the filter.
    pub fn attempts(&self) -> Vec<Attempt> {
        breakout_table::of_layers(&self.witness)
    }

    /// Every attempt at the limits of `plan`. That of time is not among them: it is kept by the launcher's clock.
    pub fn attempts_at_limits(&self, plan: &Plan) -> Vec<Attempt> {
        breakout_table::of_limits(
            &plan.confinement.limits,
            plan.bounds.counts(Controller::Memory),
        )
    }

    /// Every attempt to have code of its own, where `plan` says that no memory becomes executable.
    pub fn attempts_at_code(&self, plan: &Plan) -> Vec<Attempt> {
        match plan.fixes_code() {
            true => breakout_table::of_code(),
            false => Vec::new(),
        }
    }

    /// Every attempt of a program that forks, where `plan` is of one in namespaces of its own.
    pub fn attempts_at_forks(&self, plan: &Plan) -> Vec<Attempt> {
        let bounds = &plan.bounds;
        let counted = bounds.counts(Controller::Processes);
        match plan
            .confinement
            .forks
            .filter(|_| plan.namespaces != Namespaces::NONE)
        {
            Some(number) => breakout_table::of_forks(number, bounds.forks, counted),
            None => Vec::new(),
        }
    }

    /// The plan of a sibling: that of `plan` under `confinement`, with what attempts try to reach in it.
    pub fn sibling(
        &self,
        plan: &Plan,
        mut confinement: Confinement,
        features: &Features,
    ) -> Result<Plan, Error> {
        confinement.read.push(self.witness.shown().to_owned());
        confinement.hide.push(self.witness.hidden().to_owned());
        confinement.hide.push(self.witness.masked());
        let spec = Spec {
            mode: plan.mode,
            allowed: plan.allowed,
            unlisted: plan.unlisted,
            keep: plan.keep.clone(),
            ..Spec::new(plan.program.again()?, confinement)
        };
        Plan::new(spec, features)
    }

    /// Has a sibling with `plan` make `attempt`, without a filter.
    pub fn attempt(&self, plan: &Plan, attempt: &Attempt) -> Result<Came, Error> {
        self.witness.renew()?;
        let filter = ArmedFilter::new(
            vec![SockFilter {
                // Return: allow.
                code: 6,
                k: seccomp::RET_ALLOW,
                ..SockFilter::default()
            }],
            Cookie::random()?,
        )?;
        self.take(plan, filter, &attempt.steps)
    }

    /// The same behind the program's filter.
    fn behind(&self, plan: &Plan, filtered: &Filtered<'_>, steps: &[Step]) -> Result<Came, Error> {
        self.take(plan, (filtered.filter)()?, steps)
    }

    fn take(&self, plan: &Plan, filter: ArmedFilter, steps: &[Step]) -> Result<Came, Error> {
        let on_behalf = match &self.forwarding {
            Some(forwarding) => For::Command(forwarding),
            None => For::Embedder,
        };
        let mut started = prepare(plan, || Ok(filter), on_behalf, Some(steps))?;
        started.prove(plan)?;
        process::write_message(started.down.as_fd(), b"G")?;
        let first = started.init.unwrap_or(started.pid);
        let end = loop {
            match wait::next_of(first)? {
                Some((_, Change::Ended(end, _))) => break end,
                Some((_, Change::Stopped(_))) => {}
                None => return Err(Error::EndedEarly("it is gone".to_owned())),
            }
        };
        started.armed = false;
        let mut message = [0; LONGEST];
        if let (COMPLAINT, _) = channel::hear(started.up.as_fd(), &mut message)? {
            return Err(complaint(plan, &message));
        }
        // An init ends as what is below it does, as a shell would tell it.
        Ok(match end {
            End::Exited(0) => Came::Out,
            End::Exited(code) if code > 128 && started.init.is_some() => Came::Killed(code - 128),
            End::Exited(code) => Came::Failed(code),
            End::Signaled(signal) => Came::Killed(signal),
        })
    }
}

impl Attempt {
    /// Whether `plan` promises that it fails: each of the layers that it is about is enough.
    pub fn is_closed(&self, plan: &Plan) -> bool {
        self.layers.iter().any(|layer| match layer {
            LayerName::Network => {
                let given = &plan.confinement;
                let closed = match given.network {
                    Network::None | Network::Loopback => true,
                    Network::Ports => self.port.is_some_and(|port| !given.ports.contains(&port)),
                    Network::Host => false,
                };
                given.has(LayerName::Network) && closed
            }
            LayerName::Ids => plan.users.range.is_some(),
            LayerName::Landlock => {
                let enough = |rules: &Rules| match &self.landlock {
                    When::Always => true,
                    When::Scopes => rules.handled.scopes != 0,
                    When::Writes(path) => !rules.allow_writing(path),
                    When::Unprivileged => !plan.users.root || plan.namespaces != Namespaces::NONE,
                };
                plan.landlock.as_ref().is_some_and(enough)
            }
            LayerName::Limits => plan.confinement.limits.bound(&self.limits),
            layer => plan.confinement.has(*layer),
        })
    }

    /// Whether `came` is how a layer stops it.
    pub fn fails_as_it_must(&self, came: Came) -> bool {
        match came {
            Came::Out => false,
            Came::Failed(errno) => self.stops.contains(&errno),
            Came::Killed(signal) => self.ends == Some(signal),
        }
    }

    /// The same under `plan`: in an empty root nothing is there to be reached by a path, and what forks makes no user
    /// namespace to begin with.
    fn fails_under(&self, plan: &Plan, came: Came) -> bool {
        let gone = plan.confinement.empty && came == Came::Failed(libc::ENOENT);
        let unshares = |step: &Step| matches!(step, Step::Call(libc::SYS_unshare, _));
        let full = plan.confinement.forks.is_some() && came == Came::Failed(libc::ENOSPC);
        gone || full && self.steps.iter().any(unshares) || self.fails_as_it_must(came)
    }

    /// `confinement` without the layers that stop it, and without what these are made of or hold up. An attempt at
    /// a limit has twice as much instead, which bounds it should it do more than it is meant to.
    pub fn control(&self, mut confinement: Confinement) -> Confinement {
        if self.layers == [LayerName::Limits] {
            confinement.limits = self.limits.doubled();
            return confinement;
        }
        if self.layers.is_empty() {
            confinement.fixed_code = false;
        }
        self.without(confinement, None)
    }

    /// `confinement` in which `layer` alone stops it, of those that do.
    pub fn against(&self, confinement: Confinement, layer: LayerName) -> Confinement {
        self.without(confinement, Some(layer))
    }

    fn without(&self, mut confinement: Confinement, but: Option<LayerName>) -> Confinement {
        let left_out = self.layers.iter().filter(|layer| but != Some(**layer));
        confinement.without.extend(left_out);
        if confinement.without.contains(&LayerName::Namespaces) {
            confinement.limits = Limits::default();
            let made_of_them = [LayerName::Ids, LayerName::Filesystem, LayerName::Network];
            confinement.without.extend(made_of_them);
        }
        confinement
    }
}
