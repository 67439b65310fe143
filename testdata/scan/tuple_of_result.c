// The family is what another function returned. The type is too, but that depends on what its own
// caller passed: for arguments, unlike numbers, this is not followed.
// builds: freestanding
// calls: socket exit_group
// tuples: socket 1|2 any 0
// run: all
#include "freestanding.h"

NOINLINE int family(long x) { return x > 1 ? 1 : 2; }
NOINLINE int type(int base) { return base | 0x800; }
NOINLINE long open_socket(int family, int type) { return sys3(NR_socket, family, type, 0); }

void run(long *stack) {
  open_socket(family(stack[0]), type(1));
  sys1(NR_exit_group, 0);
}
