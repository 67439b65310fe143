// A function that adds one to what it returns itself: what it can return grows without end.
// builds: freestanding
// calls: getpid getuid exit_group
// run: some
#include "freestanding.h"

NOINLINE long depth(long n) {
  if (n == 0) return 0;
  long inner = depth(n - 1);
  __asm__ volatile("" : "+r"(inner));
  return inner + 1;
}

void run(long *stack) {
  if (depth(stack[0]) & 1)
    sys0(NR_getpid);
  else
    sys0(NR_getuid);
  quit();
}
