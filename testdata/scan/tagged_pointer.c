// Pointers that carry a tag in their lowest bits, which is looked at and taken off.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

struct item {
  long (*run)(long);
};

static long a(long x) { return sys1(NR_getpid, x); }
static long b(long x) { return sys1(NR_getuid, x); }
__attribute__((aligned(16))) static const struct item one = {a}, two = {b};

NOINLINE long use(unsigned long tagged, long x) {
  const struct item *item = (const struct item *)(tagged & ~7UL);
  return tagged & 1 ? item->run(x) : item->run(-x);
}

void run(long *stack) {
  use((unsigned long)&one | 1, stack[0]);
  use((unsigned long)&two, stack[0]);
  quit();
}
