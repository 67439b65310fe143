// A branch on a static flag that reached code sets to one value and no code sets to another.
// builds: freestanding
// calls: getpid exit_group
// run: all
#include "freestanding.h"

static volatile int mode;

NOINLINE void set(void) { mode = 1; }

void run(long *stack) {
  (void)stack;
  set();
  if (mode == 2) sys1(NR_unlink, 0);
  sys0(NR_getpid);
  quit();
}
