// A dense switch: a jump table (relative in position-independent code), every case a call.
// builds: freestanding | layouts | gcc -O2 -fno-jump-tables | gcc -O2 -fno-pie -mno-red-zone | gcc -O2 -fPIC
// calls: getpid getuid getgid geteuid getegid getppid getpgrp gettid sync exit_group
// run: some
// not: reboot — after a value that no case has
#include "freestanding.h"

void run(long *stack) {
  long r = 0;
  switch (stack[0]) {
    case 1: r += sys0(NR_getpid) * 3; break;
    case 2: r += sys0(NR_getuid) * 5; break;
    case 3: r += sys0(NR_getgid) * 7; break;
    case 4: r += sys0(NR_geteuid) * 9; break;
    case 5: r += sys0(NR_getegid) * 11; break;
    case 6: r += sys0(NR_getppid) * 13; break;
    case 7: r += sys0(NR_getpgrp) * 15; break;
    case 9: r += sys0(NR_gettid) * 17; break;
    case 10: r += sys1(NR_sync, r) * 19; break;
  }
  HIDE(r);
  quit();
}
