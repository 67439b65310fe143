// The number is the eighth argument: it is passed in memory.
// builds: freestanding
// calls: getpid getegid exit_group
// run: all
#include "freestanding.h"

NOINLINE long call(long a, long b, long c, long d, long e, long f, long g, nr_t number) {
  return sys4(number, a, b, c, d) + e + f + g;
}

void run(long *stack) {
  (void)stack;
  call(0, 0, 0, 0, 0, 0, 0, NR_getpid);
  call(0, 0, 0, 0, 0, 0, 0, NR_getegid);
  call(0, 0, 0, 0, 0, 0, 0, NR_exit_group);
}
