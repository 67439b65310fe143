// A table of numbers is written at an index that counts from one.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — a write at an index that is not known
#include "freestanding.h"

nr_t numbers[4] = {NR_getpid, NR_getpid, NR_getpid, NR_getpid};
NOINLINE void change(long i) { numbers[i - 1] = NR_getuid; }
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }

void run(long *stack) {
  make(&numbers[1]);
  change(2 + (stack[0] & 0));
  make(&numbers[1]);
  quit();
}
