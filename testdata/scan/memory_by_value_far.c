// A structure by value on the stack, whose last member points to the number.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap[x86_64]: getpid getuid — what callers put on the stack, read through a pointer
#include "freestanding.h"

struct big { long pad[10]; nr_t *p; };
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }
NOINLINE void change(struct big *b) { *b->p = NR_getuid; }
NOINLINE void take(struct big b) { change(&b); }

void run(long *stack) {
  nr_t number = NR_getpid;
  make(&number);
  take((struct big){{stack[0]}, &number});
  make(&number);
  quit();
}
