// A switch that the compiler turns into a table of values: the cases differ in a number only.
// builds: freestanding
// calls: getpid getuid getgid geteuid getegid getppid getpgrp sched_yield exit_group
// run: some
#include "freestanding.h"

void run(long *stack) {
  nr_t number;
  switch (stack[0]) {
    case 1: number = NR_getpid; break;
    case 2: number = NR_getuid; break;
    case 3: number = NR_getgid; break;
    case 4: number = NR_geteuid; break;
    case 5: number = NR_getegid; break;
    case 6: number = NR_getppid; break;
    case 7: number = NR_getpgrp; break;
    default: number = NR_sched_yield;
  }
  sys0(number);
  quit();
}
