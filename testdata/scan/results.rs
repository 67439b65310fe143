// Results that are passed up with a question mark: what follows a failed call, and what handles it.
// builds: rustc -C opt-level=0 | rustc -C opt-level=2 | rustc -C opt-level=s -C strip=symbols | rustc -C opt-level=3 -C codegen-units=1 -C lto=fat
// flags: -C panic=abort -C relocation-model=static -C target-feature=+crt-static -C link-arg=-static -C link-arg=-no-pie -C overflow-checks=off -C debug-assertions=off
// calls: getpid close dup2 rmdir getuid exit_group
// run: some
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

global_asm!(
    ".globl _start",
    "_start: xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {run}",
    "ud2",
    run = sym run,
);

#[inline(always)]
fn call(number: usize, a: usize) -> usize {
    let result;
    // SAFETY: the calls that this program makes have no pointers among their arguments.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a, out("rcx") _, out("r11") _);
    }
    result
}

#[derive(Clone, Copy)]
struct Failure(usize);

#[inline(never)]
fn check(result: usize) -> Result<usize, Failure> {
    if result > usize::MAX - 4096 { Err(Failure(result.wrapping_neg())) } else { Ok(result) }
}

#[inline(never)]
fn sequence(x: usize) -> Result<usize, Failure> {
    let process = check(call(39, x))?;
    let closed = check(call(3, usize::MAX)).or_else(|e| if e.0 == 9 { Ok(0) } else { Err(e) })?;
    check(call(33, usize::MAX))?;
    Ok(process + closed + call(84, 0))
}

extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments there.
    let count = unsafe { stack.read() };
    match sequence(count) {
        Ok(sum) => core::hint::black_box(sum),
        Err(Failure(error)) => call(102, error),
    };
    loop {
        call(231, 0);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
