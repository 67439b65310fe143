// A function that leaves on one way and returns on another: what follows its call is reached.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

NOINLINE long parse(long count) {
  if (count > 40) sys1(NR_exit_group, 1);
  for (; count > 1; count--)
    if (count == 33) quit();
  return count;
}

void run(long *stack) {
  long left = parse(stack[0]);
  sys1(NR_getpid, left);
  sys0(NR_getuid);
  quit();
}
