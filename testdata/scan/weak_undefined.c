// A weak function that is not there is never called, one that is there is.
// builds: freestanding
// calls: getpid exit_group
// run: all
#include "freestanding.h"

__attribute__((weak)) long absent(long);
__attribute__((weak)) NOINLINE long present(long x) { return sys1(NR_getpid, x); }

void run(long *stack) {
  if (absent) sys1(NR_unlink, absent(stack[0]));
  present(stack[0]);
  quit();
}
