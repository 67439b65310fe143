// A table of numbers is named by the element before its first.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// flags: -Wno-array-bounds
// gap: getpid getuid — a pointer that comes from before
#include "freestanding.h"

static long other[2] = {5,6};
static nr_t numbers[4] = {NR_getpid, NR_getpid, NR_getpid, NR_getpid};
NOINLINE void fill(nr_t *before, long count) { while (count-- > 0) *++before = NR_getuid; }
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }
NOINLINE long peek(long *p) { return p[0]; }

void run(long *stack) {
  make(&numbers[1]);
  peek(other);
  fill(numbers - 1, 4 + (stack[0] & 0));
  make(&numbers[1]);
  quit();
}
