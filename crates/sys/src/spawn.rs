//! Creating the child.
#![expect(unsafe_code, reason = "clone(2)")]

use std::ffi::{CStr, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

use crate::exec::{self, CStringArray};
use crate::namespace::Namespaces;
use crate::signal::{self, Before, Mask};
use crate::{Error, check, process};

/// Which side of the clone this is.
pub enum Side {
    /// The new process.
    Child,
    /// The caller, with the child's number and a handle to it.
    Parent(i32, OwnedFd),
}

/// Clones the process: a copy of the memory, one thread, new `namespaces`. The system call itself is made, not
/// libc's `fork`, so that no handler registered with `pthread_atfork` runs.
///
/// It sends `SIGCHLD` at its end, unless it is the first of new namespaces: that one sends nothing, and only who asks
/// for it is told of it (`__WCLONE`, `__WALL`; waitpid(2)).
///
/// # Safety
/// The caller may have other threads, whose locks are copied in whatever state they are. Until it
/// executes another program or ends, the child must not allocate, lock, log or unwind.
pub unsafe fn clone_process(namespaces: Namespaces) -> Result<Side, Error> {
    let mut pidfd: libc::c_int = -1;
    let flags = at_its_end(namespaces) | libc::CLONE_PIDFD | namespaces.flags();
    let flags = libc::c_long::from(flags);
    // SAFETY: without CLONE_VM the child has its own copy of this stack, so both returns are
    // sound; the kernel writes the descriptor through the parent_tid pointer (clone(2)).
    let value = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    let pid = check("clone", value)?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    // SAFETY: CLONE_PIDFD returned this descriptor, and nothing else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Side::Parent(i32::try_from(pid).unwrap_or(-1), pidfd))
}

/// The signal that a process sends its parent at its end.
fn at_its_end(namespaces: Namespaces) -> c_int {
    match namespaces {
        Namespaces::NONE => libc::SIGCHLD,
        _ => 0,
    }
}

/// Like [`clone_process`], and the new process is in the control group (version 2) of the directory `group` from its
/// beginning on (Linux 5.7): to move one there later makes the kernel wait for a grace period of RCU.
///
/// # Safety
/// As for [`clone_process`].
pub unsafe fn clone_process_into(
    namespaces: Namespaces,
    group: BorrowedFd<'_>,
) -> Result<Side, Error> {
    /// `struct clone_args` of `linux/sched.h`.
    #[repr(C)]
    #[derive(Default)]
    struct CloneArguments {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    const INTO_CGROUP: u64 = 1 << 33;
    let mut pidfd: libc::c_int = -1;
    let flags = libc::CLONE_PIDFD | namespaces.flags();
    let arguments = CloneArguments {
        flags: u64::from(flags.cast_unsigned()) | INTO_CGROUP,
        pidfd: (&raw mut pidfd).addr() as u64,
        exit_signal: at_its_end(namespaces) as u64,
        cgroup: group.as_raw_fd() as u64,
        ..CloneArguments::default()
    };
    // SAFETY: without CLONE_VM the child has its own copy of this stack, so both returns are sound; the kernel reads
    // the structure, with its size, and writes the descriptor through its pointer (clone(2)).
    let value = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<CloneArguments>(),
        )
    };
    let pid = check("clone3", value)?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    // SAFETY: CLONE_PIDFD returned this descriptor, and nothing else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Side::Parent(i32::try_from(pid).unwrap_or(-1), pidfd))
}

/// Memory for the stack of a process that shares the rest of it with its parent.
#[derive(Debug)]
pub struct Stack(NonNull<c_void>);

/// Its size: most of it is never touched, and takes no memory then.
const STACK: usize = 1 << 20;

impl Stack {
    /// Maps it (mmap(2)).
    pub fn new() -> Result<Stack, Error> {
        // SAFETY: the kernel chooses a new place, of which nothing else has an address.
        let value = unsafe {
            libc::syscall(
                libc::SYS_mmap,
                0,
                STACK,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
                -1,
                0,
            )
        };
        let at = check("mmap", value)?;
        let at = std::ptr::with_exposed_provenance_mut(at.cast_unsigned() as usize);
        // A mapping never begins at 0 without MAP_FIXED.
        NonNull::new(at).map(Stack).ok_or(Error::last("mmap"))
    }

    /// Where it begins: stacks grow downwards on all architectures here.
    fn top(&self) -> *mut c_void {
        // SAFETY: the end of the mapping, to which a pointer may lead.
        unsafe { self.0.as_ptr().byte_add(STACK) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: `new` mapped it, and nobody runs on it any more: a child on it has executed its program, has ended,
        // or has a copy.
        unsafe { libc::syscall(libc::SYS_munmap, self.0.as_ptr(), STACK) };
    }
}

// SAFETY: it is memory without an owner among threads, used by one child at a time.
unsafe impl Send for Stack {}

/// Creates a process that runs `child` with `argument` in the memory of the caller, on `stack`; the caller stands
/// still until it executes another program or ends (vfork(2)). What it writes stays written. Neither memory nor page
/// tables are copied, and the exec has none to give back. The number of the process is returned. May be called by a child
/// before its exec.
///
/// The kernel refuses it (`EINVAL`, before Linux 6.3) to a caller whose children have other clocks.
///
/// # Safety
/// As for [`clone_process`]; `child` must not return, and `argument` must be what it takes.
pub unsafe fn clone_sharing(
    stack: &mut Stack,
    child: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Result<i32, Error> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is mapped and nobody else's. libc's clone is a bare call that starts the child in `child`: its
    // frames are on the new stack, so those of the caller are whole when it goes on. It goes on when the child is
    // gone from this memory, so nothing of it (errno, locals behind `argument`) is used by both at a time.
    let value = unsafe { libc::clone(child, stack.top(), flags, argument) };
    check("clone(CLONE_VM)", value.into()).map(|pid| i32::try_from(pid).unwrap_or(-1))
}

/// [`clone_process`] for a caller that has one thread; with more it fails (`EINVAL`).
///
/// With one thread nobody else can hold a lock or be half-way through a change of memory, so the child may go
/// on as the caller could. `unshare(CLONE_THREAD)` changes nothing and is refused to a process with more
/// (unshare(2)).
pub fn clone_alone() -> Result<Side, Error> {
    be_alone()?;
    // SAFETY: there is no other thread, as was just seen, and only this one could have made one since.
    unsafe { clone_process(Namespaces::NONE) }
}

/// The same by [`clone_process_into`]: the new process begins in the control group of the directory `group`.
pub fn clone_alone_into(group: BorrowedFd<'_>) -> Result<Side, Error> {
    be_alone()?;
    // SAFETY: as in `clone_alone`.
    unsafe { clone_process_into(Namespaces::NONE, group) }
}

/// Fails when this process has more threads than one.
fn be_alone() -> Result<(), Error> {
    // SAFETY: an integer only; nothing is shared with anybody, so nothing changes.
    let value = unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_THREAD) };
    check("unshare(CLONE_THREAD)", value).map(drop)
}

/// A child that waits to be traced before it executes its program.
pub struct Held {
    /// Its process.
    pub pid: i32,
    /// A handle to it.
    pub pidfd: OwnedFd,
    go: OwnedFd,
    failure: OwnedFd,
}

/// Creates a child that, when it is released, gives itself the signals of `signals` and `mask`, promises never to
/// gain privileges (`promises`), and executes `path`. Every signal of the calling thread must be blocked ([`signal::block_all`]): the child has its
/// handlers until then.
pub fn held(
    path: &CStr,
    arguments: &CStringArray,
    environment: &CStringArray,
    signals: &Before,
    mask: &Mask,
    promises: bool,
) -> Result<Held, Error> {
    let (wait, go) = process::pipe()?;
    let (failure, fail) = process::pipe()?;
    // SAFETY: the child calls functions that are stated to be fit for it, on memory made before, and ends
    // in an exec or an exit.
    match unsafe { clone_process(Namespaces::NONE) }? {
        Side::Parent(pid, pidfd) => Ok(Held {
            pid,
            pidfd,
            go,
            failure,
        }),
        Side::Child => {
            // This process must not hold the other ends open: it would wait for itself.
            drop((go, failure));
            let mut word = [0];
            let error = match process::read_message(wait.as_fd(), &mut word) {
                Ok(1) => signal::restore_for_exec(signals)
                    .and_then(|()| signal::set_mask(mask).map(drop))
                    .and_then(|()| match promises {
                        true => process::no_new_privileges(),
                        false => Ok(()),
                    })
                    .map_or_else(
                        |error| error,
                        |()| exec::execute_path(path, arguments, environment),
                    ),
                // The parent died: nothing may run untraced.
                Ok(_) => process::exit_now(127),
                Err(error) => error,
            };
            // If the parent is gone there is nobody to tell.
            let _ = process::write_message(fail.as_fd(), &error.errno().to_le_bytes());
            process::exit_now(127)
        }
    }
}

impl Held {
    /// Lets the child execute its program.
    pub fn release(&self) -> Result<(), Error> {
        process::write_message(self.go.as_fd(), b"G")
    }

    /// Waits until the child that was released has executed its program, or says why it has not.
    pub fn executed(&self) -> Result<(), Error> {
        let mut number = [0; 4];
        match process::read_message(self.failure.as_fd(), &mut number) {
            // The exec has closed the other end.
            Ok(0) => Ok(()),
            Ok(4) => Err(Error {
                call: "execve",
                reason: std::io::Error::from_raw_os_error(i32::from_le_bytes(number)),
            }),
            Ok(_) => Err(Error {
                call: "execve",
                reason: std::io::Error::from_raw_os_error(libc::EIO),
            }),
            Err(error) => Err(error),
        }
    }

    /// Of a child that ended before its exec: why.
    pub fn failure(&self) -> Error {
        let mut number = [0; 4];
        let reason = match process::read_message(self.failure.as_fd(), &mut number) {
            Ok(4) => i32::from_le_bytes(number),
            _ => libc::EIO,
        };
        Error {
            call: "execve",
            reason: std::io::Error::from_raw_os_error(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::{self, Change, End};

    extern "C" fn leaves_a_word(argument: *mut c_void) -> c_int {
        // SAFETY: the test passes a live i32, and stands still.
        unsafe { *argument.cast::<i32>() = 7 };
        process::exit_now(3)
    }

    #[test]
    fn what_shares_memory_has_left_it_when_the_caller_goes_on() {
        let mut stack = Stack::new().unwrap();
        let mut word = 0;
        // SAFETY: the child writes a word and ends.
        let pid = unsafe { clone_sharing(&mut stack, leaves_a_word, (&raw mut word).cast()) };
        let pid = pid.unwrap();
        assert_eq!(word, 7);
        assert!(wait::is_there(pid).unwrap());
        let ended = wait::next_of(pid).unwrap();
        assert!(matches!(ended, Some((_, Change::Ended(End::Exited(3), _)))));
        assert!(!wait::is_there(pid).unwrap());
    }
}
