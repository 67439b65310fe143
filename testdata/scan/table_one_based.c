// A table whose first index is one, of a loop: its base lies before it, where nothing is.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

typedef void (*function)(long);

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void c(long x) { sys1(NR_getgid, x); }
static function table[] = {a, b, c};

void run(long *stack) {
  for (long i = 1; i <= 3; i++) {
    HIDE(i);
    (table - 1)[i](stack[0]);
  }
  quit();
}
