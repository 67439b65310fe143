// A pointer into the middle of a table goes up from there, and then down.
// builds: freestanding
// calls: getpid getuid getgid geteuid exit_group
// run: all
#include "freestanding.h"

typedef void (*function)(long);

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void c(long x) { sys1(NR_getgid, x); }
static void d(long x) { sys1(NR_geteuid, x); }
static function table[] = {0, a, b, c, d, 0};

NOINLINE void both(function *middle, long x) {
  for (function *f = middle; *f; f++) (*f)(x);
  for (function *f = middle; *--f;) (*f)(x);
}

void run(long *stack) {
  both(table + 3, stack[0]);
  quit();
}
