// The 32-bit convention again, by sysenter. Control comes back elsewhere.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// warnings: PC0201
// run: all
#include "freestanding.h"

void run(long *stack) {
  sys0(NR_getpid);
  if (stack[0] > 1) __asm__ volatile("mov $83, %%eax\n sysenter" ::: "rax", "memory");
  quit();
}
