// A handler that only the kernel calls, and the restorer it returns through.
// builds: freestanding | layouts
// calls: rt_sigaction getpid kill getuid rt_sigreturn exit_group
// run: all
// not: unlink — a handler that is written down and never registered
#include "signals.h"

struct action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

static void handler(int number) { sys1(NR_getuid, number); }
static void never(int number) { sys1(NR_unlink, number); }
const struct action KEEP(unused) = {never, RESTORER, restore, 0};

void run(long *stack) {
  (void)stack;
  struct action action = {handler, RESTORER, restore, 0};
  sys4(NR_rt_sigaction, 10, (long)&action, 0, 8);
  sys2(NR_kill, sys0(NR_getpid), 10);
  quit();
}
