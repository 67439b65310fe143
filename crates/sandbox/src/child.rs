//! The program's process between its creation and its exec: nothing here allocates, locks or unwinds.
#![expect(
    unsafe_code,
    reason = "clone copies a process whose other threads may hold locks"
)]

use std::ffi::{CStr, CString, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use portcullis_sys::exec::{self, CStringArray, Words};
use portcullis_sys::namespace::{self, Capabilities, Namespaces};
use portcullis_sys::signal::{self, Before, Mask};
use portcullis_sys::spawn::{self, Side, Stack};
use portcullis_sys::{Error, channel, landlock, limit, mount, process};

use crate::attempt::{self, Step};
use crate::cgroup::Doors;
use crate::handed::{EXECUTING, Handed};
use crate::init;
use crate::layer::LayerName;
use crate::rules::Rules;
use crate::view::View;

/// Everything the child needs, made before it exists.
pub(crate) struct Prepared<'a> {
    pub(crate) program: BorrowedFd<'a>,
    pub(crate) arguments: &'a CStringArray,
    pub(crate) environment: &'a CStringArray,
    /// Has its filter when the launcher lets it go on, and takes how far its launch exec is: its filter may let it say
    /// nothing.
    pub(crate) handed: &'a Handed,
    /// Stay open for the program.
    pub(crate) keep: &'a [i32],
    /// All that is open until the exec, ascending: those, and what is used here.
    pub(crate) open: &'a [i32],
    /// All that its init needs open while it stands still: those, and what becomes standard streams.
    pub(crate) held: &'a [i32],
    pub(crate) mask: &'a Mask,
    /// The dispositions to restore; without them handlers are taken away.
    pub(crate) signals: Option<&'a Before>,
    /// What is put in the place of 0, 1 and 2.
    pub(crate) standard: [Option<BorrowedFd<'a>>; 3],
    /// It waits behind its filter until it is told what to execute.
    pub(crate) parking: Option<Parking>,
    /// Written by the child: one byte when it waits for the launcher, a [`COMPLAINT`] when it fails.
    pub(crate) up: OwnedFd,
    /// Read by the child: one byte when it may go on.
    pub(crate) down: OwnedFd,
    /// The launcher's ends of both. The child has copies, and would wait for itself when the launcher is gone.
    pub(crate) others: [i32; 2],
    /// Its control groups.
    pub(crate) doors: &'a Doors,
    /// The program forks.
    pub(crate) forks: bool,
    /// The group in which what it forks can begin, and the descriptor in whose place it has that.
    pub(crate) fork: Option<(&'a CStr, i32)>,
    /// What it is the init of; none when it is the program itself.
    pub(crate) namespaces: Namespaces,
    /// Its users are others outside.
    pub(crate) mapped: bool,
    pub(crate) loopback: bool,
    /// The program has clocks of its own.
    pub(crate) clocks: bool,
    /// It begins a session.
    pub(crate) session: bool,
    /// No memory of it becomes executable.
    pub(crate) fixed_code: bool,
    pub(crate) view: Option<&'a View>,
    /// Room for the copies of what the view grafts, one per mount.
    pub(crate) copies: &'a mut [Option<OwnedFd>],
    pub(crate) landlock: Option<&'a Rules>,
    /// What it does instead of executing the program.
    pub(crate) attempt: Option<&'a [Step]>,
    /// What the program may keep of the capabilities in its own namespace.
    pub(crate) capabilities: Option<Capabilities>,
    /// Resources and their bounds.
    pub(crate) bounds: &'a [(limit::Resource, u64)],
    /// What the program's process runs on until its exec, when an init creates it.
    pub(crate) stack: Option<&'a mut Stack>,
}

/// Where a child hears what to execute, and room for that.
pub(crate) struct Parking {
    pub(crate) from: OwnedFd,
    pub(crate) words: Words,
}

/// The steps of the child, in order; the byte that names one in a complaint.
pub(crate) const STEPS: [&str; 21] = [
    "become traceable",
    "wait for its tracer",
    "hide its memory",
    "give up raising privileges and executable memory",
    "restore signals and descriptors",
    "load the filter",
    "execute the program",
    "be mapped to users",
    "bring its network up",
    "copy the mounts that it is given",
    "make its root read-only",
    "mount what is its own",
    "mount its process files",
    "be created below its init",
    "give up capabilities and bound resources",
    "restrict itself with Landlock",
    "become the user that it is mapped to",
    "bound what it takes of its user's",
    "put its standard streams in place",
    "join its control groups",
    "begin a session",
];

/// The step of the launch exec.
pub(crate) const EXECUTES: u8 = 6;

/// The layer whose step `step` is.
pub(crate) fn layer_of(step: u8) -> Option<LayerName> {
    match step {
        7 | 13 | 17 => Some(LayerName::Namespaces),
        8 => Some(LayerName::Network),
        9..=12 => Some(LayerName::Filesystem),
        15 => Some(LayerName::Landlock),
        16 => Some(LayerName::Ids),
        19 => Some(LayerName::Limits),
        _ => None,
    }
}

/// A failure on its way to the launcher: the step and the error number.
pub(crate) const COMPLAINT: usize = 5;

/// What the program's process writes when it may be seized.
pub(crate) const READY: u8 = b'R';
/// What it writes before it loads the filter behind which it waits.
pub(crate) const PARKED: u8 = b'P';
/// What the init writes when its users are to be mapped.
pub(crate) const UNMAPPED: u8 = b'U';
/// What the init's last message begins with: nobody is left but itself. Processor time in nanoseconds follows, its own
/// and of all that it reaped.
pub(crate) const ALONE: u8 = b'A';
/// The length of that message, the longest of all.
pub(crate) const LONGEST: usize = 9;

/// A step that failed.
pub(crate) type Failure = (u8, Error);

/// Creates the child, which never returns: the program, or its init when there are namespaces. `false`: it could not
/// begin in its control group.
pub(crate) fn create(prepared: &mut Prepared<'_>) -> Result<(i32, OwnedFd, bool), Error> {
    let namespaces = prepared.namespaces;
    let within = prepared.doors.begin.as_ref().map(|group| {
        // SAFETY: the child calls functions of portcullis-sys that are stated to be fit for a child, works on memory
        // made before, and ends in an exec or an exit.
        unsafe { spawn::clone_process_into(namespaces, group.as_fd()) }
    });
    let (side, begun) = match within {
        Some(Ok(side)) => (side, true),
        // Hosts of containers answer clone3 so, because filters do not see its flags.
        Some(Err(e)) if e.errno() != libc::ENOSYS => return Err(e),
        other => {
            // SAFETY: as above.
            let side = unsafe { spawn::clone_process(namespaces) }?;
            (side, other.is_none())
        }
    };
    match side {
        Side::Child => {
            // Neither fails: they were open.
            let _ = prepared.others.map(process::close);
            if prepared.session
                && let Err(error) = process::begin_session()
            {
                complain(prepared, (20, error));
            }
            match namespaces {
                Namespaces::NONE => program(prepared),
                _ => init::run(prepared),
            }
        }
        Side::Parent(pid, pidfd) => Ok((pid, pidfd, begun)),
    }
}

/// Moves this process, which has one thread, into its control groups of version 1.
pub(crate) fn join(prepared: &Prepared<'_>) -> Result<(), Failure> {
    let mut doors = prepared.doors.join.iter();
    doors.try_for_each(|door| process::write_message(door.as_fd(), b"0").map_err(|e| (19, e)))
}

/// Creates the program's process as a child of the init, which stands still until the program is executed.
pub(crate) fn create_program(prepared: &mut Prepared<'_>) -> Result<i32, Error> {
    // An attempt goes on in its memory, and is to find there what the program would: a copy that nobody shares.
    if let (Some(stack), None) = (prepared.stack.take(), prepared.attempt) {
        let argument: *mut Prepared<'_> = prepared;
        // SAFETY: as in `create`; `shared` ends in an exec or an exit, and takes what is passed here.
        match unsafe { spawn::clone_sharing(stack, shared, argument.cast()) } {
            // Its clocks are others, which such a process cannot have before Linux 6.3.
            Err(e) if e.errno() == libc::EINVAL => {}
            other => return other,
        }
    }
    // SAFETY: as in `create`.
    match unsafe { spawn::clone_process(Namespaces::NONE) }? {
        Side::Child => program(prepared),
        Side::Parent(pid, _) => Ok(pid),
    }
}

extern "C" fn shared(prepared: *mut c_void) -> c_int {
    // SAFETY: `create_program` passes its own exclusive reference, and stands still while it is used.
    program(unsafe { &mut *prepared.cast::<Prepared<'_>>() })
}

/// Tells the launcher of a failure, and ends.
pub(crate) fn complain(prepared: &Prepared<'_>, (step, error): Failure) -> ! {
    let number = error.errno().to_le_bytes();
    let complaint = [step, number[0], number[1], number[2], number[3]];
    // If the launcher is gone there is nobody to complain to.
    let _ = process::write_message(prepared.up.as_fd(), &complaint);
    process::exit_now(127)
}

/// Tells the launcher `word` and waits for its answer, readable for it in between: the launcher is not
/// dumpable, and this copy of it neither, so that an unprivileged tracer could not seize it (ptrace(2),
/// access check 5), nor write its user map (proc(5)). What `meanwhile` does the launcher need not wait for; that it
/// failed is not told before the answer, which is meant for who is still there.
pub(crate) fn meet<T>(
    prepared: &Prepared<'_>,
    word: u8,
    meanwhile: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    process::set_dumpable(true)
        .and_then(|()| process::write_message(prepared.up.as_fd(), &[word]))
        .map_err(|e| (0, e))?;
    let done = meanwhile();
    let mut go = [0];
    match process::read_message(prepared.down.as_fd(), &mut go) {
        Ok(1) => {}
        // The launcher died: nothing may run untraced.
        Ok(_) => process::exit_now(127),
        Err(e) => return Err((1, e)),
    }
    process::set_dumpable(false).map_err(|e| (2, e))?;
    done
}

fn program(prepared: &mut Prepared<'_>) -> ! {
    let cookie = match prepare(prepared) {
        Ok(cookie) => cookie,
        Err(failure) => complain(prepared, failure),
    };
    if let Some(steps) = prepared.attempt {
        process::exit_now(attempt::take(steps));
    }
    let error = match &mut prepared.parking {
        None => {
            prepared.handed.set_exec(EXECUTING);
            exec::execute(
                prepared.program,
                prepared.arguments,
                prepared.environment,
                cookie,
            )
        }
        Some(parking) => parking.execute(cookie, prepared.handed),
    };
    // On success nothing of this remains. On failure the filter is loaded already and may allow neither a write nor
    // an exit: what is left here tells.
    let number = u64::from(error.errno().unsigned_abs());
    prepared.handed.set_exec(number);
    complain(prepared, (EXECUTES, error))
}

impl Parking {
    /// Waits for a message and executes what it says; returns only on failure.
    fn execute(&mut self, cookie: u64, handed: &Handed) -> Error {
        let heard = channel::receive(self.from.as_fd(), self.words.room(), cookie);
        handed.set_exec(EXECUTING);
        let (length, [program, standard @ ..]) = match heard {
            // Nothing will be said any more.
            Ok((0, _)) => process::exit_now(0),
            Ok(heard) => heard,
            Err(error) => return error,
        };
        for (number, descriptor) in (0..).zip(standard) {
            if let Err(error) = process::stand_for(descriptor, number, cookie) {
                return error;
            }
        }
        // SAFETY: the message brought this descriptor, and nothing closes it before the exec.
        let program = unsafe { BorrowedFd::borrow_raw(program) };
        self.words.execute(length, program, cookie)
    }
}

/// To behind the filter; its secret, which is nowhere else then.
fn prepare(prepared: &Prepared<'_>) -> Result<u64, Failure> {
    if prepared.namespaces == Namespaces::NONE {
        join(prepared)?;
    }
    // While the launcher compares its mounts with the plan.
    let ruleset = meet(prepared, READY, || confine(prepared))?;
    let cookie = prepared.handed.cookie();
    if let Some(ruleset) = ruleset {
        let audited = prepared.handed.audited();
        landlock::restrict(ruleset.as_fd(), audited).map_err(|e| (15, e))?;
    }
    process::close_from(3, prepared.open)
        .and_then(|()| {
            prepared
                .keep
                .iter()
                .try_for_each(|fd| process::keep_on_exec(*fd))
        })
        .and_then(|()| match prepared.signals {
            Some(before) => signal::restore_for_exec(before),
            None => signal::forget_handlers(),
        })
        .and_then(|()| signal::set_mask(prepared.mask).map(drop))
        .and_then(|()| match &prepared.parking {
            Some(_) => process::write_message(prepared.up.as_fd(), &[PARKED]),
            None => Ok(()),
        })
        .map_err(|e| (4, e))?;
    prepared.handed.load().map_err(|e| (5, e))?;
    prepared.handed.wipe();
    Ok(cookie)
}

/// What does not take the launcher's word: its own file and streams, and to give up whatever it can without its filter.
/// The Landlock rules that it will restrict itself by.
fn confine(prepared: &Prepared<'_>) -> Result<Option<OwnedFd>, Failure> {
    process::no_new_privileges().map_err(|e| (3, e))?;
    if prepared.fixed_code {
        // What it is given by the exec keeps this of what it was (`mm_init` of the kernel's fork.c).
        process::refuse_executable_gain().map_err(|e| (3, e))?;
    }
    for (number, given) in (0..).zip(&prepared.standard) {
        if let Some(given) = given {
            process::stand_for(given.as_raw_fd(), number, 0).map_err(|e| (18, e))?;
        }
    }
    let program = prepared.view.and_then(|view| view.program.as_ref());
    if let (Some(path), None) = (program, &prepared.parking) {
        own_copy(prepared, path).map_err(|e| (EXECUTES, e))?;
    }
    let ruleset = prepared.landlock.map(ruleset).transpose();
    let ruleset = ruleset.map_err(|e| (15, e))?;
    let bounds = prepared.bounds.iter();
    bounds
        .copied()
        .try_for_each(|(resource, most)| limit::set(resource, most))
        .and_then(|()| match prepared.capabilities {
            Some(kept) => namespace::keep_capabilities(kept),
            None => Ok(()),
        })
        .map_err(|e| (14, e))?;
    Ok(ruleset)
}

/// Opens the program again, where it cannot be written: through the launcher's descriptor, which is of the
/// machine's own mount, `/proc/self/exe` could be once nobody executes it any more. The launcher compares at
/// the exec stop; a file that is seen to be another one is not executed.
fn own_copy(prepared: &Prepared<'_>, path: &CString) -> Result<(), Error> {
    let own = process::open(path)?;
    if process::file_of(own.as_fd())? != process::file_of(prepared.program)? {
        return Err(Error {
            call: "open",
            reason: std::io::Error::from_raw_os_error(libc::ESTALE),
        });
    }
    process::replace(own.as_fd(), prepared.program.as_raw_fd())
}

fn ruleset(rules: &Rules) -> Result<OwnedFd, Error> {
    let ruleset = landlock::ruleset(&rules.handled)?;
    for (path, access) in &rules.paths {
        let place = match mount::place(path) {
            // Its mount has covered something else, or is gone: nothing is allowed there.
            Err(e) if e.errno() == libc::ENOENT => continue,
            other => other?,
        };
        landlock::allow(ruleset.as_fd(), place.as_fd(), *access)?;
    }
    for port in &rules.ports {
        landlock::allow_connect(ruleset.as_fd(), *port)?;
    }
    for (descriptor, access) in &rules.descriptors {
        // SAFETY: 0, 1 and 2, which were found open and stay so until the exec.
        let descriptor = unsafe { BorrowedFd::borrow_raw(*descriptor) };
        match landlock::allow(ruleset.as_fd(), descriptor, *access) {
            // A pipe or socket: no rule is needed (landlock(7)).
            Err(e) if [libc::EBADFD, libc::EINVAL].contains(&e.errno()) => {}
            other => other?,
        }
    }
    Ok(ruleset)
}
