// A function has a result on one way only, and that is the address of a number.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// flags: -Wno-return-type
#include "freestanding.h"

static nr_t number = NR_getpid;
NOINLINE nr_t *pick(long w) { if (w > 0) return &number; HIDE(w); }
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }

void run(long *stack) {
  make(&number);
  if (stack[0] > 0) *pick(stack[0]) = NR_getuid;
  make(&number);
  quit();
}
