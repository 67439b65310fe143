// Enumerations that carry data, one of them a function, and an option that ends a loop.
// builds: rustc -C opt-level=0 | rustc -C opt-level=2 | rustc -C opt-level=s -C strip=symbols | rustc -C opt-level=3 -C codegen-units=1 -C lto=fat
// flags: -C panic=abort -C relocation-model=static -C target-feature=+crt-static -C link-arg=-static -C link-arg=-no-pie -C overflow-checks=off -C debug-assertions=off
// calls: getpid getuid getgid exit_group
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

enum Request {
    Raw(usize),
    Pair { first: usize, second: usize },
    Then(fn(usize) -> usize, usize),
    Quit,
}

fn group(x: usize) -> usize {
    call(104, x)
}

#[inline(never)]
fn serve(request: Request) -> Option<usize> {
    match request {
        Request::Raw(x) => Some(call(39, x)),
        Request::Pair { first, second } => Some(call(102, first) + second),
        Request::Then(f, x) => Some(f(x)),
        Request::Quit => None,
    }
}

extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments there.
    let count = unsafe { stack.read() };
    let mut sum = 0;
    let mut step = 0;
    loop {
        let request = match core::hint::black_box(step) {
            0 => Request::Raw(count),
            1 => Request::Pair { first: count, second: 2 },
            2 => Request::Then(group, count),
            _ => Request::Quit,
        };
        step += 1;
        let Some(x) = serve(request) else { break };
        sum += x;
    }
    core::hint::black_box(sum);
    loop {
        call(231, 0);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
