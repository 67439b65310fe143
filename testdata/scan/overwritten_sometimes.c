// Local variables whose addresses are known to callees that do not always change them before they
// return, or which are changed once more after that: both values count.
// builds: freestanding
// calls: getpid getuid getgid getegid getppid sync exit_group
// run: some
#include "freestanding.h"

NOINLINE void sometimes(nr_t *number, long when) {
  if (when > 1) *number = NR_getuid;
}
NOINLINE void until(nr_t *number, long count) {
  for (; count > 1; count--) *number = NR_getegid;
}
NOINLINE void change(nr_t *number) { *number = NR_getgid; }
NOINLINE void first(long count) {
  nr_t number = NR_getpid;
  sometimes(&number, count);
  sys0(number);
}
NOINLINE void second(long count) {
  nr_t number = NR_getppid;
  until(&number, count);
  sys0(number);
}
// The function itself writes once more before it reads.
NOINLINE void third(long count) {
  nr_t number = NR_getgid;
  change(&number);
  if (count & 1) number = NR_sync;
  sys1(number, 0);
}

void run(long *stack) {
  first(stack[0]);
  second(stack[0]);
  third(stack[0]);
  quit();
}
