// int 0x80: another table of numbers, which is flagged and not mixed up with this one.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// warnings: PC0201
// run: all
// not: mkdir — 83 in this table is symlink in the other
#include "freestanding.h"

void run(long *stack) {
  long r;
  sys0(NR_getpid);
  if (stack[0] > 1)
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(NR_mkdir), "b"(0), "c"(0) : "memory");
  quit();
}
