// Recursion that carries the number down, and one that counts up to it.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// extra: 101 100 — a counter that ends at 102 is a range of numbers when the loop is not unrolled
// extra[aarch64]: getppid — the same, with the numbers of that architecture
#include "freestanding.h"

NOINLINE long down(nr_t number, long depth) {
  if (depth == 0) return sys0(number);
  return down(number, depth - 1) + 1;
}
NOINLINE long up(nr_t number) {
  if (number == NR_getuid) return sys0(number);
  return up(number + 1) + 1;
}

void run(long *stack) {
  down(NR_getpid, stack[0]);
  up(NR_getuid - 2);
  quit();
}
