// A structure of functions and numbers that is copied through vector registers.
// builds: freestanding | gcc -O2 -mno-sse2 -mno-sse -mno-mmx | gcc -O3 -mavx2
// calls: getpid getuid exit_group
// run: all
// gap[x86_64]: getuid — the copy's fields when it is passed by address
// gap[aarch64 llvm]: getuid — the copy's fields when it is passed by address
#include "freestanding.h"

struct operations {
  long (*first)(void);
  nr_t number;
  long (*second)(void);
  long padding;
};

static long a(void) { return sys0(NR_getpid); }
static const struct operations standard = {a, NR_getuid, a, 0};

NOINLINE long use(const struct operations *o) { return o->first() + sys0(o->number); }

void run(long *stack) {
  struct operations mine = standard;
  mine.padding = stack[0];
  use(&mine);
  quit();
}
