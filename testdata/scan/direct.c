// The number stands right at the call; a function that nothing refers to is no part of the set.
// builds: freestanding | layouts
// calls: getpid write exit_group
// run: all
// not: unlink — only in a function that is never called and whose address nobody takes
#include "freestanding.h"

void KEEP(dead)(void) { sys1(NR_unlink, (long)"/nowhere"); }

void run(long *stack) {
  (void)stack;
  sys0(NR_getpid);
  sys3(NR_write, 1, (long)"", 0);
  quit();
}
