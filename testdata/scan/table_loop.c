// A loop over a constant table of numbers, by index and by pointer, up and down.
// builds: freestanding | layouts
// calls: getpid getuid getgid geteuid getegid getppid gettid getpgrp exit_group
// gap[x86_64]: geteuid getegid getppid — a counter in a slot of the frame that is compared with its sign
// run: all
// gap[x86_64 llvm]: getpid getuid getgid getpgrp gettid geteuid getegid getppid — a counter that is compared for equality
#include "freestanding.h"

static const int up[3] = {NR_getpid, NR_getuid, NR_getgid};
static const int down[3] = {NR_geteuid, NR_getegid, NR_getppid};
static const long walked[2] = {NR_gettid, NR_getpgrp};

void run(long *stack) {
  (void)stack;
  for (int i = 0; i < 3; i++) sys0(up[i]);
  for (int i = 2; i >= 0; i--) sys0(down[i]);
  for (const long *p = walked; p != walked + 2; p++) sys0(*p);
  quit();
}
