// Functions that another one chooses: by what is passed, which is not always known, and by what it
// finds elsewhere.
// builds: freestanding
// calls: getpid getuid getgid geteuid getegid exit_group
// run: some
// not: unlink — what is passed for that never is
#include "freestanding.h"

typedef long (*function)(void);

static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_getuid); }
static long c(void) { return sys0(NR_getgid); }
static long d(void) { return sys0(NR_geteuid); }
static long e(void) { return sys0(NR_getegid); }
static long f(void) { return sys0(NR_unlink); }

NOINLINE function choose(long kind) {
  if (kind == 0) return a;
  if (kind == 1) return b;
  return c;
}
NOINLINE function by_memory(long kind, const long *memory) {
  if (kind == 0) return f;
  if (*memory == 1) return d;
  return e;
}
NOINLINE function in_between(long kind) { return choose(kind); }

void run(long *stack) {
  choose(0)();
  in_between(stack[0])();
  by_memory(1, stack)();
  quit();
}
