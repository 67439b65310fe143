// A handler changes where the interrupted code goes on: into a function that nobody calls.
// builds: freestanding
// only: x86_64 — its assembly
// calls: rt_sigaction rt_sigreturn getpid kill getuid exit_group
// run: all
#include "freestanding.h"

struct action {
  void (*handler)(int, void *, unsigned long *);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

__asm__(
    ".text\n.type restore, @function\nrestore:\n  mov $15, %eax\n  syscall\n"
    ".size restore, . - restore\n");
void restore(void);

static void elsewhere(void) {
  sys0(NR_getuid);
  quit();
}
// Registers begin at the fifth word of the context; the place to go on is the 17th of them.
static void handler(int number, void *information, unsigned long *context) {
  (void)number, (void)information;
  context[5 + 16] = (unsigned long)elsewhere;
}

void run(long *stack) {
  (void)stack;
  struct action action = {handler, 0x04000004, restore, 0};
  sys4(NR_rt_sigaction, 10, (long)&action, 0, 8);
  sys2(NR_kill, sys0(NR_getpid), 10);
  for (;;) {
  }
}
