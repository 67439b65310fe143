// A conditional branch to the next instruction, as macros leave it: it says nothing of what it tests.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// residuals: number
// gap: getpid — a number from the outside
// run: all
#include "freestanding.h"

void run(long *stack) {
  long number = stack[0] + 38, r;
  __asm__ volatile("test %1, %1\n je 1f\n1: mov %1, %%rax\n syscall"
                   : "=&a"(r)
                   : "r"(number)
                   : "rcx", "r11", "memory", "cc");
  quit();
}
