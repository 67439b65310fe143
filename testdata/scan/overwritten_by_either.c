// A local variable whose address is passed to one of two functions, of which one changes it.
// builds: freestanding
// calls: getpid getuid exit_group
// gap: getpid getuid — the frame of a function that calls by a pointer
// gap[x86_64 llvm]: none
// run: some
#include "freestanding.h"

NOINLINE void change(nr_t *number) { *number = NR_getuid; }
NOINLINE void leave(nr_t *number) {
  if (*number == 0) quit();
}
NOINLINE void through(void (*function)(nr_t *)) {
  nr_t number = NR_getpid;
  function(&number);
  sys1(number, 0);
}

void run(long *stack) {
  through(stack[0] & 1 ? change : leave);
  quit();
}
