// A program that installs a filter of its own, in a function of its own: what comes after it, also in the
// function's callers.
// builds: freestanding
// calls: getuid prctl seccomp getppid getpid exit_group
// phase: main/after:install getppid getpid exit_group -getuid -seccomp
// run: some
#include "freestanding.h"

NOINLINE void prepare(void) {
  sys0(NR_getuid);
  // PR_SET_NO_NEW_PRIVS
  sys3(NR_prctl, 38, 1, 0);
}

NOINLINE void install(void) {
  // SECCOMP_SET_MODE_FILTER
  sys3(NR_seccomp, 1, 0, 0);
  sys0(NR_getppid);
}

NOINLINE void begin(void) {
  prepare();
  install();
}

void run(long *stack) {
  (void)stack;
  begin();
  sys0(NR_getpid);
  quit();
}
