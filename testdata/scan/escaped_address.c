// The address of a local variable is kept in static memory; a later callee writes through it.
// builds: freestanding
// calls: getuid exit_group
// run: all
// not: getpid — the callee always writes over it, and there is one frame that the address can be in
#include "freestanding.h"

static nr_t *kept;

NOINLINE void keep(nr_t *number) { kept = number; }
NOINLINE void change(void) { *kept = NR_getuid; }

void run(long *stack) {
  nr_t number = NR_getpid;
  (void)stack;
  keep(&number);
  change();
  sys0(number);
  quit();
}
