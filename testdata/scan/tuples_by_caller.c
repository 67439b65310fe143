// What callers pass together stays together: two sockets are not four combinations.
// builds: freestanding
// calls: socket exit_group
// tuples: socket 1 1 0; socket 2 2 17
// run: all
#include "freestanding.h"

NOINLINE long open_socket(int family, int type, int protocol) {
  return sys3(NR_socket, family, type, protocol);
}

void run(long *stack) {
  (void)stack;
  open_socket(1, 1, 0);
  open_socket(2, 2, 17);
  sys1(NR_exit_group, 0);
}
