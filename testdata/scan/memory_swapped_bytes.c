// The address of a number is kept with its bytes in the other order.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — an address that was taken apart
#include "freestanding.h"

static volatile unsigned long kept;
NOINLINE void keep(nr_t *p) { kept = __builtin_bswap64((unsigned long)p); }
NOINLINE void change(void) { *(nr_t *)__builtin_bswap64(kept) = NR_getuid; }
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }

void run(long *stack) {
  nr_t number = NR_getpid;
  (void)stack;
  make(&number);
  keep(&number);
  change();
  make(&number);
  quit();
}
