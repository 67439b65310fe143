// A newer call first; when the kernel does not know it, the older one from then on.
// builds: freestanding
// calls: 439 access exit_group
// calls[aarch64]: 439 faccessat exit_group
// run: some
#include "freestanding.h"

static int missing;

NOINLINE long reachable(const char *path) {
  if (!missing) {
    long r = sys4(439, -100, (long)path, 0, 0);
    if (r != -38) return r;
    missing = 1;
  }
#ifdef __aarch64__
  return sys3(48, -100, (long)path, 0);
#else
  return sys2(21, (long)path, 0);
#endif
}

void run(long *stack) {
  (void)stack;
  reachable("/");
  reachable("/nonexistent");
  quit();
}
