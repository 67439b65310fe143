// The number in a structure that is returned: packed beside another field in one register.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// not: unlink — the other field
#include "freestanding.h"

struct pair {
  int other, number;
  long argument;
};

NOINLINE struct pair first(long x) { return (struct pair){NR_unlink, NR_getpid, x}; }
NOINLINE struct pair second(int number, long x) { return (struct pair){NR_unlink, number, x}; }

void run(long *stack) {
  struct pair p = first(stack[0]);
  sys1(p.number, p.argument);
  p = second(NR_getuid, stack[0]);
  sys1(p.number, p.argument);
  quit();
}
