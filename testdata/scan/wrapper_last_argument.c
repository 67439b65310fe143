// The number is the last of six arguments.
// builds: freestanding
// calls: getpid getgid exit_group
// run: all
#include "freestanding.h"

NOINLINE long call(long a, long b, long c, long d, long e, nr_t number) {
  return sys4(number, a, b, c, d) + e;
}

void run(long *stack) {
  (void)stack;
  call(0, 0, 0, 0, 0, NR_getpid);
  call(0, 0, 0, 0, 0, NR_getgid);
  call(0, 0, 0, 0, 0, NR_exit_group);
}
