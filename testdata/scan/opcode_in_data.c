// The bytes 0f 05 inside an immediate, a displacement, data in the code, and after it.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// run: all
// not: unlink — the number that stands before those bytes
#include "freestanding.h"

__asm__(
    ".text\n.type island, @object\nisland:\n  mov $87, %eax\n  syscall\n  ret\n"
    ".size island, . - island\n");
extern const unsigned char island[];

NOINLINE long immediate(void) {
  long r;
  __asm__ volatile("mov $87, %%eax\n mov $0x050f050f, %%eax\n cmp $0x0f05050f, %%eax\n"
                   "lea 0x050f(%%rax), %%rax"
                   : "=a"(r)::"cc");
  return r;
}

void run(long *stack) {
  (void)stack;
  volatile long r = immediate();
  sys1(NR_getpid, r);
  quit();
}
