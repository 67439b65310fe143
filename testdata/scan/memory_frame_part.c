// The number lies in a part of the frame whose size is not known before.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — a frame of unknown size
#include "freestanding.h"

NOINLINE void change(nr_t *numbers, long count) {
  for (long n = 0; n < count; n++) numbers[n] = NR_getuid;
}
NOINLINE void make(nr_t *where) { sys0(*where); }
NOINLINE void fill(long count) {
  nr_t numbers[count];
  numbers[0] = NR_getpid;
  make(numbers);
  change(numbers, count);
  make(numbers);
}

void run(long *stack) {
  fill(3 + (stack[0] & 3));
  quit();
}
