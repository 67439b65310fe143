// A mapping is asked for through a function of seven arguments: the protection and the flags are in memory.
// builds: freestanding
// only: x86_64 — its assembly
// calls: mmap exit_group
// tuples: mmap _ _ 1 0x22; mmap _ _ 3 0x21
// run: all
#include "freestanding.h"

NOINLINE long map(long a, long b, long c, long at, long length, long fd, long protection, long options) {
  long r;
  register long flags __asm__("r10") = options;
  register long file __asm__("r8") = fd;
  register long offset __asm__("r9") = a + b + c;
  __asm__ volatile("syscall"
                   : "=a"(r)
                   : "a"(9L), "D"(at), "S"(length), "d"(protection), "r"(flags), "r"(file), "r"(offset)
                   : "rcx", "r11", "memory");
  return r;
}

void run(long *stack) {
  map(0, 0, 0, 0, stack[0] * 4096, -1, 1, 0x22);
  map(0, 0, 0, 0, stack[0] * 4096, -1, 3, 0x21);
  sys1(NR_exit_group, 0);
}
