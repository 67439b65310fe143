// The number lies in a local variable that is written, overwritten and read back.
// builds: freestanding
// calls: getuid getpid exit_group
// run: all
// not: unlink — overwritten on every way before the variable is read
#include "freestanding.h"

void run(long *stack) {
  volatile nr_t number = NR_unlink;
  (void)stack;
  number = NR_getuid;
  sys0(number);
  number = NR_getpid;
  sys0(number);
  quit();
}
