//! `ptrace(2)` of tasks that were seized. Every call belongs to the one thread that seized them.
#![expect(
    unsafe_code,
    reason = "the kernel fills in register and info structures"
)]

use crate::{Error, check};

/// What the tracer is told of, and that its death kills every tracee.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options(i64);

impl Options {
    /// Everything a launcher needs: kill on the tracer's death, exits, seccomp events, system call
    /// stops that can be told from signals, forks, threads and execs.
    pub const LAUNCHER: Options = Options(
        (libc::PTRACE_O_EXITKILL
            | libc::PTRACE_O_TRACEEXIT
            | libc::PTRACE_O_TRACESECCOMP
            | libc::PTRACE_O_TRACESYSGOOD
            | libc::PTRACE_O_TRACEFORK
            | libc::PTRACE_O_TRACEVFORK
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_TRACEEXEC) as i64,
    );

    /// One task, without what it creates: calls that can be told from signals, and its end with its tracer.
    pub const ALONE: Options =
        Options((libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD) as i64);

    /// What a recorder needs: the same without exits, which cost a stop and tell it nothing.
    pub const RECORDER: Options = Options(Options::LAUNCHER.0 & !(libc::PTRACE_O_TRACEEXIT as i64));
}

/// `struct ptrace_syscall_info` of `linux/ptrace.h`, its union left as words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
struct RawInfo {
    op: u8,
    reserved: u8,
    flags: u16,
    arch: u32,
    ip: u64,
    sp: u64,
    words: [u64; 8],
}

/// Where a stopped task stands relative to a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyscallInfo {
    /// `AUDIT_ARCH_*` of the call (of the task, outside a call).
    pub arch: u32,
    /// Instruction pointer.
    pub ip: u64,
    /// Stack pointer.
    pub sp: u64,
    /// What the stop is.
    pub at: SyscallStop,
}

/// The kind of a stop, and what the kernel tells at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyscallStop {
    /// Not at a system call.
    None,
    /// Before it, and before its filters.
    Entry {
        /// Its number.
        number: u64,
        /// Its arguments.
        args: [u64; 6],
    },
    /// After it.
    Exit {
        /// What it returned, an error as its negated number.
        value: i64,
    },
    /// At a filter that answered `SECCOMP_RET_TRACE`.
    Seccomp {
        /// Its number.
        number: u64,
        /// Its arguments.
        args: [u64; 6],
        /// The low 16 bits of the filter's answer.
        data: u32,
    },
}

pub(crate) fn request(
    call: &'static str,
    code: u32,
    pid: i32,
    addr: u64,
    data: u64,
) -> Result<(), Error> {
    // SAFETY: used here and in `registers` only with requests that take integers, or with `data` the
    // address of a live, exclusive structure at least as large as the request writes (of an iovec, which
    // tells its buffer's own size).
    let value = unsafe { libc::syscall(libc::SYS_ptrace, u64::from(code), pid, addr, data) };
    check(call, value).map(drop)
}

/// Becomes the tracer of `pid` without stopping it.
pub fn seize(pid: i32, options: Options) -> Result<(), Error> {
    request(
        "ptrace(SEIZE)",
        libc::PTRACE_SEIZE,
        pid,
        0,
        options.0 as u64,
    )
}

/// Stops a seized task; it reports `PTRACE_EVENT_STOP`.
pub fn interrupt(pid: i32) -> Result<(), Error> {
    request("ptrace(INTERRUPT)", libc::PTRACE_INTERRUPT, pid, 0, 0)
}

/// Lets a stopped task run on, delivering `signal` when it is not 0 and the stop was a signal's.
pub fn resume(pid: i32, signal: i32) -> Result<(), Error> {
    request("ptrace(CONT)", libc::PTRACE_CONT, pid, 0, signal as u64)
}

/// Lets a stopped tracee go for good, with `signal`.
pub fn detach(pid: i32, signal: i32) -> Result<(), Error> {
    request("ptrace(DETACH)", libc::PTRACE_DETACH, pid, 0, signal as u64)
}

/// Like [`resume`], to the next entry or exit of a system call.
pub fn resume_to_syscall(pid: i32, signal: i32) -> Result<(), Error> {
    request(
        "ptrace(SYSCALL)",
        libc::PTRACE_SYSCALL,
        pid,
        0,
        signal as u64,
    )
}

/// Leaves a task in its group stop, and reports when that ends.
pub fn listen(pid: i32) -> Result<(), Error> {
    request("ptrace(LISTEN)", libc::PTRACE_LISTEN, pid, 0, 0)
}

/// A set of signals as the kernel keeps it: bit n is signal n + 1.
pub type SignalSet = u64;

/// The signals that `pid` blocks (Linux 3.11).
pub fn signal_mask(pid: i32) -> Result<SignalSet, Error> {
    let mut mask: SignalSet = 0;
    request(
        "ptrace(GETSIGMASK)",
        GETSIGMASK,
        pid,
        size_of::<SignalSet>() as u64,
        (&raw mut mask) as u64,
    )?;
    Ok(mask)
}

/// Sets the signals that `pid` blocks; SIGKILL and SIGSTOP stay out of it.
pub fn set_signal_mask(pid: i32, mask: SignalSet) -> Result<(), Error> {
    request(
        "ptrace(SETSIGMASK)",
        SETSIGMASK,
        pid,
        size_of::<SignalSet>() as u64,
        (&raw const mask) as u64,
    )
}

/// `PTRACE_GETSIGMASK` and `PTRACE_SETSIGMASK` of `linux/ptrace.h`.
const GETSIGMASK: u32 = 0x420a;
const SETSIGMASK: u32 = 0x420b;

/// The message of the event at which `pid` stands: a new task's number, an exit status, the former
/// number of an executing thread.
pub fn event_message(pid: i32) -> Result<u64, Error> {
    let mut message: u64 = 0;
    request(
        "ptrace(GETEVENTMSG)",
        libc::PTRACE_GETEVENTMSG,
        pid,
        0,
        (&raw mut message) as u64,
    )?;
    Ok(message)
}

/// Where the stopped task stands relative to a system call (Linux 5.3).
pub fn syscall_info(pid: i32) -> Result<SyscallInfo, Error> {
    let mut raw = RawInfo::default();
    request(
        "ptrace(GET_SYSCALL_INFO)",
        libc::PTRACE_GET_SYSCALL_INFO,
        pid,
        size_of::<RawInfo>() as u64,
        (&raw mut raw) as u64,
    )?;
    let args = [
        raw.words[1],
        raw.words[2],
        raw.words[3],
        raw.words[4],
        raw.words[5],
        raw.words[6],
    ];
    let at = match raw.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => SyscallStop::Entry {
            number: raw.words[0],
            args,
        },
        libc::PTRACE_SYSCALL_INFO_EXIT => SyscallStop::Exit {
            value: raw.words[0] as i64,
        },
        libc::PTRACE_SYSCALL_INFO_SECCOMP => SyscallStop::Seccomp {
            number: raw.words[0],
            args,
            data: raw.words[7] as u32,
        },
        _ => SyscallStop::None,
    };
    Ok(SyscallInfo {
        arch: raw.arch,
        ip: raw.ip,
        sp: raw.sp,
        at,
    })
}

/// The word at `address`.
pub fn peek(pid: i32, address: u64) -> Result<u64, Error> {
    let mut word: u64 = 0;
    // The raw call, unlike libc's wrapper, stores the word through the data pointer.
    request(
        "ptrace(PEEKDATA)",
        libc::PTRACE_PEEKDATA,
        pid,
        address,
        (&raw mut word) as u64,
    )?;
    Ok(word)
}

/// The word at `offset` of `struct user` (`sys/user.h`).
#[cfg(target_arch = "x86_64")]
pub(crate) fn peek_user(pid: i32, offset: u64) -> Result<u64, Error> {
    let mut word: u64 = 0;
    request(
        "ptrace(PEEKUSER)",
        libc::PTRACE_PEEKUSER,
        pid,
        offset,
        (&raw mut word) as u64,
    )?;
    Ok(word)
}

/// Writes the word at `address`; read-only pages are copied for the process first.
pub fn poke(pid: i32, address: u64, word: u64) -> Result<(), Error> {
    request(
        "ptrace(POKEDATA)",
        libc::PTRACE_POKEDATA,
        pid,
        address,
        word,
    )
}

/// `siginfo_t`, as words.
type SignalInfo = [u32; 32];
/// Where `si_signo`, `si_errno` and `si_code` are (siginfo.h, all but MIPS), and what follows: of `_sigsys`
/// an address, a number and an architecture.
const SIGNO: usize = 0;
const ERRNO: usize = 1;
const CODE: usize = 2;
const FIELDS: usize = 4;
/// `SYS_SECCOMP` of siginfo.h.
const TRAPPED: i32 = 1;

/// A call that a filter answers with a SIGSYS, as the signal tells of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trapped {
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// Its number.
    pub number: u32,
    /// The instruction after the one that made it.
    pub ip: u64,
    /// The low 16 bits of the filter's answer.
    pub data: u16,
}

/// Makes the SIGSYS at whose stop `pid` stands the one that the kernel sends for such a call
/// (`force_sig_seccomp` in its `signal.c`).
pub fn set_trapped(pid: i32, call: Trapped) -> Result<(), Error> {
    let mut info = SignalInfo::default();
    info[SIGNO] = libc::SIGSYS as u32;
    info[ERRNO] = call.data.into();
    info[CODE] = TRAPPED as u32;
    info[FIELDS..FIELDS + 4].copy_from_slice(&[
        call.ip as u32,
        (call.ip >> 32) as u32,
        call.number,
        call.arch,
    ]);
    set_signal_info(pid, &mut info)
}

/// Whether the signal at whose stop `pid` stands says that a filter sent it for a call. A program can send
/// itself such a one.
pub fn says_trapped(pid: i32) -> Result<bool, Error> {
    Ok(signal_origin(pid)? == (libc::SIGSYS, TRAPPED))
}

/// The origin of the signal at whose stop `pid` stands: `si_signo` and `si_code`.
pub fn signal_origin(pid: i32) -> Result<(i32, i32), Error> {
    let info = signal_info(pid)?;
    Ok((info[SIGNO].cast_signed(), info[CODE].cast_signed()))
}

/// The arguments with which a task made the call that is interrupted by the signal at whose stop it stands;
/// of one that is in no call, those of its last one.
///
/// The kernel keeps the first one apart from the register that the result is in, but tells it only at stops of
/// calls, which it knows by the `si_code` that it gave to them (`ptrace_get_syscall_info`). The signal has
/// that code for as long as it is asked.
#[cfg(target_arch = "aarch64")]
pub(crate) fn arguments_at_signal(pid: i32) -> Result<[u64; 6], Error> {
    let own = signal_info(pid)?;
    let mut info = own;
    info[CODE] = (libc::SIGTRAP | libc::PTRACE_EVENT_SECCOMP << 8) as u32;
    set_signal_info(pid, &mut info)?;
    let told = syscall_info(pid);
    set_signal_info(pid, &mut own.clone())?;
    match told?.at {
        SyscallStop::Seccomp { args, .. } => Ok(args),
        _ => Err(Error {
            call: "ptrace(GET_SYSCALL_INFO)",
            reason: std::io::Error::from_raw_os_error(libc::EIO),
        }),
    }
}

fn signal_info(pid: i32) -> Result<SignalInfo, Error> {
    const { assert!(size_of::<SignalInfo>() >= size_of::<libc::siginfo_t>()) };
    let mut info = SignalInfo::default();
    request(
        "ptrace(GETSIGINFO)",
        libc::PTRACE_GETSIGINFO,
        pid,
        0,
        (&raw mut info) as u64,
    )?;
    Ok(info)
}

fn set_signal_info(pid: i32, info: &mut SignalInfo) -> Result<(), Error> {
    request(
        "ptrace(SETSIGINFO)",
        libc::PTRACE_SETSIGINFO,
        pid,
        0,
        std::ptr::from_mut(info) as u64,
    )
}
