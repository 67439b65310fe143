//! Signals of the launcher: passing them on, and not dying of those meant for the program.
#![expect(unsafe_code, reason = "sigaction(2) and a handler")]

use std::cell::OnceCell;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::{Error, check};

/// Signals that end or inform a program and that a launcher passes on.
const PASSED: [i32; 10] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGWINCH,
];

/// Set to the default in the child: the runtime of this program ignores it, its parent did not.
const RESET: i32 = libc::SIGPIPE;

/// The handle of the program that signals go to; -1 when there is none.
static TARGET: AtomicI32 = AtomicI32::new(-1);
/// A `SIGTSTP` came since this was last asked.
static SUSPEND: AtomicBool = AtomicBool::new(false);

extern "C" fn pass_on(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo.
    let code = unsafe { (*info).si_code };
    if signal == libc::SIGTSTP {
        // Never passed on: whoever suspends a job sends this to its group, the program included,
        // and a second one that arrives after the job was continued would stop it again.
        SUSPEND.store(true, Ordering::SeqCst);
        return;
    }
    // From the terminal (SI_KERNEL) it went to the whole foreground group, the program included.
    if code > 0 {
        return;
    }
    let target = TARGET.load(Ordering::SeqCst);
    if target >= 0 {
        // SAFETY: __errno_location points to this thread's errno.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above; the interrupted code must not see the value change.
        let saved = unsafe { *errno };
        // SAFETY: integers and a null pointer; the call is async-signal-safe.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                target,
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        // SAFETY: as above.
        unsafe { *errno = saved };
    }
}

/// A set of signals that are blocked.
#[derive(Clone, Copy)]
pub struct Mask(libc::sigset_t);

/// Blocks every signal of the calling thread; the mask before that is returned.
pub fn block_all() -> Result<Mask, Error> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: initialised just above.
    let all = unsafe { all.assume_init() };
    set_mask(&Mask(all))
}

/// Sets the calling thread's mask; the one before is returned. May be called by a child before its
/// exec.
pub fn set_mask(mask: &Mask) -> Result<Mask, Error> {
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets are valid for the call.
    let value =
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask.0, before.as_mut_ptr()) };
    if value != 0 {
        return Err(Error {
            call: "pthread_sigmask",
            reason: std::io::Error::from_raw_os_error(value),
        });
    }
    // SAFETY: pthread_sigmask filled it in.
    Ok(Mask(unsafe { before.assume_init() }))
}

/// Changes of children, as a descriptor that is readable when there was one. While this lives, the calling thread blocks
/// the signal that tells of them.
pub struct Children {
    fd: OwnedFd,
    before: Mask,
}

impl Children {
    /// Tells of what changes from now on.
    pub fn watch() -> Result<Children, Error> {
        let mut only = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set.
        unsafe { libc::sigemptyset(only.as_mut_ptr()) };
        // SAFETY: the set was initialised just above.
        unsafe { libc::sigaddset(only.as_mut_ptr(), libc::SIGCHLD) };
        // SAFETY: as above.
        let only = unsafe { only.assume_init() };
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: both sets are valid for the call.
        let value =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const only, before.as_mut_ptr()) };
        if value != 0 {
            return Err(Error {
                call: "pthread_sigmask",
                reason: std::io::Error::from_raw_os_error(value),
            });
        }
        // SAFETY: pthread_sigmask filled it in.
        let before = Mask(unsafe { before.assume_init() });
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is valid for the call.
        let value = unsafe { libc::signalfd(-1, &raw const only, flags) };
        match check("signalfd", value.into()) {
            Ok(fd) => Ok(Children {
                fd: crate::process::owned(fd),
                before,
            }),
            Err(error) => {
                set_mask(&before)?;
                Err(error)
            }
        }
    }

    /// Nothing that was told is told again.
    pub fn clear(&self) {
        let mut told = [0_u8; size_of::<libc::signalfd_siginfo>()];
        // SAFETY: the kernel writes no more than the array holds.
        while unsafe { libc::read(self.fd.as_raw_fd(), told.as_mut_ptr().cast(), told.len()) } > 0 {
        }
    }
}

impl AsFd for Children {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        // It cannot fail for a mask that was had before.
        let _ = set_mask(&self.before);
    }
}

/// While this lives, signals sent to the launcher go to the program; dropped, the dispositions are
/// as before. One at a time in a process.
pub struct Forwarding {
    before: Before,
    /// What [`TARGET`] names.
    target: OnceCell<OwnedFd>,
}

/// The dispositions that the launcher changed, as it found them.
#[derive(Clone, Copy)]
pub struct Before([libc::sigaction; PASSED.len()]);

impl Forwarding {
    /// Installs the handlers; until [`Forwarding::target`], signals are swallowed.
    pub fn install() -> Result<Forwarding, Error> {
        // SAFETY: a zeroed sigaction is valid: the default action and an empty mask.
        let mut before = [unsafe { std::mem::zeroed::<libc::sigaction>() }; PASSED.len()];
        for (signal, old) in PASSED.into_iter().zip(&mut before) {
            // SAFETY: a zeroed sigaction is valid.
            let mut new = unsafe { std::mem::zeroed::<libc::sigaction>() };
            new.sa_sigaction = pass_on as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            // SAFETY: both structures live; the handler is async-signal-safe.
            let value = unsafe { libc::sigaction(signal, &raw const new, old) };
            check("sigaction", value.into())?;
        }
        SUSPEND.store(false, Ordering::SeqCst);
        Ok(Forwarding {
            before: Before(before),
            target: OnceCell::new(),
        })
    }

    /// Sends what comes from now on to the process of `pidfd`. The first one stays.
    pub fn target(&self, pidfd: OwnedFd) {
        let pidfd = self.target.get_or_init(|| pidfd);
        TARGET.store(pidfd.as_raw_fd(), Ordering::SeqCst);
    }

    /// What the child has to restore.
    pub fn before(&self) -> Before {
        self.before
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        TARGET.store(-1, Ordering::SeqCst);
        // There is nobody to tell: the launcher is about to end with the program's code.
        let _ = restore(&self.before);
    }
}

/// Gives the calling process the dispositions of `before`, and the default for `SIGPIPE`. May be
/// called by a child before its exec.
pub fn restore_for_exec(before: &Before) -> Result<(), Error> {
    restore(before)?;
    // SAFETY: a zeroed sigaction is valid: the default action.
    let default = unsafe { std::mem::zeroed::<libc::sigaction>() };
    // SAFETY: the structure lives; the old disposition is not asked for.
    let value = unsafe { libc::sigaction(RESET, &raw const default, std::ptr::null_mut()) };
    check("sigaction", value.into()).map(drop)
}

/// Takes every handler away, as an exec would, so that none runs in a copy of its process; what is ignored stays
/// ignored but for `SIGPIPE`, which the runtime of Rust ignores. May be called by a child before its exec.
pub fn forget_handlers() -> Result<(), Error> {
    /// Beyond the standard signals up to `SIGRTMAX` (signal(7)).
    const LAST: i32 = 64;
    // SAFETY: a zeroed sigaction is valid: the default action.
    let default = unsafe { std::mem::zeroed::<libc::sigaction>() };
    for signal in 1..=LAST {
        let mut now = default;
        // SAFETY: the kernel fills in the structure, which lives.
        let known = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
        let is_handler = ![libc::SIG_DFL, libc::SIG_IGN].contains(&now.sa_sigaction);
        // Those that the C library keeps for itself cannot be asked for.
        if known == 0 && (is_handler || signal == RESET) {
            // SAFETY: the structure lives; the old disposition is not asked for.
            let value =
                unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
            check("sigaction", value.into())?;
        }
    }
    Ok(())
}

fn restore(before: &Before) -> Result<(), Error> {
    for (signal, old) in PASSED.into_iter().zip(&before.0) {
        // SAFETY: `old` is a disposition that the kernel returned for this signal.
        let value = unsafe { libc::sigaction(signal, old, std::ptr::null_mut()) };
        check("sigaction", value.into())?;
    }
    Ok(())
}

/// Whether a `SIGTSTP` reached the launcher since the last question.
pub fn take_suspend_request() -> bool {
    SUSPEND.swap(false, Ordering::SeqCst)
}

/// Stops the launcher itself, so that its shell sees the job stopped; returns when it is continued.
pub fn stop_self() -> Result<(), Error> {
    let this = std::process::id().cast_signed();
    // SAFETY: kill of the own process with integer arguments.
    let value = unsafe { libc::kill(this, libc::SIGSTOP) };
    check("kill(SIGSTOP)", value.into()).map(drop)
}
