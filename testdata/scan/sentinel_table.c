// A table of functions that ends with a null pointer, walked until it is met.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

typedef void (*function)(long);

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static const function functions[] = {a, b, 0};

void run(long *stack) {
  for (const function *f = functions; *f; f++) (*f)(stack[0]);
  quit();
}
