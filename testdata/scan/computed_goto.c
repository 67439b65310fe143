// An interpreter with computed goto over a constant table of labels.
// builds: freestanding | layouts
// calls: getpid getuid getgid exit_group
// gap[x86_64]: getpid getuid getgid exit_group — labels that are reached by a jump through a slot of the frame lose the frame
// run: all
// gap[x86_64 llvm]: none
#include "freestanding.h"

static const unsigned char program[] = {0, 1, 2, 0, 3};

void run(long *stack) {
  static const void *const labels[] = {&&pid, &&uid, &&gid, &&end};
  const unsigned char *at = program;
  (void)stack;
  goto *labels[*at++];
pid:
  sys0(NR_getpid);
  goto *labels[*at++];
uid:
  sys0(NR_getuid);
  goto *labels[*at++];
gid:
  sys0(NR_getgid);
  goto *labels[*at++];
end:
  quit();
}
