// The operations are in a table that nobody writes; the loop over them is not unrolled.
// builds: freestanding
// calls: ioctl exit_group
// tuples: ioctl _ 0x5401|0x5413|0x541b
// run: all
#include "freestanding.h"

static const unsigned operations[] = {0x5401, 0x5413, 0x541b};

NOINLINE long control(int fd, unsigned operation, void *to) {
  return sys3(NR_ioctl, fd, operation, (long)to);
}

void run(long *stack) {
  char space[64];
  (void)stack;
  for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++) {
    HIDE(i);
    if (i < sizeof operations / sizeof *operations) control(0, operations[i], space);
  }
  sys1(NR_exit_group, 0);
}
