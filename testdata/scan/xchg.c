// Numbers exchanged between registers and memory, by xchg, xadd and cmpxchg.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid exit_group
// run: all
// gap: getgid — memory operands of exchanges
#include "freestanding.h"

void run(long *stack) {
  long r;
  volatile long slot = NR_getpid;
  (void)stack;
  __asm__ volatile("mov $102, %%eax\n xchg %%rax, %1\n syscall"
                   : "=&a"(r), "+m"(slot)::"rcx", "r11", "memory");
  r = slot;
  sys0(r);
  slot = 100;
  __asm__ volatile("mov $4, %%edx\n lock xadd %%rdx, %1\n mov %1, %%rax\n syscall"
                   : "=&a"(r), "+m"(slot)::"rcx", "rdx", "r11", "memory");
  quit();
}
