// A table of functions walked downward by pointer from its end, which is another object's start.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
// extra: unlink — the object that begins where the table ends: its address is what the code names
#include "freestanding.h"

typedef long (*function)(void);
static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_getuid); }
static long c(void) { return sys0(NR_getgid); }
static long d(void) { return sys0(NR_unlink); }

static const struct {
  function table[3];
  function other[2];
} both = {{a, b, c}, {d, d}};

void run(long *stack) {
  (void)stack;
  const function *at = both.table + 3;
  HIDE(at);
  const function *end = both.table;
  while (at > end) (*--at)();
  quit();
}
