// A constant table of functions, indexed from the outside behind a check.
// builds: freestanding | gcc -O2 --no-section-headers | gcc -O0 -static-pie -s --no-section-headers | gcc -O2 -Wl,-z,noseparate-code -s | gcc -O2 -mcmodel=large
// calls: getpid getuid getgid exit_group
// run: some
// not: unlink — in a table that nothing refers to
#include "freestanding.h"

static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_getuid); }
static long c(void) { return sys0(NR_getgid); }
static long d(void) { return sys0(NR_unlink); }

static long (*const table[])(void) = {a, b, c};
long (*const KEEP(unused)[])(void) = {d, d};

void run(long *stack) {
  unsigned long n = (unsigned long)stack[0];
  if (n < 3) table[n]();
  quit();
}
