// A caller that passes zero gets a default; one that does not gets what it asks for.
// builds: freestanding
// calls: socket exit_group
// tuples: socket 1 1 0; socket 1 5 0
// run: all
#include "freestanding.h"

NOINLINE long open_socket(int type) {
  if (!type) type = 1;
  return sys3(NR_socket, 1, type, 0);
}

void run(long *stack) {
  (void)stack;
  open_socket(0);
  open_socket(5);
  sys1(NR_exit_group, 0);
}
