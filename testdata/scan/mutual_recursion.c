// Two functions that call each other and pass two numbers back and forth.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// not: unlink — no argument of any call
#include "freestanding.h"

NOINLINE long even(nr_t a, nr_t b, long depth);

NOINLINE long odd(nr_t a, nr_t b, long depth) {
  if (depth <= 0) return sys0(a);
  return even(b, a, depth - 1) + 1;
}
NOINLINE long even(nr_t a, nr_t b, long depth) {
  if (depth <= 0) return sys0(b);
  return odd(b, a, depth - 1) + 2;
}

void run(long *stack) {
  even(NR_getpid, NR_getuid, stack[0]);
  even(NR_getpid, NR_getuid, stack[0] + 1);
  even(NR_getuid, NR_getpid, stack[0] + 1);
  quit();
}
