// The operation goes with a function as its data, through a function that knows nothing of it.
// builds: freestanding
// calls: prctl exit_group
// tuples: prctl 3; prctl 38
// run: all
#include "freestanding.h"

NOINLINE long once(long (*f)(long, long), long data, long x) { return f(data, x); }
static long get(long operation, long x) { return sys4(NR_prctl, operation, x, 0, 0); }

void run(long *stack) {
  once(get, 3, stack[0]);
  once(get, 38, 1);
  sys1(NR_exit_group, 0);
}
