// A move with VEX of the low part clears the high part, one without keeps it: what was known of it before is
// not believed either way.
// builds: gcc -O2 -mavx2 | gcc -O1 -mavx2 -s | gcc -O2 -mavx2 -static-pie
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// extra: read — the half that a move clears may be told as cleared or not at all
// run: all
#include "freestanding.h"

void run(long *stack) {
  long r;
  (void)stack;
  __asm__ volatile("mov $102, %%eax\n vmovq %%rax, %%xmm0\n vpunpcklqdq %%xmm0, %%xmm0, %%xmm1\n"
                   "mov $39, %%eax\n vmovq %%rax, %%xmm2\n vpunpcklqdq %%xmm2, %%xmm1, %%xmm3\n"
                   "vmovq %%xmm3, %%rax\n syscall\n"
                   "vpunpckhqdq %%xmm3, %%xmm3, %%xmm3\n vmovq %%xmm3, %%rax\n syscall"
                   : "=a"(r)::"rcx", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "memory");
  quit();
}
