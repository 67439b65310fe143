// A loop that counts up to zero indexes a table from its end.
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
  for (long i = -3; i < 0; i++) {
    HIDE(i);
    (table + 3)[i](stack[0]);
  }
  quit();
}
