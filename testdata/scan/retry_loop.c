// A call that is repeated while it is interrupted: its number is kept, its result is not one.
// builds: freestanding
// calls: read getpid close exit_group
// run: all
#include "freestanding.h"

NOINLINE long again(long number, long fd, long to, long length) {
  long r;
  do r = sys3(number, fd, to, length);
  while (r == -4 || r == -11);
  return r;
}

void run(long *stack) {
  char space[8];
  again(NR_read, -1, (long)space, sizeof space);
  again(NR_close, -stack[0], 0, 0);
  if (again(NR_getpid, 0, 0, 0) > 0) quit();
}
