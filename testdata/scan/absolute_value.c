// The sign of a number is taken away by a shift, an exclusive or and a subtraction.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

NOINLINE long positive(long x) {
  long sign = x >> 63;
  return (x ^ sign) - sign;
}

NOINLINE int positive_narrow(int x) { return x < 0 ? -x : x; }

void run(long *stack) {
  (void)stack;
  sys0(positive(-NR_getpid));
  sys0(positive(NR_getuid));
  sys0(positive_narrow(-NR_getuid));
  quit();
}
