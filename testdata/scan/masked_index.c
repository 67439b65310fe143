// A base and a masked number from the outside: a strided range of numbers.
// builds: freestanding
// calls: 102 103 104 105 106 107 108 109 exit_group
// calls[aarch64]: getuid geteuid getgid getegid gettid sysinfo mq_open mq_unlink exit_group
// run: never — one of the calls is setuid
// not: getpgrp — 111, past the mask
#include "freestanding.h"

void run(long *stack) {
  sys0(NR_getuid + (stack[0] & 7));
  quit();
}
