// A mapping is asked for through a function of seven arguments: the protection and the flags are in memory.
// builds: freestanding
// calls: mmap exit_group
// tuples: mmap _ _ 1 0x22; mmap _ _ 3 0x21
// run: all
#include "freestanding.h"

NOINLINE long map(long a, long b, long c, long at, long length, long fd, long protection, long options) {
  return sys6(NR_mmap, at, length, protection, options, fd, a + b + c);
}

void run(long *stack) {
  map(0, 0, 0, 0, stack[0] * 4096, -1, 1, 0x22);
  map(0, 0, 0, 0, stack[0] * 4096, -1, 3, 0x21);
  sys1(NR_exit_group, 0);
}
