// Two unknown values of equal bounds: nothing says that they have a bit in common, are equal or
// different, or which is larger.
// builds: freestanding
// calls: getpid getuid getgid geteuid getegid getppid exit_group
// run: some
#include "freestanding.h"

NOINLINE void decide(unsigned long x, unsigned long y) {
  if (x & y) sys0(NR_getpid);
  else sys0(NR_getuid);
  if (x == y) sys0(NR_getgid);
  else sys0(NR_geteuid);
  if (x < y) sys0(NR_getegid);
  else sys0(NR_getppid);
}

void run(long *stack) {
  unsigned long x = ((unsigned long)stack[0] & 127) + 1, y = ((unsigned long)stack[1] & 127) + 1;
  HIDE(x);
  decide((x & 127) + 1, (y & 127) + 1);
  quit();
}
