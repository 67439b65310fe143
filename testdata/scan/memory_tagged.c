// The address of a number is kept with a mark in its upper bits.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — an address that became another number
#include "freestanding.h"

static volatile unsigned long kept;
static nr_t number = NR_getpid;
NOINLINE void keep(void) { kept = (unsigned long)&number | 0xfffaUL << 48; }
NOINLINE void change(void) { *(nr_t *)(kept & 0xffffffffffffUL) = NR_getuid; }
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }

void run(long *stack) {
  (void)stack;
  make(&number);
  keep();
  change();
  make(&number);
  quit();
}
