// What a branch decides is one of two in one tuple.
// builds: freestanding
// calls: socket exit_group
// tuples: socket 2|10 1 0
// run: all
#include "freestanding.h"

NOINLINE long open_socket(int family) { return sys3(NR_socket, family, 1, 0); }

void run(long *stack) {
  open_socket(stack[0] > 1 ? 10 : 2);
  sys1(NR_exit_group, 0);
}
