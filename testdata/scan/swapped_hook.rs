// A hook that is swapped atomically, the old one called, behind an initialisation that is done once.
// builds: rustc -C opt-level=0 | rustc -C opt-level=2 | rustc -C opt-level=s -C strip=symbols | rustc -C opt-level=3 -C codegen-units=1 -C lto=fat
// flags: -C panic=abort -C relocation-model=static -C target-feature=+crt-static -C link-arg=-static -C link-arg=-no-pie -C overflow-checks=off -C debug-assertions=off
// calls: getpid getuid sched_yield exit_group
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

use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static HOOK: AtomicPtr<()> = AtomicPtr::new(standard as *mut ());
static STATE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn standard(x: usize) -> usize {
    call(39, x)
}
extern "C" fn mine(x: usize) -> usize {
    call(102, x)
}

fn hook(pointer: *mut ()) -> extern "C" fn(usize) -> usize {
    // SAFETY: only functions of this type are stored there.
    unsafe { core::mem::transmute::<*mut (), extern "C" fn(usize) -> usize>(pointer) }
}

#[inline(never)]
fn once(x: usize) {
    if STATE.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        let old = HOOK.swap(mine as *mut (), Ordering::AcqRel);
        hook(old)(x);
        STATE.store(2, Ordering::Release);
    }
    while STATE.load(Ordering::Acquire) != 2 {
        call(24, 0);
    }
}

extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments there.
    let count = unsafe { stack.read() };
    once(count);
    once(count);
    hook(HOOK.load(Ordering::Acquire))(count);
    loop {
        call(231, 0);
    }
}

// The core library was built to unwind and names it; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
