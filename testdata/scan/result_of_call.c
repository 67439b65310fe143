// The number is what a function returns: a constant, one of two, its argument, its argument plus one.
// builds: freestanding
// calls: getpid getuid getgid geteuid getegid exit_group
// calls[aarch64]: getpid getuid getgid geteuid exit_group
// run: all
#include "freestanding.h"

NOINLINE nr_t constant(void) { return NR_getpid; }
NOINLINE nr_t either(long x) { return x & 1 ? NR_getuid : NR_getgid; }
NOINLINE nr_t same(nr_t n) { return n; }
NOINLINE nr_t next(nr_t n) { return same(n) + 1; }

void run(long *stack) {
  sys0(constant());
  sys0(either(stack[0]));
  sys0(either(stack[0] + 1));
  sys0(same(NR_geteuid));
  sys0(next(NR_geteuid));
  sys1(same(NR_exit_group), 0);
}
