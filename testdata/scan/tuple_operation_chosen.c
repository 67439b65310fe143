// The protection is chosen by a condition, and one flag of a mapping is put in by another.
// builds: freestanding
// calls: mmap mprotect exit_group
// tuples: mmap _ _ 1|3 0x22|0x8022
// tuples: mprotect _ _ 0|1
// run: all
#include "freestanding.h"

NOINLINE long map(long length, int writable, int populate) {
  int protection = 1 | (writable ? 2 : 0);
  int options = 0x22;
  if (populate) options |= 0x8000;
  return sys6(NR_mmap, 0, length, protection, options, -1, 0);
}

NOINLINE long protect(long at, int readable) { return sys3(NR_mprotect, at, 4096, readable ? 1 : 0); }

void run(long *stack) {
  long at = map(4096, (int)stack[0] & 1, (int)stack[0] & 2);
  protect(at, (int)stack[0] & 4);
  quit();
}
