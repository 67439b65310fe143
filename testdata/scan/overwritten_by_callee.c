// A local variable whose address is known to a callee, which changes it before it is used.
// builds: freestanding
// calls: getuid exit_group
// run: all
#include "freestanding.h"

NOINLINE void change(nr_t *number) { *number = NR_getuid; }

void run(long *stack) {
  nr_t number = NR_getpid;
  (void)stack;
  change(&number);
  sys0(number);
  quit();
}
