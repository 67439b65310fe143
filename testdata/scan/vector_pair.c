// Two function pointers that one vector store puts into a structure.
// builds: freestanding | gcc -O2 -fno-pie -static | gcc -O3 -mavx2
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

struct operations {
  long (*first)(void);
  long (*second)(void);
};

static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_getuid); }

NOINLINE void fill(struct operations *o) {
  o->first = a;
  o->second = b;
}

void run(long *stack) {
  struct operations mine;
  (void)stack;
  fill(&mine);
  mine.first();
  mine.second();
  quit();
}
