// A table of labels whose index may be below the base: it is checked at both ends as a signed number.
// builds: freestanding
// calls: getpid getuid getgid geteuid exit_group
// run: some
#include "freestanding.h"

NOINLINE void choose(long x) {
  static void *const labels[] = {&&a, &&b, &&c, &&d};
  void *const *middle = labels + 2;
  if (x > 1 || x < -2) return;
  HIDE(middle);
  goto *middle[x];
a:
  sys0(NR_getpid);
  return;
b:
  sys1(NR_getuid, x);
  return;
c:
  sys2(NR_getgid, x, 1);
  return;
d:
  sys3(NR_geteuid, x, 1, 2);
}

void run(long *stack) {
  choose(stack[0]);
  quit();
}
