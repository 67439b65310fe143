// A number of which comparisons tell some bits.
// builds: freestanding
// calls: read write getpid getuid exit_group
// calls[aarch64]: io_setup io_destroy getpid getuid exit_group
// run: never — its numbers come from the outside
// residuals: number
#include "freestanding.h"

void run(long *stack) {
  sys0(NR_getpid);
  nr_t number = stack[0];
  if ((number & ~1) == 0) sys3(number, -1, 0, 0);
  // Here the bits that are left are too many to tell.
  HIDE(number);
  if ((number & 0xf) == 6) sys0(number);
  sys0(NR_getuid);
  quit();
}
