// A choice without a branch: a mask of the carry flag takes one of two numbers.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid getegid exit_group
// run: some
// not: read — both masks are never zero
#include "freestanding.h"

void run(long *stack) {
  unsigned long x = stack[0], r;
  __asm__("cmp $5, %1\n sbb %0, %0\n and $-63, %0\n add $102, %0" : "=&r"(r) : "r"(x) : "cc");
  sys0(r);
  unsigned mask = -(x > 7);
  sys0((mask & NR_getgid) | (~mask & NR_getegid));
  quit();
}
