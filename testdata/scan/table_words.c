// A constant table of 16-bit numbers, indexed by what comes from the outside behind a check.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// gap[x86_64]: getpid getuid getgid — a comparison of the index plus a constant says nothing of the index
// run: some
// not: unlink reboot — the words right before and right after the table
#include "freestanding.h"

__attribute__((section(".rodata.fixture"))) static const unsigned short numbers[5] = {
    NR_unlink, NR_getpid, NR_getuid, NR_getgid, NR_reboot};

void run(long *stack) {
  unsigned long index = (unsigned long)stack[0] - 1;
  if (index < 3) sys0(numbers[1 + index]);
  quit();
}
