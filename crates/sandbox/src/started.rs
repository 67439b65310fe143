//! A child that waits for its tracer, behind everything that is made before: namespaces, users, mounts, groups.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use portcullis_sys::exec::{CStringArray, Words};
use portcullis_sys::namespace::Namespaces;
use portcullis_sys::ptrace::{self, Options};
use portcullis_sys::seccomp::{self, SockFilter};
use portcullis_sys::signal::{self, Forwarding};
use portcullis_sys::spawn::Stack;
use portcullis_sys::wait::{self, Change, Usage};
use portcullis_sys::{channel, freezer, process};
use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::attempt::Step;
use crate::bounds::Bounds;
use crate::cgroup::{Doors, Group};
use crate::child::{
    self, ALONE, COMPLAINT, LONGEST, PARKED, Parking, Prepared, READY, STEPS, UNMAPPED,
};
use crate::clocks;
use crate::confinement::Network;
use crate::descriptors;
use crate::error::Error;
use crate::handed::Handed;
use crate::help;
use crate::identity::Identity;
use crate::layer::LayerName;
use crate::plan::Plan;
use crate::proof::Mounts;
use crate::relay::Relay;
use crate::rules::Rules;
use crate::secret::{ArmedFilter, Cookie};
use crate::sockets;
use crate::trees;

/// Makes what `plan` says without executing the program: whether this machine can give it. Namespaces, mounts
/// and users are made and proved as for a launch, by a child that is killed where the program would begin.
pub fn rehearse(plan: &Plan) -> Result<(), Error> {
    let forwarding = Forwarding::install()?;
    rehearsed(plan, For::Command(&forwarding))
}

/// The same in a process that has other things to do ([`launch_embedded`](crate::launch_embedded)).
pub fn rehearse_embedded(plan: &Plan) -> Result<(), Error> {
    rehearsed(plan, For::Embedder)
}

fn rehearsed(plan: &Plan, on_behalf: For<'_>) -> Result<(), Error> {
    let instructions = vec![SockFilter {
        // Return: allow. It is not loaded.
        code: 6,
        k: seccomp::RET_ALLOW,
        ..SockFilter::default()
    }];
    let filter =
        || Ok::<_, Error>(ArmedFilter::new(instructions, Cookie::random()?)?.leaving(None));
    let mut started = prepare(plan, filter, on_behalf, None)?;
    started.prove(plan)?;
    seize(plan, started.pid)
}

/// Becomes the tracer of the child `pid`.
pub(crate) fn seize(plan: &Plan, pid: i32) -> Result<(), Error> {
    ptrace::seize(pid, Options::LAUNCHER).map_err(|reason| Error::Untraceable {
        help: help::with_tracing(reason.errno(), plan.users.root),
        reason,
    })
}

/// What a launch needs to know only when the program's namespaces and mounts are made: to find it out can take as
/// long as that.
pub struct Last {
    /// What the program runs behind.
    pub filter: ArmedFilter,
    /// Somebody reads the kernel's audit records: what Landlock denies is to have some.
    pub audited: bool,
}

impl From<ArmedFilter> for Last {
    /// Nobody reads audit records.
    fn from(filter: ArmedFilter) -> Last {
        Last {
            filter,
            audited: false,
        }
    }
}

/// How long, in milliseconds, an init may be at ending what the program left before it is looked at what holds it up.
const PATIENCE: i32 = 50;

/// On whose behalf a child is made.
pub(crate) enum For<'a> {
    /// A command whose signals are the program's.
    Command(&'a Forwarding),
    /// A process with other things to do, whose handlers are none of the program's.
    Embedder,
    /// The same, and it waits behind its filter for a message at this end.
    Pool(OwnedFd),
}

/// Bytes and words of arguments and environment that a child which waits can be told.
pub(crate) const ROOM: (usize, usize) = (128 << 10, 4096);

/// A child that waits for its tracer, behind everything that is made before. Dropped while it is armed, it and
/// its init are killed; the init is reaped in any case, with which its namespaces end.
pub(crate) struct Started {
    pub(crate) pid: i32,
    /// The first process of its namespaces, the parent of `pid`, until it is reaped.
    pub(crate) init: Option<i32>,
    /// What it says.
    pub(crate) up: OwnedFd,
    /// What it waits for.
    pub(crate) down: OwnedFd,
    /// What it sees, until that is proved.
    mounts: Option<Mounts>,
    /// Its filter, until it has loaded it, and how far its launch exec is.
    pub(crate) handed: Handed,
    /// Removed after its processes are gone.
    pub(crate) group: Option<Group>,
    /// Of a program whose output is bounded.
    pub(crate) relay: Option<Relay>,
    /// Something of the program may be there.
    pub(crate) armed: bool,
}

/// Creates the child and its init; `last` is asked while they make what the program sees, which is left to be proved
/// ([`Started::prove`]). With `attempt` the child does that in the end, instead of executing the program.
pub(crate) fn prepare<L: Into<Last>>(
    plan: &Plan,
    last: impl FnOnce() -> Result<L, Error>,
    on_behalf: For<'_>,
    attempt: Option<&[Step]>,
) -> Result<Started, Error> {
    process::set_dumpable(false)?;
    let (forwarding, parking) = match on_behalf {
        For::Command(forwarding) => (Some(forwarding), None),
        For::Embedder => (None, None),
        For::Pool(from) => {
            let words = Words::with_room(ROOM.0, ROOM.1);
            (None, Some(Parking { from, words }))
        }
    };
    let before = forwarding.map(Forwarding::before);
    let arguments = CStringArray::new(plan.arguments.clone());
    let environment = CStringArray::new(plan.environment.clone());
    let (up_heard, up) = channel::pair()?;
    let (down, down_write) = process::pipe()?;
    if plan.users.range.is_some() {
        descriptors::open_pipes(&plan.standard);
    }
    // A sandbox that waits gets other streams, and is told which with its job.
    let relayed = plan.bounds.output.filter(|_| parking.is_none());
    let (relay, relayed) = match relayed {
        Some(_) => {
            let [_, output, error] = &plan.standard;
            let (own_output, own_error) = (std::io::stdout(), std::io::stderr());
            let output = output.as_ref().map_or(own_output.as_fd(), AsFd::as_fd);
            let error = error.as_ref().map_or(own_error.as_fd(), AsFd::as_fd);
            Some(Relay::between(output, error, forwarding.is_some())?).unzip()
        }
        None => (None, None),
    };
    let mut standard = plan
        .standard
        .each_ref()
        .map(|given| given.as_ref().map(AsFd::as_fd));
    if let Some([output, error]) = &relayed {
        standard[1..].copy_from_slice(&[Some(output.as_fd()), Some(error.as_fd())]);
    }
    let group = grouped(&plan.bounds)?;
    let doors = group.as_ref().map_or(Ok(Doors::default()), Group::doors);
    let doors = doors.map_err(no_group)?;
    let fork = group
        .as_ref()
        .and_then(Group::fork)
        .zip(plan.confinement.forks);
    let fork = fork.map(|(group, number)| {
        CString::new(group.into_os_string().into_vec()).map(|group| (group, number))
    });
    let fork = fork.transpose().map_err(|e| no_group(e.into()))?;
    let handed = Handed::new()?;
    let mut stack = Stack::new()?;
    let mask = signal::block_all()?;
    // The program and the pipes are close-on-exec.
    let own = [
        plan.program.file().as_raw_fd(),
        up.as_raw_fd(),
        down.as_raw_fd(),
    ];
    let mut open = [plan.keep.as_slice(), &own].concat();
    open.extend(parking.iter().map(|parking| parking.from.as_raw_fd()));
    open.sort_unstable();
    let streams = plan.standard.iter().flatten();
    let streams = streams.chain(relayed.iter().flatten());
    let mut held = open.clone();
    held.extend(streams.map(AsRawFd::as_raw_fd));
    held.sort_unstable();
    let view = plan.mounted();
    let mut copies: Vec<Option<OwnedFd>> = Vec::new();
    copies.resize_with(view.map_or(0, |view| view.mounts.len()), || None);
    let namespaced = plan.namespaces != Namespaces::NONE;
    let mut prepared = Prepared {
        program: plan.program.file().as_fd(),
        arguments: &arguments,
        environment: &environment,
        handed: &handed,
        keep: &plan.keep,
        open: &open,
        held: &held,
        mask: &mask,
        signals: before.as_ref(),
        standard,
        parking,
        up,
        down,
        others: [up_heard.as_raw_fd(), down_write.as_raw_fd()],
        doors: &doors,
        forks: plan.confinement.forks.is_some(),
        fork: fork
            .as_ref()
            .map(|(group, number)| (group.as_c_str(), *number)),
        namespaces: plan.namespaces,
        mapped: plan.users.range.is_some(),
        loopback: plan.confinement.network == Network::Loopback,
        clocks: plan.clocks,
        session: plan.confinement.session,
        fixed_code: plan.fixed_code,
        view,
        copies: &mut copies,
        landlock: plan.landlock.as_ref(),
        attempt,
        capabilities: namespaced.then(|| plan.users.capabilities()),
        bounds: &plan.bounds.resources,
        stack: Some(&mut stack),
    };
    let created = child::create(&mut prepared);
    // The child has its copies: its ends of the pipes are closed.
    let Prepared {
        up, down, parking, ..
    } = prepared;
    drop((up, down, parking, relayed));
    signal::set_mask(&mask)?;
    let (first, pidfd, begun) = created.map_err(|e| no_namespaces(plan, e))?;
    let mut started = Started {
        pid: first,
        init: namespaced.then_some(first),
        up: up_heard,
        down: down_write,
        mounts: None,
        handed,
        group,
        relay,
        armed: true,
    };
    if let Some(group) = started.group.as_ref().filter(|_| !begun) {
        // Whatever is here waits for the launcher's word, and has nothing below it yet.
        group.enter_late(first).map_err(no_group)?;
    }
    // An init begins meanwhile, and it does that on another processor: a clone is put on the one that has the least to do.
    // Whoever sleeps until it writes is woken on its processor and then takes turns with it, because the kernel expects
    // that who writes has nothing more to do (`WF_SYNC`, `select_task_rq_fair` of its `fair.c`). Here the filter is
    // wiped at once.
    let Last { filter, audited } = last()?.into();
    if attempt.is_none() {
        sockets::hold(plan, &filter)?;
    }
    let audited = audited && plan.landlock.as_ref().is_some_and(Rules::can_be_audited);
    started.handed.give(&filter, audited);
    drop(filter);
    if namespaced {
        started.hear(plan, UNMAPPED)?;
        plan.users.map(first)?;
        if plan.clocks {
            clocks::set(first)?;
        }
        if let Some(view) = view {
            trees::pass(view, first, started.up.as_fd())?;
        }
        process::write_message(started.down.as_fd(), b"G")?;
    }
    let ready = started.hear(plan, READY)?;
    if namespaced {
        started.pid = ready;
    }
    match forwarding {
        Some(forwarding) if namespaced => forwarding.target(process::handle(started.pid)?),
        Some(forwarding) => forwarding.target(pidfd),
        None => {}
    }
    if view.is_some() {
        started.mounts = Some(Mounts::of(started.pid).map_err(other_mounts)?);
    }
    Ok(started)
}

fn other_mounts(reason: String) -> Error {
    Error::Layer {
        layer: LayerName::Filesystem,
        reason,
        help: String::new(),
    }
}

/// The group that keeps limits.
fn grouped(bounds: &Bounds) -> Result<Option<Group>, Error> {
    if bounds.groups.is_empty() {
        return Ok(None);
    }
    let make = || {
        let places: Vec<_> = bounds
            .groups
            .iter()
            .map(|(place, _)| place.clone())
            .collect();
        let group = Group::create(&places, bounds.forks)?;
        for (place, most) in &bounds.groups {
            if let Some(most) = most {
                group.bound(place.controller, *most)?;
            }
        }
        Ok(group)
    };
    make().map(Some).map_err(no_group)
}

fn no_group(reason: std::io::Error) -> Error {
    Error::Layer {
        layer: LayerName::Limits,
        reason: format!("making a cgroup: {reason}"),
        help: String::new(),
    }
}

impl Started {
    /// Compares what the child sees with the plan. An error is a reason to end it, before anything of the program runs.
    pub(crate) fn prove(&mut self, plan: &Plan) -> Result<(), Error> {
        match (self.mounts.take(), plan.mounted()) {
            (Some(mounts), Some(view)) => mounts.prove(view).map_err(other_mounts),
            _ => Ok(()),
        }
    }

    /// Waits until the program's process, which was let go, has its filter left to load, and then to wait behind it.
    pub(crate) fn hear_parked(&self, plan: &Plan) -> Result<(), Error> {
        self.hear(plan, PARKED).map(drop)
    }

    /// Waits for `word`; the number of the process that said it.
    fn hear(&self, plan: &Plan, word: u8) -> Result<i32, Error> {
        let mut first = [0; LONGEST];
        match channel::hear(self.up.as_fd(), &mut first)? {
            (1, pid) if first[0] == word && pid > 0 => Ok(pid),
            (COMPLAINT, _) => Err(complaint(plan, &first)),
            _ => Err(Error::EndedEarly("it said nothing".to_owned())),
        }
    }

    /// Waits until nothing of the program is left, after its tracer has reaped what it follows: the processor time
    /// of all that was below an init, in nanoseconds, and of the init.
    pub(crate) fn hear_alone(&mut self) -> Result<Option<u64>, Error> {
        let Some(init) = self.init else {
            self.armed = false;
            return Ok(None);
        };
        // What the program left behind is not to hold up its end. To look for what stands still takes longer than almost
        // every init to end what is left, so it is looked at only where nothing is heard.
        while !channel::speaks(self.up.as_fd(), PATIENCE)? {
            freezer::end_frozen(init);
        }
        let mut word = [0; LONGEST];
        let heard = channel::hear(self.up.as_fd(), &mut word)?;
        let [first, time @ ..] = word;
        if heard == (LONGEST, init) && first == ALONE {
            self.armed = false;
            return Ok(Some(u64::from_le_bytes(time)));
        }
        // It was ended: the kernel has killed and reaped all of its namespace when it can be reaped itself.
        let end = end_of(init)?;
        self.armed = false;
        self.init = None;
        Ok(end.map(|usage| usage.cpu_ns))
    }
}

/// Reaps `child`; what it used, and all that it reaped.
fn end_of(child: i32) -> Result<Option<Usage>, Error> {
    while let Some((_, change)) = wait::next_of(child)? {
        if let Change::Ended(_, usage) = change {
            return Ok(Some(usage));
        }
    }
    Ok(None)
}

impl Drop for Started {
    fn drop(&mut self) {
        if let (Some(init), false) = (self.init, self.armed) {
            // Fails only when somebody else has reaped it.
            let _ = end_of(init);
        }
        let first = self.init.unwrap_or(self.pid);
        if !self.armed || process::kill_unreaped(first).is_err() {
            return;
        }
        freezer::end_frozen(first);
        // A kill does not wake a task that stands at its exit stop already.
        end_stopped(self.pid);
        // The init ends after all that is below it, which this thread reaps too where it traces it.
        while let Ok(Some((pid, change))) = match self.init {
            Some(_) => wait::next(),
            None => wait::next_of(self.pid),
        } {
            match change {
                Change::Stopped(_) => end_stopped(pid),
                Change::Ended(..) if pid == first => break,
                Change::Ended(..) => {}
            }
        }
    }
}

/// Ends a task that stands at a stop, if it does. The kill of its init is no end of it yet: until the init comes to its own, a
/// program that is let go from its exec stop runs.
fn end_stopped(pid: i32) {
    // Only who traces a stopped task is answered, so that the number is still its own.
    if ptrace::event_message(pid).is_ok() {
        let _ = process::kill_unreaped(pid);
        // Fails only when the kill overtook the stop.
        let _ = ptrace::resume(pid, 0);
    }
}

/// The program's file as the process `pid`, which waits for its tracer, sees it: on a mount of its own.
pub(crate) fn inside(plan: &Plan, pid: i32) -> Result<OwnedFd, Error> {
    let path = plan.program.path().to_owned();
    let failed = |reason| Error::Read {
        path: path.clone(),
        reason,
    };
    // One that is sealed in memory has no place among its own files.
    let Some(place_inside) = plan.mounted().and_then(|view| view.program.as_deref()) else {
        return plan
            .program
            .file()
            .as_fd()
            .try_clone_to_owned()
            .map_err(failed);
    };
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{pid}/root"), place, Mode::empty());
    let read = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let opened =
        root.and_then(|root| rustix::fs::openat2(root, place_inside, read, Mode::empty(), within));
    let file = File::from(opened.map_err(|e| failed(e.into()))?);
    let seen = file.metadata().map_err(failed)?;
    plan.program.still(&Identity::of(&seen))?;
    Ok(file.into())
}

/// What the child's word means: a step that is a layer's is the layer's refusal.
pub(crate) fn complaint(plan: &Plan, message: &[u8; LONGEST]) -> Error {
    let errno = i32::from_le_bytes([message[1], message[2], message[3], message[4]]);
    let reason = std::io::Error::from_raw_os_error(errno);
    let step = STEPS
        .get(usize::from(message[0]))
        .copied()
        .unwrap_or("start");
    match child::layer_of(message[0]) {
        Some(layer) => Error::Layer {
            layer,
            reason: format!("the child could not {step}: {reason}"),
            help: help::with(layer, errno, plan.users.root),
        },
        None => Error::Child { step, reason },
    }
}

/// The clone itself was refused.
fn no_namespaces(plan: &Plan, error: portcullis_sys::Error) -> Error {
    if plan.namespaces == Namespaces::NONE {
        return Error::Kernel(error);
    }
    Error::Layer {
        layer: LayerName::Namespaces,
        help: help::with(LayerName::Namespaces, error.errno(), plan.users.root),
        reason: error.to_string(),
    }
}
