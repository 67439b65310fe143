// A table of numbers is filled from its end downwards; only the address behind it is named.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — a pointer that comes from behind
#include "freestanding.h"

static nr_t numbers[4] = {NR_getpid, NR_getpid, NR_getpid, NR_getpid};

NOINLINE void fill(nr_t *end, long count) {
  while (count-- > 0) *--end = NR_getuid;
}
NOINLINE void make(void) { sys0(*(volatile nr_t *)&numbers[1]); }

void run(long *stack) {
  make();
  fill(numbers + 4, 4 + (stack[0] & 0));
  make();
  quit();
}
