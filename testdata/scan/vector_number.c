// Numbers that pass through vector registers and back.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

void run(long *stack) {
  long r;
  (void)stack;
  __asm__ volatile("mov $39, %%eax\n movq %%rax, %%xmm1\n xor %%eax, %%eax\n movq %%xmm1, %%rax\n syscall"
                   : "=a"(r)::"rcx", "r11", "xmm1", "memory");
  __asm__ volatile("mov $102, %%eax\n movd %%eax, %%xmm2\n punpcklqdq %%xmm2, %%xmm2\n"
                   "mov $87, %%eax\n movd %%xmm2, %%eax\n syscall"
                   : "=a"(r)::"rcx", "r11", "xmm2", "memory");
  quit();
}
