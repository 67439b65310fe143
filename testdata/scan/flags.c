// Branches on flags that the instruction right before does not set, or sets by what no compare
// of its operands says.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid geteuid getegid getppid getpgrp gettid sync exit_group
// run: some
// extra: unlink — behind branches that constants decide, which are not all evaluated
#include "freestanding.h"

#define AFTER(code, number)                                                              \
  __asm__ volatile("mov $87, %%eax\n" code "\n jmp 9f\n 1: mov $" #number                \
                   ", %%eax\n 9: syscall" ::"r"(x)                                       \
                   : "rax", "rcx", "rdx", "r11", "memory", "cc")

void run(long *stack) {
  long x = stack[0];
  // inc and dec leave the carry alone.
  AFTER("xor %%ecx, %%ecx\n cmp $1, %%rcx\n inc %%rcx\n jb 1f", 39);
  // A shift by zero changes no flag.
  AFTER("mov $1, %%edx\n xor %%ecx, %%ecx\n cmp %%edx, %%edx\n shl %%cl, %%edx\n je 1f", 102);
  // lea, mov and not change none either.
  AFTER("xor %%ecx, %%ecx\n lea 1(%%rcx), %%rcx\n not %%rdx\n mov $3, %%edx\n je 1f", 104);
  // bt sets the carry from a bit.
  AFTER("mov $4, %%edx\n bt $2, %%edx\n jc 1f", 107);
  // Signed and unsigned order differ.
  AFTER("mov $-1, %%rdx\n cmp $1, %%rdx\n jl 1f", 108);
  // Overflow: the smallest number minus one is not less in its sign.
  AFTER("mov $0x80000000, %%edx\n sub $1, %%edx\n jo 1f", 110);
  // Parity of the low byte only.
  AFTER("mov $0x103, %%edx\n test %%edx, %%edx\n jp 1f", 111);
  // loop counts rcx down and leaves flags alone; jrcxz looks at nothing else.
  AFTER("mov $1, %%ecx\n loop 2f\n jrcxz 1f\n 2:", 186);
  // 32-bit compare of 64-bit values that differ in their upper halves.
  AFTER("movabs $0x100000005, %%rdx\n cmp $5, %%edx\n je 1f", 162);
  quit();
}
