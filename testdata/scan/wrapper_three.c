// Three functions, the second of which is entered with a number of its own as well.
// builds: freestanding
// calls: getpid getuid geteuid exit_group
// run: all
#include "freestanding.h"

NOINLINE long third(nr_t number) { return sys1(number, 0); }
NOINLINE long second(long unused, nr_t number) { return third(number) + unused; }
NOINLINE long first(nr_t number, long x) { return second(x, number) ^ x; }

void run(long *stack) {
  (void)stack;
  first(NR_getpid, 4);
  first(NR_getuid, 5);
  second(1, NR_geteuid);
  third(NR_exit_group);
}
