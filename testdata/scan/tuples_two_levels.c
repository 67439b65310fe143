// The same through a second function, which adds a flag to what it is passed.
// builds: freestanding
// calls: socket exit_group
// tuples: socket 1 0x80001 0; socket 16 0x80003 0; socket 2 1 6
// run: all
#include "freestanding.h"

NOINLINE long open_socket(int family, int type, int protocol) {
  return sys3(NR_socket, family, type, protocol);
}

NOINLINE long open_closing(long unused, int type, int family) {
  return open_socket(family, type | 0x80000, 0) + unused;
}

void run(long *stack) {
  (void)stack;
  open_closing(7, 1, 1);
  open_closing(8, 3, 16);
  open_socket(2, 1, 6);
  sys1(NR_exit_group, 0);
}
