// Branches on variables in static memory: of one that nothing changes, and of others that are changed in
// ways that their own name does not tell, or only because of what they held before.
// builds: freestanding
// calls: getpid getuid getgid getppid geteuid getegid read gettid exit_group
// not: unlink — only if the variable that nothing changes were another number
// not[aarch64]: none
// extra[aarch64]: unlink — without symbols nothing says where the variables beside it end
// run: some
#include "freestanding.h"

static volatile int constant, unknown, state;
static volatile struct {
  int pointed, filled, array[64];
} named = {7, 7, {2}};
static volatile union {
  struct {
    int low, high;
  } parts;
  long both;
} pair;

NOINLINE void set(volatile int *to) { *to = 1; }

NOINLINE void steps(void) {
  for (int n = 0; n < 3; n++) {
    if (state == 2) sys0(NR_geteuid);
    if (state == 1) state = 2;
    if (state == 0) state = 1;
  }
}

void run(long *stack) {
  if (constant == 0) sys0(NR_getegid);
  if (constant == 4) sys1(NR_unlink, 0);
  set(&named.pointed);
  if (named.pointed == 1) sys0(NR_getpid);
  named.array[stack[0] & 3] = 1;
  if (named.array[1]) sys0(NR_getuid);
  pair.both = 1L << 32;
  if (pair.parts.high) sys0(NR_getgid);
  unknown = stack[0];
  if (unknown == 7) sys0(NR_getppid);
  sys3(NR_read, 0, (long)&named.filled, sizeof named.filled);
  if (named.filled == 5) sys0(NR_gettid);
  steps();
  quit();
}
