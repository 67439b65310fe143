// A callback that some callers leave out, and one that a default stands in for.
// builds: freestanding | layouts
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — a function that nobody passes
#include "freestanding.h"

typedef void (*function)(long);

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void standard(long x) { sys1(NR_getgid, x); }
static void never(long x) { sys1(NR_unlink, x); }
const function KEEP(unused) = never;

NOINLINE void each(function before, function f, long x) {
  if (before) before(x);
  (f ? f : standard)(x);
}

void run(long *stack) {
  each(0, a, stack[0]);
  each(b, 0, stack[0]);
  quit();
}
