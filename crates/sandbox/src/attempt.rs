//! Ways out, tried by a child that is confined as the program would be: system calls with values that were made
//! before the child exists. Nothing here allocates, locks or unwinds.
#![expect(unsafe_code, reason = "system calls that no wrapper should make easy")]

use portcullis_sys::{Error, process};

/// Stands for the value of the step before among the arguments of a call.
pub(crate) const LAST: u64 = u64::MAX - 0xffff;

/// One thing that a child does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A system call.
    Call(i64, [u64; 6]),
    /// The same so many times, or until it fails.
    Repeat(u32, i64, [u64; 6]),
    /// So many processes beside this one, all at one time; they end with the step.
    Processes(u32),
    /// So many bytes of memory, written to.
    Memory(usize),
    /// Pipes with so many bytes in them.
    Pipes(usize),
    /// So many empty files in the directory that the step before opened.
    Files(u32),
    /// A call of 32-bit code, without arguments.
    #[cfg(target_arch = "x86_64")]
    Int80(u32),
}

/// Takes the steps until one fails; its error number, or 0.
pub(crate) fn take(steps: &[Step]) -> i32 {
    let mut last = 0;
    for step in steps {
        let value = match step {
            Step::Call(number, arguments) => call(*number, arguments, last),
            Step::Repeat(times, number, arguments) => {
                let mut value = 0;
                for _ in 0..*times {
                    value = call(*number, arguments, last);
                    if value < 0 {
                        break;
                    }
                }
                value
            }
            Step::Processes(count) => processes(*count),
            Step::Memory(bytes) => memory(*bytes),
            Step::Pipes(bytes) => pipes(*bytes),
            Step::Files(count) => files(last, *count),
            #[cfg(target_arch = "x86_64")]
            Step::Int80(number) => int80(*number),
        };
        match i32::try_from(-value) {
            Ok(errno) if value < 0 => return errno,
            _ => last = value,
        }
    }
    0
}

/// The call's value, or its error number below 0.
fn call(number: i64, arguments: &[u64; 6], last: i64) -> i64 {
    let [a, b, c, d, e, f] = arguments.map(|value| match value {
        LAST => last.cast_unsigned(),
        other => other,
    });
    // SAFETY: pointers among the arguments are to memory that was made before the child and is not freed in
    // it, or that lives for the call; no call writes to memory of this process but to such as was made for that.
    let value = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    match value {
        -1 => -i64::from(Error::last("an attempt").errno()),
        value => value,
    }
}

/// Each waits for the end of a pipe that this process alone holds open, so that none is left however this one ends.
fn processes(count: u32) -> i64 {
    let mut ends = [0_i32; 2];
    let made = call(
        libc::SYS_pipe2,
        &[ends.as_mut_ptr() as u64, 0, 0, 0, 0, 0],
        0,
    );
    if made < 0 {
        return made;
    }
    let [read, write] = ends.map(|end| end as u64);
    let close = |end| call(libc::SYS_close, &[end, 0, 0, 0, 0, 0], 0);
    let mut value = 0;
    for _ in 0..count {
        value = call(libc::SYS_clone, &[libc::SIGCHLD as u64, 0, 0, 0, 0, 0], 0);
        if value == 0 {
            close(write);
            let mut byte = 0_u8;
            let byte = (&raw mut byte) as u64;
            call(libc::SYS_read, &[read, byte, 1, 0, 0, 0], 0);
            process::exit_now(0);
        }
        if value < 0 {
            break;
        }
    }
    close(write);
    let any = -1_i64 as u64;
    while call(libc::SYS_wait4, &[any, 0, 0, 0, 0, 0], 0) > 0 {}
    value.min(0)
}

fn memory(bytes: usize) -> i64 {
    let access = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let kind = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let arguments = [0, bytes as u64, access, kind, u64::MAX, 0];
    let start = call(libc::SYS_mmap, &arguments, 0);
    if start < 0 {
        return start;
    }
    for at in (0..bytes).step_by(4096) {
        let byte = std::ptr::with_exposed_provenance_mut::<u8>(start as usize + at);
        // SAFETY: within what was just mapped to be written.
        unsafe { byte.write_volatile(1) };
    }
    0
}

/// What one write takes at the most.
static PART: [u8; 64 << 10] = [0; 64 << 10];

fn pipes(bytes: usize) -> i64 {
    let mut left = bytes;
    while left > 0 {
        let mut ends = [0_i32; 2];
        let flags = libc::O_NONBLOCK as u64;
        let made = call(
            libc::SYS_pipe2,
            &[ends.as_mut_ptr() as u64, flags, 0, 0, 0, 0],
            0,
        );
        if made < 0 {
            return made;
        }
        let end = ends[1] as u64;
        // As large as an ordinary user may have it by default (pipe(7)); one that stays smaller does as well.
        let larger = [end, libc::F_SETPIPE_SZ as u64, 1 << 20, 0, 0, 0];
        call(libc::SYS_fcntl, &larger, 0);
        while left > 0 {
            let length = left.min(PART.len()) as u64;
            match call(
                libc::SYS_write,
                &[end, PART.as_ptr() as u64, length, 0, 0, 0],
                0,
            ) {
                // It is full.
                failed if failed == -i64::from(libc::EAGAIN) => break,
                failed if failed < 0 => return failed,
                written => left -= written as usize,
            }
        }
    }
    0
}

fn files(directory: i64, count: u32) -> i64 {
    let mode = u64::from(libc::S_IFREG | 0o600);
    for number in 0..count {
        // Its number in letters, and the byte that ends a path.
        let mut name = [0_u8; 9];
        for (at, letter) in name[..8].iter_mut().enumerate() {
            *letter = b'a' + (number >> (4 * at) & 0xf) as u8;
        }
        let arguments = [directory as u64, name.as_ptr() as u64, mode, 0, 0, 0];
        let value = call(libc::SYS_mknodat, &arguments, 0);
        if value < 0 {
            return value;
        }
    }
    0
}

/// Returns what the kernel leaves in `eax`.
#[cfg(target_arch = "x86_64")]
fn int80(number: u32) -> i64 {
    let value: u64;
    // SAFETY: the call takes nothing from memory; the kernel changes rax, and r8 to r11 (entry_INT80_compat).
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("rax") u64::from(number) => value,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            options(nostack),
        );
    }
    i64::from(value as u32 as i32)
}
