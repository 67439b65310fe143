// A number in writable static memory: its first value, and what reached code stores there.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// not: unlink — stored by a function that is never called
#include "freestanding.h"

static nr_t number = NR_getpid;

NOINLINE void set(void) { number = NR_getuid; }
NOINLINE void KEEP(dead)(void) { number = NR_unlink; }
NOINLINE void make(void) { sys0(number); }

void run(long *stack) {
  (void)stack;
  make();
  set();
  make();
  quit();
}
