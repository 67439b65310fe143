// A system call changes rcx and r11 (and rax): what stood there before is no number any more.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// residuals: number
// run: never — an address is no number: the call fails
// not: unlink mount — what rcx and r11 held before
#include "freestanding.h"

void run(long *stack) {
  (void)stack;
  __asm__ volatile(
      "mov $87, %%ecx\n mov $165, %%r11d\n mov $39, %%eax\n syscall\n"
      "mov %%ecx, %%eax\n syscall\n" ::
          : "rax", "rcx", "r11", "memory");
  quit();
}
