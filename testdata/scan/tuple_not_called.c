// A dead function passes what must not be told.
// builds: freestanding
// calls: fcntl exit_group
// tuples: fcntl _ 1
// run: all
#include "freestanding.h"

NOINLINE long control(int fd, int operation, long how) { return sys3(NR_fcntl, fd, operation, how); }

NOINLINE long KEEP(dead)(void) { return control(0, 2, 1); }

void run(long *stack) {
  (void)stack;
  control(0, 1, 0);
  sys1(NR_exit_group, 0);
}
