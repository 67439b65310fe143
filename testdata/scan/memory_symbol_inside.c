// The number has a symbol of its own inside of an array that is written to.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

long outer[4] = {1, NR_getpid, 3, 4};
__asm__(".globl inner\n.set inner, outer+8\n.type inner,@object\n.size inner,8\n");
extern nr_t inner;
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }
NOINLINE void change(long *all) { all[1] = NR_getuid; }

void run(long *stack) {
  (void)stack;
  make(&inner);
  change(outer);
  make(&inner);
  quit();
}
