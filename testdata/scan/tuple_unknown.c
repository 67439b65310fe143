// One caller passes what nobody knows; the other's argument is still told.
// builds: freestanding
// calls: socket exit_group
// tuples: socket any 1 0; socket 1 1 0
// run: all
#include "freestanding.h"

NOINLINE long open_socket(int family) { return sys3(NR_socket, family, 1, 0); }

void run(long *stack) {
  open_socket((int)stack[0]);
  open_socket(1);
  sys1(NR_exit_group, 0);
}
