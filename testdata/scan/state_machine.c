// A loop around a switch over a state that the cases set.
// builds: freestanding
// calls: getpid getuid getgid geteuid getegid exit_group
// run: all
// extra: getppid — a state that is never set: the states of a loop are joined
// gap[aarch64 llvm]: exit_group getuid geteuid getgid getegid — a table whose index is a choice of constants
#include "freestanding.h"

void run(long *stack) {
  int state = 0;
  (void)stack;
  for (;;) {
    switch (state) {
      case 0: sys0(NR_getpid); state = 1; break;
      case 1: sys0(NR_getuid); state = 3; break;
      case 2: sys0(NR_getppid); state = 4; break;
      case 3: sys0(NR_getgid); state = 4; break;
      case 4: sys0(NR_geteuid); state = 5; break;
      case 5: sys0(NR_getegid); state = 6; break;
      default: quit();
    }
  }
}
