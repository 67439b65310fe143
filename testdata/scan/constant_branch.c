// A branch on what every caller passes as a constant: the other side is never taken.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// not: unlink — behind a condition that no caller fulfils
#include "freestanding.h"

NOINLINE long work(long what, long depth) {
  if (what == 0) return sys0(NR_getpid) + depth;
  if (what == 5) return sys0(NR_unlink) - depth;
  return sys0(NR_getuid) ^ depth;
}

void run(long *stack) {
  work(0, stack[0]);
  work(1, stack[0]);
  quit();
}
