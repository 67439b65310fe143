//! What the analysis must know of single system calls, by their numbers on x86_64
//! (`arch/x86/entry/syscalls/syscall_64.tbl`).

/// Calls that do not come back to the instruction after them: exit(2), exit_group(2),
/// sigreturn(2).
pub(crate) const NO_RETURN: [u64; 3] = [60, 231, 15];
/// Hands the kernel addresses of code to call: rt_sigaction(2).
pub(crate) const TAKES_HANDLER: u64 = 13;
/// What the kernel calls when a handler returns: rt_sigreturn(2).
pub(crate) const HANDLER_RETURN: u64 = 15;
/// Calls that the kernel goes on with by restart_syscall(2) after a stop: they return
/// `-ERESTART_RESTARTBLOCK` (nanosleep, futex, poll, clock_nanosleep and those built on them:
/// `kernel/time`, `kernel/futex`, `fs/select.c`).
pub(crate) const RESTARTED: [u64; 6] = [7, 23, 35, 202, 230, 271];
/// restart_syscall(2).
pub(crate) const RESTART: u64 = 219;
/// Calls that start another program: execve(2), execveat(2).
pub(crate) const STARTS_PROGRAM: [u64; 2] = [59, 322];
/// Marks an x32 call (`__X32_SYSCALL_BIT`, `arch/x86/include/uapi/asm/unistd.h`).
pub(crate) const X32: u64 = 0x4000_0000;

/// A call that makes memory executable when one of its arguments has one of some bits.
pub(crate) struct MakesExecutable {
    /// The call.
    pub(crate) number: u64,
    /// Which argument.
    pub(crate) argument: usize,
    /// Its bits.
    pub(crate) bits: u64,
}

/// mmap(2), mprotect(2), pkey_mprotect(2) with `PROT_EXEC`; shmat(2) with `SHM_EXEC`
/// (`include/uapi/linux/shm.h`).
pub(crate) const MAKES_EXECUTABLE: [MakesExecutable; 4] = {
    const fn call(number: u64, bits: u64) -> MakesExecutable {
        MakesExecutable {
            number,
            argument: 2,
            bits,
        }
    }
    [call(9, 4), call(10, 4), call(329, 4), call(30, 0o100_000)]
};
