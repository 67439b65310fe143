// The shortest way to load a small constant, as hand-written and size-optimised code does.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

void run(long *stack) {
  (void)stack;
  long r;
  __asm__ volatile("push $39\n pop %%rax\n syscall" : "=a"(r)::"rcx", "r11", "memory");
  __asm__ volatile("push $102\n xchg %%rdx, (%%rsp)\n push %%rdx\n pop %%rax\n pop %%rdx\n syscall"
                   : "=a"(r)::"rcx", "rdx", "r11", "memory");
  __asm__ volatile("mov $231, %%edi\n xchg %%edi, %%eax\n xor %%edi, %%edi\n syscall" ::
                       : "rax", "rdi", "rcx", "r11", "memory");
  __builtin_unreachable();
}
