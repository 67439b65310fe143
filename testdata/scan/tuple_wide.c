// The kernel declares the argument as a long: an upper half changes what the call does.
// builds: freestanding
// calls: mprotect exit_group
// tuples: mprotect _ _ 1; mprotect _ _ 0x100000001
// run: all
#include "freestanding.h"

static char page[4096] __attribute__((aligned(4096)));

NOINLINE long protect(void *at, long size, long how) {
  return sys3(NR_mprotect, (long)at, size, how);
}

void run(long *stack) {
  (void)stack;
  protect(page, 4096, 1);
  protect(page, 4096, 0x100000001L);
  sys1(NR_exit_group, 0);
}
