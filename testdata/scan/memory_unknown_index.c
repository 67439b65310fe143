// Something is written into a table of numbers at a place that is not known.
// builds: freestanding
// calls: getpid getuid getpgrp exit_group
// run: all
// gap: getpid getuid — a write at an index that is not known
#include "freestanding.h"

static nr_t numbers[4] = {NR_getpgrp, NR_getpid, NR_getpid, NR_getpid};

NOINLINE void change(long place) { numbers[place & 3] = NR_getuid; }
NOINLINE void make(nr_t *where) { sys0(*where); }

void run(long *stack) {
  sys0(NR_getpgrp);
  make(&numbers[1]);
  change(stack[0]);
  make(&numbers[1]);
  quit();
}
