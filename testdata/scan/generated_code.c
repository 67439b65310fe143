// Memory that is made executable and filled at run time: what runs there is not known.
// builds: freestanding
// calls: mmap mprotect exit_group
// residuals: code
// run: never — the code that it makes does other calls
#include "freestanding.h"

void run(long *stack) {
  (void)stack;
  long r = sys6(NR_mmap, 0, 4096, 3, 0x22, -1, 0);
#ifdef __aarch64__
  // mov x8, #174; svc #0; ret
  ((volatile unsigned long *)r)[0] = 0xd4000001d28015c8;
  ((volatile unsigned long *)r)[1] = 0xd65f03c0;
#else
  // mov $102, %eax; syscall; ret
  *(volatile unsigned long *)r = 0xc3050f00000066b8;
#endif
  sys3(NR_mprotect, r, 4096, 5);
  ((long (*)(void))r)();
  quit();
}
