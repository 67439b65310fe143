// The kernel writes where a pointer in a structure says, whose address is what is passed: the number is
// what was read, or the one before when there was nothing to read.
// builds: freestanding
// calls: readv getpid exit_group
// gap: getpid — what the kernel may have written over is not told
// residuals: number
// run: all
#include "freestanding.h"

struct part {
  void *base;
  unsigned long length;
};

void run(long *stack) {
  (void)stack;
  long number = NR_getpid;
  struct part part = {&number, sizeof number};
  sys3(NR_readv, 0, (long)&part, 1);
  sys0(number);
  quit();
}
