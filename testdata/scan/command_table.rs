// A static table of commands, searched by name: a function pointer behind an option of a reference.
// builds: rustc -C opt-level=0 | rustc -C opt-level=2 | rustc -C opt-level=s -C strip=symbols | rustc -C opt-level=3 -C codegen-units=1 -C lto=fat
// flags: -C panic=abort -C relocation-model=static -C target-feature=+crt-static -C link-arg=-static -C link-arg=-no-pie -C overflow-checks=off -C debug-assertions=off
// calls: getpid getuid getgid getppid exit_group
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

#[derive(Clone, Copy)]
struct Command {
    name: &'static str,
    run: fn(usize) -> usize,
    admin: bool,
}

fn process(x: usize) -> usize {
    call(39, x)
}
fn user(x: usize) -> usize {
    call(102, x)
}
fn group(x: usize) -> usize {
    call(104, x)
}

static COMMANDS: [Command; 3] = [
    Command { name: "process", run: process, admin: false },
    Command { name: "user", run: user, admin: true },
    Command { name: "group", run: group, admin: false },
];

#[inline(never)]
fn find(name: &[u8]) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.name.as_bytes() == name)
}

#[unsafe(no_mangle)]
extern "C" fn bcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
    for i in 0..length {
        // SAFETY: the caller says that so many bytes can be read.
        let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if x != y {
            return 1;
        }
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn memcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
    bcmp(a, b, length)
}

extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments there.
    let count = unsafe { stack.read() };
    for name in &["user", "none", "group", "process"] {
        let name = core::hint::black_box(*name);
        match find(name.as_bytes()) {
            Some(command) if command.admin && count > 100 => {}
            Some(command) => {
                (command.run)(count);
            }
            None => {
                call(110, count);
            }
        }
    }
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
