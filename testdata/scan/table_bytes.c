// A constant table of bytes, the index masked.
// builds: freestanding
// calls: getpid getuid getgid getppid exit_group
// run: some
#include "freestanding.h"

static const unsigned char numbers[4] = {NR_getpid, NR_getuid, NR_getgid, NR_getppid};

void run(long *stack) {
  sys0(numbers[stack[0] & 3]);
  quit();
}
