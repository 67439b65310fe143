// The number is a constant in memory that a system call then writes: it is not 1 any more.
// builds: freestanding
// calls: read exit_group
// residuals: number
// run: never — what is read decides which call is made
// not: write — the constant that was there before
#include "freestanding.h"

static int number = 1;

void run(long *stack) {
  int local = 1;
  (void)stack;
  sys3(NR_read, 0, (long)&number, sizeof number);
  sys0(number);
  sys3(NR_read, 0, (long)&local, sizeof local);
  sys0(local);
  quit();
}
