//! The first process of the program's namespaces. It makes what the program sees, creates the program's
//! process and reaps whatever is left to it. When the program has ended it kills what is still there, tells the
//! launcher that it is alone, and ends; if it is ended before, the kernel does the killing (pid_namespaces(7)).
//!
//! It is a copy of the launcher that is not dumpable and belongs to the launcher's user namespace, so that no
//! process inside can trace it or write its memory. Like all that happens before an exec it neither
//! allocates, locks nor unwinds.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use portcullis_sys::limit::{self, Resource};
use portcullis_sys::mount::{self, Attributes};
use portcullis_sys::namespace::{self, Namespaces};
use portcullis_sys::{Error, channel, ipc, process, wait};

use crate::child::{self, ALONE, Failure, Prepared, UNMAPPED};
use crate::places_table::{PROC_HIDDEN, PROC_READ_ONLY};
use crate::view::{Mount, View, What};

/// What the init does, from its creation to its end.
pub(crate) fn run(prepared: &mut Prepared<'_>) -> ! {
    match set_up(prepared) {
        Err(failure) => child::complain(prepared, failure),
        Ok(program) => {
            // It holds nothing open that the program may want closed; every signal stays blocked.
            let reaped = process::close_from(0, &[prepared.up.as_raw_fd()])
                .and_then(|()| wait::reap_until(program));
            tell_alone(prepared);
            // What became of an attempt is told by this; what became of a program its tracer sees itself.
            process::exit_now(reaped.unwrap_or(libc::EIO))
        }
    }
}

/// Its namespaces end with it, which takes the kernel longer than a program that does little: who waits for the program
/// need not wait for that.
fn tell_alone(prepared: &Prepared<'_>) {
    let Ok(usage) = wait::end_all_others().and_then(|()| wait::used_so_far()) else {
        // The launcher waits for its end then.
        return;
    };
    let [a, b, c, d, e, f, g, h] = usage.cpu_ns.to_le_bytes();
    // If the launcher is gone there is nobody to tell.
    let _ = process::write_message(prepared.up.as_fd(), &[ALONE, a, b, c, d, e, f, g, h]);
}

fn set_up(prepared: &mut Prepared<'_>) -> Result<i32, Failure> {
    process::die_with_parent().map_err(|e| (7, e))?;
    if prepared.clocks {
        namespace::leave_clocks().map_err(|e| (7, e))?;
    }
    child::join(prepared)?;
    if prepared.loopback {
        namespace::bring_loopback_up().map_err(|e| (8, e))?;
    }
    bound(prepared.forks).map_err(|e| (17, e))?;
    if let Some((group, number)) = prepared.fork {
        // Where this fails the program has what was there before, into which it cannot fork, and finds that out.
        let _ = give_group(group, number);
    }
    let seen = prepared.view.filter(|view| !view.empty);
    // Of the machine's files, and so whosever this is: while the launcher proves the filter.
    let base = match seen {
        Some(view) => {
            copy(view, prepared.copies, |mount| !view.is_passed(mount)).map_err(|e| (9, e))?;
            Some(Base::copy()?)
        }
        None => None,
    };
    if prepared.namespaces.has(Namespaces::USER) {
        child::meet(prepared, UNMAPPED, || Ok(()))?;
    }
    if let Some(view) = seen {
        take(view, prepared).map_err(|e| (9, e))?;
        // Where there was none.
        copy(view, prepared.copies, |_| true).map_err(|e| (9, e))?;
    }
    if prepared.mapped {
        // Before anything is made: whose it is. The signal is asked for again, because that forgets it.
        namespace::become_first_user()
            .and_then(|()| process::die_with_parent())
            .map_err(|e| (16, e))?;
    }
    match (prepared.view, base) {
        (Some(view), Some(base)) => build(view, base, prepared.copies)?,
        (Some(view), None) => become_empty(view.over).map_err(|e| (10, e))?,
        (None, _) => {}
    }
    // It can stand still for long (`Pool`), and who waits for the end of another's pipe must not wait for that.
    process::close_from(3, prepared.held)
        .and_then(|()| child::create_program(prepared))
        .map_err(|e| (13, e))
}

/// How many inotify instances a program may have: a user has 128 in all by default (inotify(7)).
pub(crate) const INOTIFY_INSTANCES: u32 = 64;
/// Bytes of POSIX message queues; a user has 819200 by default (getrlimit(2)).
pub(crate) const QUEUES: u64 = 200 << 10;
/// How many terminals of its own; the machine has 4096 (`kernel.pty.max`).
pub(crate) const PTYS: u32 = 256;

/// What is counted for the user outside as well, it cannot use up; and the keys of his session it does not
/// have. The count is of its user namespace (namespaces(7), `/proc/sys/user`).
fn bound(forks: bool) -> Result<(), Error> {
    if forks {
        // Nobody below has a capability in another user namespace than this.
        process::put(c"/proc/sys/user/max_user_namespaces", b"0")?;
    }
    match process::put(c"/proc/sys/user/max_inotify_instances", b"64") {
        // A kernel without inotify.
        Err(e) if e.errno() == libc::ENOENT => {}
        other => other?,
    }
    limit::set(Resource::MessageQueues, QUEUES)?;
    ipc::leave_session()
}

const _: () = assert!(INOTIFY_INSTANCES == 64 && PTYS == 256);

/// Puts the directory `group` in the place of `number`: a mount of that directory alone, attached nowhere, so that what is
/// above it does not lead out of it, and read-only, which is nothing to who forks into it (`cgroup_may_write` asks the file
/// system and not the mount).
fn give_group(group: &CStr, number: i32) -> Result<(), Error> {
    let place = mount::place(group)?;
    let tree = mount::copy_tree(place.as_fd())?;
    let attributes = Attributes::READ_ONLY
        .and(Attributes::NO_SUID)
        .and(Attributes::NO_DEVICES)
        .and(Attributes::NO_EXEC);
    mount::set_attributes(tree.as_fd(), attributes)?;
    process::replace(tree.as_fd(), number)
}

/// Takes the copies that only the launcher can make, in the order of the view.
fn take(view: &View, prepared: &mut Prepared<'_>) -> Result<(), Error> {
    for (mount, copy) in view.mounts.iter().zip(prepared.copies.iter_mut()) {
        if view.is_passed(mount) {
            *copy = channel::take(prepared.up.as_fd())?;
        }
    }
    Ok(())
}

/// What everything lies on.
struct Base {
    /// A copy of all that the machine has, read-only.
    root: OwnedFd,
    processes: OwnedFd,
}

impl Base {
    fn copy() -> Result<Base, Failure> {
        Ok(Base {
            root: read_only_root().map_err(|e| (10, e))?,
            // While the machine's own process files can still be seen: the kernel asks for that
            // (`mount_too_revealing`).
            processes: mount::fresh(
                c"proc",
                &[],
                Attributes::NO_SUID
                    .and(Attributes::NO_DEVICES)
                    .and(Attributes::NO_EXEC),
            )
            .map_err(|e| (12, e))?,
        })
    }
}

/// Makes the view, and goes to where the program begins.
fn build(view: &View, base: Base, copies: &mut [Option<OwnedFd>]) -> Result<(), Failure> {
    mount::become_root(base.root.as_fd(), view.over).map_err(|e| (10, e))?;
    let empty = Empty::make().map_err(|e| (11, e))?;
    for (mount, copy) in view.mounts.iter().zip(copies) {
        one(mount, copy.take(), &empty).map_err(|e| (11, e))?;
    }
    drop(empty);
    mount::detach(EMPTY)
        .and_then(|()| mount::attach(base.processes.as_fd(), EMPTY))
        .and_then(|()| seal_processes())
        .map_err(|e| (12, e))?;
    mount::enter(&view.directory).map_err(|e| (11, e))
}

/// Copies what is grafted and not there yet, as far as it is `wanted`, before anything lies on it.
fn copy(
    view: &View,
    copies: &mut [Option<OwnedFd>],
    wanted: impl Fn(&Mount) -> bool,
) -> Result<(), Error> {
    for (mount, copy) in view.mounts.iter().zip(copies) {
        let grafted = matches!(mount.what, What::Graft { .. });
        if grafted && copy.is_none() && wanted(mount) {
            let place = mount::place(&mount.at)?;
            let tree = mount::copy_tree(place.as_fd())?;
            mount::set_attributes(tree.as_fd(), mount.what.attributes())?;
            *copy = Some(tree);
        }
    }
    Ok(())
}

/// A copy of everything, read-only.
fn read_only_root() -> Result<OwnedFd, Error> {
    let place = mount::place(c"/")?;
    let tree = mount::copy_tree(place.as_fd())?;
    let attributes = Attributes::READ_ONLY
        .and(Attributes::NO_SUID)
        .and(Attributes::NO_DEVICES);
    mount::set_attributes(tree.as_fd(), attributes)?;
    Ok(tree)
}

/// A root in which there is nothing, not even process files.
fn become_empty(over: bool) -> Result<(), Error> {
    let attributes = Attributes::NO_SUID
        .and(Attributes::NO_DEVICES)
        .and(Attributes::NO_EXEC);
    let tree = mount::fresh(c"tmpfs", &[(c"mode", c"555")], attributes)?;
    mount::set_attributes(tree.as_fd(), attributes.and(Attributes::READ_ONLY))?;
    mount::become_root(tree.as_fd(), over)
}

/// Where an empty directory and an empty file are while covers are made of them.
const EMPTY: &CStr = c"/proc";
const EMPTY_DIRECTORY: &CStr = c"/proc/directory";
const EMPTY_FILE: &CStr = c"/proc/file";

/// What covers are copies of, with the attributes of all of them.
struct Empty {
    directory: OwnedFd,
    file: OwnedFd,
}

impl Empty {
    fn make() -> Result<Empty, Error> {
        let places = mount::fresh(c"tmpfs", &[(c"mode", c"755")], Attributes::NONE)?;
        mount::attach(places.as_fd(), EMPTY)?;
        mount::make_directory(EMPTY_DIRECTORY, 0o555)?;
        mount::make_file(EMPTY_FILE)?;
        mount::set_attributes(places.as_fd(), What::EmptyFile.attributes())?;
        Ok(Empty {
            directory: mount::place(EMPTY_DIRECTORY)?,
            file: mount::place(EMPTY_FILE)?,
        })
    }
}

fn one(mount: &Mount, copy: Option<OwnedFd>, empty: &Empty) -> Result<(), Error> {
    let attributes = mount.what.attributes();
    let tree = match (&mount.what, copy) {
        (What::Graft { .. }, Some(copy)) => copy,
        // There is one for each graft.
        (What::Graft { .. }, None) => return Ok(()),
        (What::Fresh { kind, mode }, _) if *kind == c"devpts" => {
            let options = [
                (c"mode", mode.as_c_str()),
                (c"ptmxmode", c"666"),
                (c"max", c"256"),
            ];
            mount::fresh(kind, &options, attributes)?
        }
        (What::Fresh { kind, mode }, _) => mount::fresh(kind, &[(c"mode", mode)], attributes)?,
        (What::EmptyDirectory, _) => mount::copy_tree(empty.directory.as_fd())?,
        (What::EmptyFile, _) => mount::copy_tree(empty.file.as_fd())?,
    };
    match mount::attach(tree.as_fd(), &mount.at) {
        // What would be hidden is gone.
        Err(e) if e.errno() == libc::ENOENT && !mount.what.writable() => return Ok(()),
        other => other?,
    }
    for (path, mode) in &mount.directories {
        mount::make_directory(path, *mode)?;
    }
    for path in &mount.files {
        mount::make_file(path)?;
    }
    for (content, path) in &mount.links {
        mount::make_link(content, path)?;
    }
    match mount.sealed {
        true => mount::set_attributes(tree.as_fd(), attributes.and(Attributes::READ_ONLY)),
        false => Ok(()),
    }
}

/// What the machine can be changed through is made read-only, what shows others' memory is covered.
fn seal_processes() -> Result<(), Error> {
    let quiet = Attributes::NO_SUID
        .and(Attributes::NO_EXEC)
        .and(Attributes::READ_ONLY);
    for path in PROC_READ_ONLY {
        let tree = match mount::copy_tree_at(path) {
            Err(e) if e.errno() == libc::ENOENT => continue,
            other => other?,
        };
        mount::set_attributes(tree.as_fd(), quiet.and(Attributes::NO_DEVICES))?;
        mount::attach(tree.as_fd(), path)?;
    }
    let nothing = match mount::place(c"/dev/null") {
        Err(e) if e.errno() == libc::ENOENT => return Ok(()),
        other => other?,
    };
    for path in PROC_HIDDEN {
        let tree = mount::copy_tree(nothing.as_fd())?;
        mount::set_attributes(tree.as_fd(), quiet)?;
        match mount::attach(tree.as_fd(), path) {
            Err(e) if e.errno() == libc::ENOENT => {}
            other => other?,
        }
    }
    Ok(())
}
