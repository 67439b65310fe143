//! Ways out, tried by a child that is confined as the program would be: system calls with values that were made
//! before the child exists. Nothing here allocates, locks or unwinds.
#![expect(unsafe_code, reason = "system calls that no wrapper should make easy")]

use portcullis_sys::Error;

/// Stands for the value of the step before among the arguments of a call.
pub(crate) const LAST: u64 = u64::MAX - 0xffff;

/// One thing that a child does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A system call.
    Call(i64, [u64; 6]),
    /// The same so many times, or until it fails.
    Repeat(u32, i64, [u64; 6]),
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
    // it; no call writes to memory of this process but to such as was made for that.
    let value = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    match value {
        -1 => -i64::from(Error::last("an attempt").errno()),
        value => value,
    }
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
