// The same with a constant structure in read-only data.
// builds: freestanding
// calls: rt_sigaction getpid kill getuid rt_sigreturn exit_group
// run: all
#include "signals.h"

struct action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

static void handler(int number) { sys1(NR_getuid, number); }
static const struct action action = {handler, RESTORER, restore, 0};

void run(long *stack) {
  (void)stack;
  sys4(NR_rt_sigaction, 10, (long)&action, 0, 8);
  sys2(NR_kill, sys0(NR_getpid), 10);
  quit();
}
