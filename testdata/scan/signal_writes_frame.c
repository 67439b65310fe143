// A handler writes a local variable of what it interrupts, through a pointer in static memory.
// builds: freestanding
// only: x86_64 — its assembly
// calls: rt_sigaction rt_sigreturn getpid kill getuid exit_group
// run: all
// gap: getuid — what another function writes into a frame is not known
// not: getgid — what the variable holds before the signal
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

static volatile long *volatile shared;

static void handler(int number) { *shared = NR_getuid + number - 10; }

void run(long *stack) {
  (void)stack;
  volatile long number = NR_getgid;
  struct action action = {handler, 0x04000000, restore, 0};
  shared = &number;
  sys4(NR_rt_sigaction, 10, (long)&action, 0, 8);
  long self = sys0(NR_getpid);
  number = NR_getgid;
  sys2(NR_kill, self, 10);
  sys0(number);
  quit();
}
