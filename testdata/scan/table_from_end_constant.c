// The same of a constant table: what ends at an address is meant by it too.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

typedef void (*function)(long);

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void c(long x) { sys1(NR_getgid, x); }
static const function table[] = {a, b, c};

NOINLINE void down(const function *end, long count, long x) {
  for (long i = 1; i <= count; i++) end[-i](x);
}

void run(long *stack) {
  down(table + 3, 3, stack[0]);
  quit();
}
