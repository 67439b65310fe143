// A table whose first index is 5: compilers fold it into a base before the table.
// builds: freestanding
// calls: getpid getuid getgid getppid exit_group
// run: some
// gap[llvm]: none
#include "freestanding.h"

static const long numbers[4] = {NR_getpid, NR_getuid, NR_getgid, NR_getppid};

void run(long *stack) {
  long x = stack[0] + 4;
  if (x >= 5 && x <= 8) sys0(numbers[x - 5]);
  quit();
}
