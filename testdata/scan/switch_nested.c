// A switch in a case of a switch: two jump tables in one function.
// builds: freestanding | layouts
// calls: getpid getuid getgid geteuid getegid getppid getpgrp gettid sched_yield exit_group
// run: some
// not: unlink — a case of a number that a mask cannot leave
#include "freestanding.h"

void run(long *stack) {
  long outer = stack[0] & 7, inner = stack[1];
  switch (outer) {
    case 0: sys0(NR_getpid); break;
    case 1: sys0(NR_getuid); break;
    case 2: sys1(NR_getgid, inner); break;
    case 3:
      switch (inner) {
        case 10: sys0(NR_geteuid); break;
        case 11: sys1(NR_getegid, 2); break;
        case 12: sys2(NR_getppid, 1, 2); break;
        case 13: sys1(NR_getpgrp, outer); break;
        case 14: sys1(NR_getpid, outer); break;
        default: break;
      }
      break;
    case 5: sys1(NR_gettid, inner); break;
    case 6: sys0(NR_sched_yield); break;
    case 9: sys0(NR_unlink); break;
    default: break;
  }
  quit();
}
