// The address of a local variable is kept in static memory, of the first of two activations: a later callee writes
// to that one's, whichever calls it.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

static nr_t *kept;

NOINLINE void keep(nr_t *number) {
  if (!kept) kept = number;
}
NOINLINE void change(void) { *kept = NR_getuid; }

NOINLINE void activate(long more) {
  nr_t number = NR_getpid;
  keep(&number);
  if (more) activate(more - 1);
  change();
  sys0(number);
}

void run(long *stack) {
  activate(stack[0] != 0);
  quit();
}
