// A union that is written as a word and read in parts.
// builds: freestanding
// calls: getpid getuid getppid exit_group
// run: all
// not: unlink — the parts beside it
#include "freestanding.h"

union view {
  unsigned long word;
  unsigned half[2];
  unsigned short quarter[4];
  unsigned char byte[8];
};

void run(long *stack) {
  (void)stack;
  volatile union view v;
  v.word = (unsigned long)NR_getpid << 32 | NR_getuid << 8 | NR_unlink;
  sys0(v.half[1]);
  sys0(v.byte[1]);
  v.word = (unsigned long)NR_getppid << 48 | NR_unlink;
  sys0(v.quarter[3]);
  quit();
}
