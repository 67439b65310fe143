// Rust without its standard library: a match over an enumeration, a trait object, a closure.
// builds: rustc -C opt-level=0 | rustc -C opt-level=2 | rustc -C opt-level=s -C strip=symbols | rustc -C opt-level=3 -C codegen-units=1 -C lto=fat
// flags: -C panic=abort -C relocation-model=static -C target-feature=+crt-static -C link-arg=-static -C link-arg=-no-pie -C overflow-checks=off -C debug-assertions=off
// calls: getpid getuid getgid getppid getpgrp gettid exit_group
// run: all
// not: unlink — of a type that is never made
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
enum Ask {
    Process,
    User,
    Group,
}

#[inline(never)]
fn ask(what: Ask) -> usize {
    match what {
        Ask::Process => call(39, 0),
        Ask::User => call(102, 0),
        Ask::Group => call(104, 0),
    }
}

trait Source {
    fn get(&self, x: usize) -> usize;
}
struct Parent;
struct Thread(usize);
struct Never;
impl Source for Parent {
    fn get(&self, x: usize) -> usize {
        call(110, x)
    }
}
impl Source for Thread {
    fn get(&self, x: usize) -> usize {
        call(self.0, x)
    }
}
impl Source for Never {
    fn get(&self, x: usize) -> usize {
        call(87, x)
    }
}

#[inline(never)]
fn dynamic(source: &dyn Source, x: usize) -> usize {
    source.get(x)
}

#[inline(never)]
fn with(f: &mut dyn FnMut(usize)) {
    f(1);
    f(2);
}

#[unsafe(no_mangle)]
pub fn never(x: usize) -> usize {
    dynamic(&Never, x)
}

extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments there.
    let count = unsafe { stack.read() };
    let mut sum = 0;
    for what in [Ask::Process, Ask::User, Ask::Group] {
        sum += ask(what);
    }
    sum += dynamic(&Parent, count) + dynamic(&Thread(186), count);
    with(&mut |x| sum += call(111, x));
    core::hint::black_box(sum);
    loop {
        call(231, 0);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
