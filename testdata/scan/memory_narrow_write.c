// A byte of a number that is kept in static memory is written.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — a number of which a part was written
#include "freestanding.h"

static nr_t number = NR_getpid;

NOINLINE void change(unsigned char *first) { *first = NR_getuid; }
NOINLINE void make(nr_t *where) { sys0(*where); }

void run(long *stack) {
  (void)stack;
  make(&number);
  change((unsigned char *)&number);
  make(&number);
  quit();
}
