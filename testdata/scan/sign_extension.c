// Numbers through narrow signed and unsigned types.
// builds: freestanding
// calls: getpid sync getuid exit_group
// run: all
#include "freestanding.h"

NOINLINE long by_char(signed char n) { return sys0(n + 256 * (n < 0)); }
NOINLINE long by_short(short n) { return sys0(n); }
NOINLINE long by_unsigned(unsigned char n) { return sys1(n, 0); }

void run(long *stack) {
  (void)stack;
  by_short(NR_getpid);
  by_char((signed char)NR_sync);
  by_char(NR_getuid);
  by_unsigned(NR_exit_group);
}
