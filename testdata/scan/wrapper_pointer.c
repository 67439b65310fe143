// The function that makes the calls is itself called through a constant pointer.
// builds: freestanding
// calls: getpid getpgrp exit_group
// run: all
#include "freestanding.h"

NOINLINE long call(nr_t number) { return sys1(number, 0); }

static long (*const pointer)(nr_t) = call;

void run(long *stack) {
  (void)stack;
  long (*const volatile *where)(nr_t) = &pointer;
  (*where)(NR_getpid);
  (*where)(NR_getpgrp);
  (*where)(NR_exit_group);
}
