// The address of the number is put into memory as two halves, and put together again.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — an address that was taken apart
#include "freestanding.h"

static volatile unsigned low, high;

NOINLINE void keep(nr_t *number) {
  low = (unsigned)(unsigned long)number;
  high = (unsigned)((unsigned long)number >> 32);
}
NOINLINE void change(void) { *(nr_t *)((unsigned long)high << 32 | low) = NR_getuid; }
NOINLINE void make(nr_t *number) { sys0(*number); }

void run(long *stack) {
  nr_t number = NR_getpid;
  (void)stack;
  make(&number);
  keep(&number);
  change();
  make(&number);
  quit();
}
