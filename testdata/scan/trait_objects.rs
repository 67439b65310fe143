// Trait objects with a supertrait, a method that has a default, and a value that is dropped.
// builds: rustc -C opt-level=0 | rustc -C opt-level=2 | rustc -C opt-level=s -C strip=symbols | rustc -C opt-level=3 -C codegen-units=1 -C lto=fat
// flags: -C panic=abort -C relocation-model=static -C target-feature=+crt-static -C link-arg=-static -C link-arg=-no-pie -C overflow-checks=off -C debug-assertions=off
// calls: getpid getgid getuid geteuid getppid exit_group
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

trait Named {
    fn number(&self) -> usize;
}
trait Source: Named {
    fn get(&self, x: usize) -> usize;
    fn twice(&self, x: usize) -> usize {
        self.get(x) + self.get(x + 1)
    }
}
struct Held<'a>(&'a dyn Source);
struct Process(usize);
struct User;
impl Named for Process {
    fn number(&self) -> usize {
        call(104, self.0)
    }
}
impl Named for User {
    fn number(&self) -> usize {
        7
    }
}
impl Source for Process {
    fn get(&self, x: usize) -> usize {
        call(39, x)
    }
}
impl Source for User {
    fn get(&self, x: usize) -> usize {
        call(102, x)
    }
    fn twice(&self, x: usize) -> usize {
        call(107, x) + self.get(x)
    }
}
impl Drop for Held<'_> {
    fn drop(&mut self) {
        call(110, self.0.number());
    }
}

#[inline(never)]
fn name(named: &dyn Named) -> usize {
    named.number()
}

#[inline(never)]
fn all(sources: &[&dyn Source], x: usize) -> usize {
    let mut sum = 0;
    for source in sources {
        let held = Held(*source);
        sum += held.0.twice(x) + name(*source as &dyn Named);
    }
    sum
}

extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments there.
    let count = unsafe { stack.read() };
    let sum = all(&[&Process(count), &User], count);
    core::hint::black_box(sum);
    loop {
        call(231, 0);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
