// Generic functions with associated constants, and closures as generics, objects and pointers.
// builds: rustc -C opt-level=0 | rustc -C opt-level=2 | rustc -C opt-level=s -C strip=symbols | rustc -C opt-level=3 -C codegen-units=1 -C lto=fat
// flags: -C panic=abort -C relocation-model=static -C target-feature=+crt-static -C link-arg=-static -C link-arg=-no-pie -C overflow-checks=off -C debug-assertions=off
// calls: getppid getpgrp getuid getgid getpid geteuid getegid exit_group
// run: all
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

trait Platform {
    const NUMBER: usize;
    fn extra(x: usize) -> usize {
        call(Self::NUMBER + 1, x)
    }
}
struct First;
struct Second;
impl Platform for First {
    const NUMBER: usize = 110;
}
impl Platform for Second {
    const NUMBER: usize = 102;
    fn extra(x: usize) -> usize {
        call(104, x)
    }
}

#[inline(never)]
fn both<P: Platform>(x: usize) -> usize {
    call(P::NUMBER, x) + P::extra(x)
}

#[inline(never)]
fn each(f: impl Fn(usize) -> usize, x: usize) -> usize {
    (0..3).map(|i| f(i + x)).sum()
}

#[inline(never)]
fn compose(f: &dyn Fn(usize) -> usize, g: fn(usize) -> usize, x: usize) -> usize {
    g(f(x))
}

extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments there.
    let count = unsafe { stack.read() };
    let mut sum = both::<First>(count) + both::<Second>(count);
    sum += each(|x| call(39, x + count), count);
    sum += compose(&|x| call(107, x + count), |x| call(108, x), count);
    core::hint::black_box(sum);
    loop {
        call(231, 0);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
