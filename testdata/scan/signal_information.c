// One handler with siginfo for several signals, on a stack of its own, which tells them apart.
// builds: freestanding
// calls: sigaltstack rt_sigaction getpid kill getuid getgid rt_sigreturn exit_group
// run: all
// not: unlink — a branch on a value that its variable never has
#include "signals.h"

struct action {
  void (*handler)(int, int *, void *);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

static const int armed = 1;
static char space[16384];

static void handler(int number, int *information, void *context) {
  if (!*(volatile const int *)&armed) sys0(NR_unlink);
  if (information[0] == 10) sys1(NR_getuid, number);
  else sys1(NR_getgid, (long)context);
}

void run(long *stack) {
  (void)stack;
  struct {
    void *base;
    int flags;
    unsigned long size;
  } own = {space, 0, sizeof space};
  sys2(NR_sigaltstack, (long)&own, 0);
  struct action action = {handler, ONSTACK | RESTORER | SIGINFO, restore, 0};
  sys4(NR_rt_sigaction, 10, (long)&action, 0, 8);
  sys4(NR_rt_sigaction, 12, (long)&action, 0, 8);
  long self = sys0(NR_getpid);
  sys2(NR_kill, self, 10);
  sys2(NR_kill, self, 12);
  quit();
}
