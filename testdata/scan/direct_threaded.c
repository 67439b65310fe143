// An interpreter whose program is a row of labels' addresses, so that every operation jumps on.
// builds: gcc -O2 | gcc -Os -s | gcc -O3 -fcf-protection=none -fomit-frame-pointer | gcc -O2 -static-pie | musl-gcc -O2 -fno-omit-frame-pointer
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

void run(long *stack) {
  static void *const program[] = {&&pid, &&uid, &&pid, &&end};
  void *const *at = program;
  (void)stack;
  goto **at++;
pid:
  sys0(NR_getpid);
  goto **at++;
uid:
  sys0(NR_getuid);
  goto **at++;
end:
  quit();
}
