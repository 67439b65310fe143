// Two functions between the number and the call; the middle one moves it to another register.
// builds: freestanding | layouts
// calls: getppid write exit_group
// run: all
#include "freestanding.h"

NOINLINE long inner(long a, long b, long c, nr_t number) { return sys3(number, a, b, c); }

NOINLINE long outer(nr_t number, long a) { return inner(a, (long)"", 0, number) + 1; }

void run(long *stack) {
  (void)stack;
  outer(NR_getppid, 0);
  outer(NR_write, 1);
  inner(0, 0, 0, NR_exit_group);
}
