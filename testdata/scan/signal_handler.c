// A handler that only the kernel calls, and the restorer it returns through.
// builds: freestanding | layouts
// only: x86_64 — its assembly
// calls: rt_sigaction getpid kill getuid rt_sigreturn exit_group
// run: all
// not: unlink — a handler that is written down and never registered
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

static void handler(int number) { sys1(NR_getuid, number); }
static void never(int number) { sys1(NR_unlink, number); }
const struct action KEEP(unused) = {never, 0x04000000, restore, 0};

void run(long *stack) {
  (void)stack;
  struct action action = {handler, 0x04000000, restore, 0};
  sys4(NR_rt_sigaction, 10, (long)&action, 0, 8);
  sys2(NR_kill, sys0(NR_getpid), 10);
  quit();
}
