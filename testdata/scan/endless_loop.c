// A function that only leaves by the call in its endless loop.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// not: unlink — after an endless loop that nothing leaves
#include "freestanding.h"

NOINLINE void spin(volatile int *go) {
  while (1) {
    sys0(NR_getuid);
    if (*go) sys1(NR_exit_group, 0);
  }
}

void run(long *stack) {
  volatile int go = (int)stack[0];
  sys0(NR_getpid);
  spin(&go);
  sys1(NR_unlink, 0);
}
