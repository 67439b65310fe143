// A nested function writes to a variable of the function around, called by another nested one.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// only[llvm]: none — functions in functions are GCC's
#include "freestanding.h"

NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }

void run(long *stack) {
  nr_t number = NR_getpid;
  (void)stack;
  NOINLINE void inner(void) { number = NR_getuid; }
  NOINLINE void mid(void) { inner(); }
  make(&number);
  mid();
  make(&number);
  quit();
}
