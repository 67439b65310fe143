// The function that passes them on is itself called through a constant pointer.
// builds: freestanding
// calls: socket exit_group
// tuples: socket 1 1 0; socket 16 3 15
// run: all
#include "freestanding.h"

NOINLINE long open_socket(int family, int type, int protocol) {
  return sys3(NR_socket, family, type, protocol);
}

NOINLINE long with(long (*open)(int, int, int), int family, int type, int protocol) {
  return open(family, type, protocol) + 1;
}

void run(long *stack) {
  (void)stack;
  with(open_socket, 1, 1, 0);
  with(open_socket, 16, 3, 15);
  sys1(NR_exit_group, 0);
}
