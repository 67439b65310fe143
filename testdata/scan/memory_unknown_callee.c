// The address of a number goes to a callee that is not known, which changes the number.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap[x86_64]: getuid — what a callee that is not known writes
// gap[llvm]: getuid — what a callee that is not known writes
#include "freestanding.h"

NOINLINE void change(nr_t *number) { *number = NR_getuid; }

static void (*volatile callee)(nr_t *) = change;

void run(long *stack) {
  nr_t number = NR_getpid;
  (void)stack;
  HIDE(number);
  sys0(NR_getpid);
  callee(&number);
  sys0(number);
  quit();
}
