// The kernel declares the argument as an int: what is above its 32 bits does not count.
// builds: freestanding
// calls: prctl exit_group
// tuples: prctl 15; prctl 0xffffffff
// run: all
#include "freestanding.h"

NOINLINE long control(long operation, const char *name) {
  return sys2(NR_prctl, operation, (long)name);
}

void run(long *stack) {
  (void)stack;
  control(0x70000000fL, "name");
  control(-1L, "none");
  sys1(NR_exit_group, 0);
}
