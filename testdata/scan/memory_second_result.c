// The address of the number comes back as the second of two results, and is written through.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

struct pair {
  long first;
  nr_t *second;
};

static nr_t number = NR_getpid;

NOINLINE struct pair both(long first) { return (struct pair){first, &number}; }
NOINLINE void make(void) { sys0(*(volatile nr_t *)&number); }

void run(long *stack) {
  make();
  *both(stack[0]).second = NR_getuid;
  make();
  quit();
}
