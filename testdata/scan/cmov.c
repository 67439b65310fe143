// Conditional moves and set-on-condition, written out.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid gettid getppid exit_group
// run: some
#include "freestanding.h"

void run(long *stack) {
  long r;
  __asm__ volatile(
      "mov $39, %%eax\n mov $102, %%ecx\n cmp $1, %1\n cmovne %%ecx, %%eax\n syscall"
      : "=&a"(r)
      : "r"(stack[0])
      : "rcx", "r11", "memory");
  // 186 or 187 (readahead): sete gives 0 or 1 only; 110 or 111 the other way round.
  __asm__ volatile(
      "xor %%eax, %%eax\n test %1, %1\n setne %%al\n neg %%eax\n and $76, %%eax\n"
      "add $110, %%eax\n syscall"
      : "=&a"(r)
      : "r"(stack[0])
      : "rcx", "r11", "memory");
  quit();
}
