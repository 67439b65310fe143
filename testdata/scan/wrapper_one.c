// One function makes every call; its callers say which.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// not: unlink — passed by a caller that is itself never called
#include "freestanding.h"

NOINLINE long call(nr_t number, long a) { return sys1(number, a); }

NOINLINE void KEEP(dead)(void) { call(NR_unlink, 0); }

void run(long *stack) {
  (void)stack;
  call(NR_getpid, 0);
  call(NR_getuid, 0);
  call(NR_exit_group, 0);
}
