// A request of ioctl that is put together from a direction, a size, a type and a number.
// builds: freestanding
// calls: ioctl exit_group
// tuples: ioctl _ 0x80044501; ioctl _ 0x40084502
// run: all
#include "freestanding.h"

NOINLINE long request(int fd, unsigned direction, unsigned number, unsigned size, void *to) {
  return sys3(NR_ioctl, fd, direction << 30 | size << 16 | 0x45 << 8 | number, (long)to);
}

void run(long *stack) {
  long to[2] = {stack[0], 0};
  request(-1, 2, 1, 4, to);
  request(-1, 1, 2, 8, to);
  sys1(NR_exit_group, 0);
}
