// Half of a word is overwritten between its store and its load.
// builds: freestanding
// calls: getuid exit_group
// run: all
// gap[x86_64]: getuid — a word that is put together from parts
// gap[llvm]: getuid — a word that is put together from parts
// not: getpid — the word as it was before
#include "freestanding.h"

void run(long *stack) {
  union {
    volatile long whole;
    volatile unsigned char bytes[8];
  } number;
  (void)stack;
  number.whole = NR_getpid;
  number.bytes[0] = NR_getuid;
  sys0(number.whole);
  quit();
}
