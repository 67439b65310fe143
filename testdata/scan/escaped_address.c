// The address of a local variable is kept in static memory; a later callee writes through it.
// builds: freestanding
// calls: getuid exit_group
// run: all
// extra: getpid — the value before the call may stand for the one after it as well
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
