// Numbers in the two halves of a vector register, put there and taken out one by one.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid read exit_group
// run: all
#include "freestanding.h"

void run(long *stack) {
  long r;
  long words[2] = {39, 102};
  (void)stack;
  __asm__ volatile("movq %1, %%xmm0\n movhps %2, %%xmm0\n"
                   "movq %%xmm0, %%rax\n syscall\n"
                   "punpckhqdq %%xmm0, %%xmm0\n movq %%xmm0, %%rax\n syscall\n"
                   // The number of read(2), of a descriptor that is none.
                   "pxor %%xmm0, %%xmm0\n mov $-1, %%rdi\n movq %%xmm0, %%rax\n syscall"
                   : "=&a"(r)
                   : "m"(words[0]), "m"(words[1])
                   : "rcx", "r11", "rdi", "xmm0", "memory");
  quit();
}
