// Assembly that takes the number from memory: by a load, by an addition, by push and pop.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — beside the operand
#include "freestanding.h"

void run(long *stack) {
  long r;
  struct {
    long before, number, after;
  } block = {NR_unlink, NR_getpid, NR_unlink};
  (void)stack;
  __asm__ volatile("mov %1, %%rax\n syscall" : "=&a"(r) : "m"(block.number) : "rcx", "r11", "memory");
  block.number = NR_getuid - 40;
  __asm__ volatile("mov $40, %%eax\n add %1, %%rax\n syscall"
                   : "=&a"(r)
                   : "m"(block.number)
                   : "rcx", "r11", "memory");
  long out = NR_getgid;
  register long *at __asm__("rdx") = &out;
  __asm__ volatile("push (%%rdx)\n pop %%rax\n syscall" : "=&a"(r) : "r"(at) : "rcx", "r11", "memory");
  quit();
}
