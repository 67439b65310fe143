// A number that vector arithmetic makes is not known.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// gap: getuid — sums of vectors
// residuals: number
// run: all
#include "freestanding.h"

void run(long *stack) {
  long r;
  (void)stack;
  sys0(NR_getpid);
  __asm__ volatile("mov $51, %%eax\n movq %%rax, %%xmm0\n paddq %%xmm0, %%xmm0\n"
                   "movq %%xmm0, %%rax\n syscall"
                   : "=a"(r)::"rcx", "r11", "xmm0", "memory");
  quit();
}
