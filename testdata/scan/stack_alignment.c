// Frames that are aligned and of variable size: addressed by rbp and by rsp.
// builds: freestanding
// calls: getpid getuid exit_group
// gap: getpid — a frame slot beside an array of unknown length
// run: all
#include "freestanding.h"

NOINLINE long work(nr_t number, unsigned long size) {
  char room[size];
  __attribute__((aligned(64))) volatile nr_t kept = number;
  for (unsigned long i = 0; i < size; i++) room[i] = (char)i;
  HIDE(size);
  sys1(kept, room[size - 1]);
  return sys0(NR_getuid);
}

void run(long *stack) {
  work(NR_getpid, (unsigned long)stack[0] + 32);
  quit();
}
