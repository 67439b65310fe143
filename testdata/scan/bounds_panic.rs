// An index out of bounds: what the panic handler does, from a check that every slice has.
// builds: rustc -C opt-level=0 | rustc -C opt-level=2 | rustc -C opt-level=s -C strip=symbols | rustc -C opt-level=3 -C codegen-units=1 -C lto=fat
// flags: -C panic=abort -C relocation-model=static -C target-feature=+crt-static -C link-arg=-static -C link-arg=-no-pie -C overflow-checks=off -C debug-assertions=off
// calls: getpid getuid getgid unlink exit_group
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

#[inline(never)]
fn element(values: &[usize], index: usize) -> usize {
    values[index]
}

extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments there.
    let count = unsafe { stack.read() };
    let values = [count, 2, 3];
    call(39, element(&values, 2));
    call(102, element(core::hint::black_box(&values), count + 5));
    loop {
        call(87, 0);
    }
}

// The core library was built to unwind and names it; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    call(104, 0);
    loop {
        call(231, 0);
    }
}
