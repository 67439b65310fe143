// A function without an end: a return that some build leaves out, exit by an endless loop.
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
