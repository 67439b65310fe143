// A handler writes a local variable of what it interrupts, through a pointer in static memory.
// builds: freestanding
// calls: rt_sigaction rt_sigreturn getpid kill getuid exit_group
// run: all
// gap: getuid — what another function writes into a frame is not known
// not: getgid — what the variable holds before the signal
#include "signals.h"

struct action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

static volatile long *volatile shared;

static void handler(int number) { *shared = NR_getuid + number - 10; }

void run(long *stack) {
  (void)stack;
  volatile long number = NR_getgid;
  struct action action = {handler, RESTORER, restore, 0};
  shared = &number;
  sys4(NR_rt_sigaction, 10, (long)&action, 0, 8);
  long self = sys0(NR_getpid);
  number = NR_getgid;
  sys2(NR_kill, self, 10);
  sys0(number);
  quit();
}
