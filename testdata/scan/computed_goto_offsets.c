// Computed goto over a table of differences of labels, as position-independent code has it.
// builds: freestanding
// calls: getpid getuid exit_group
// gap[x86_64]: getpid getuid exit_group — a table of differences of labels with a base of its own
// run: all
// gap[x86_64 llvm]: none
#include "freestanding.h"

void run(long *stack) {
  static const int offsets[] = {&&pid - &&pid, &&uid - &&pid, &&end - &&pid};
  static const unsigned char program[] = {0, 1, 1, 2};
  const unsigned char *at = program;
  (void)stack;
next:
  goto *(&&pid + offsets[*at++]);
pid:
  sys0(NR_getpid);
  goto next;
uid:
  sys0(NR_getuid);
  goto next;
end:
  quit();
}
