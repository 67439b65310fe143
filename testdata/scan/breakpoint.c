// A trap for a debugger that a handler of the program takes: execution goes on behind it.
// builds: freestanding
// only: x86_64 — its assembly
// calls: rt_sigaction rt_sigreturn getpid getuid exit_group
// run: all
#include "freestanding.h"

struct action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

__asm__(
    ".text\n.type restore, @function\nrestore:\n  mov $15, %eax\n  syscall\n"
    ".size restore, . - restore\n");
void restore(void);

static void handler(int number) { sys1(NR_getpid, number); }

void run(long *stack) {
  (void)stack;
  struct action action = {handler, 0x04000000, restore, 0};
  sys4(NR_rt_sigaction, 5, (long)&action, 0, 8);
  __asm__ volatile("int3" ::: "memory");
  sys0(NR_getuid);
  quit();
}
