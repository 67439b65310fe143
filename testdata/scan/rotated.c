// Numbers that are rotated into place, left and right, in half of a register and in all of it.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

#define CALL(code) __asm__ volatile(code "\n syscall" ::: "rax", "rcx", "r11", "memory", "cc")

void run(long *stack) {
  (void)stack;
  CALL("mov $0x27000000, %%eax\n rol $8, %%eax");                  // 39 getpid
  CALL("mov $0x6600, %%eax\n ror $8, %%rax");                      // 102 getuid
  quit();
}
