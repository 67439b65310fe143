// The result of a call is the number of the next one: nothing before the call says it.
// builds: freestanding
// calls: getpid exit_group
// residuals: number
// run: never — which call the second one is depends on the process number
#include "freestanding.h"

void run(long *stack) {
  (void)stack;
  sys0(sys0(NR_getpid));
  quit();
}
