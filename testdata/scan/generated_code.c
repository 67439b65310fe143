// Memory that is made executable and filled at run time: what runs there is not known.
// builds: freestanding
// only: x86_64 — its assembly
// calls: mmap mprotect exit_group
// residuals: code
// run: never — the code that it makes does other calls
#include "freestanding.h"

void run(long *stack) {
  long r;
  (void)stack;
  register long flags __asm__("r10") = 0x22;
  register long fd __asm__("r8") = -1;
  register long offset __asm__("r9") = 0;
  __asm__ volatile("syscall"
                   : "=a"(r)
                   : "a"(9L), "D"(0L), "S"(4096L), "d"(3L), "r"(flags), "r"(fd), "r"(offset)
                   : "rcx", "r11", "memory");
  // mov $102, %eax; syscall; ret
  *(volatile unsigned long *)r = 0xc3050f00000066b8;
  sys3(10, r, 4096, 5);
  ((long (*)(void))r)();
  quit();
}
