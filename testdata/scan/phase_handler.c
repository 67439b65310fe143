// A signal handler runs in every phase.
// builds: freestanding
// calls: rt_sigaction rt_sigreturn getuid epoll_wait getppid kill getpid exit_group
// phase: main/loop epoll_wait getppid rt_sigreturn kill exit_group -getuid -rt_sigaction
// run: some
#include "signals.h"

static volatile int rounds = 2;

static void handler(int signal) {
  (void)signal;
  sys0(NR_getppid);
}

struct action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

NOINLINE void prepare(void) {
  struct action action = {handler, RESTORER, restore, 0};
  sys4(NR_rt_sigaction, 10, (long)&action, 0, 8);
  sys0(NR_getuid);
}

void run(long *stack) {
  (void)stack;
  prepare();
  while (rounds) {
    char event[12];
    sys4(NR_epoll_wait, -1, (long)event, 1, 1);
    sys2(NR_kill, sys0(NR_getpid), 10);
    rounds--;
  }
  quit();
}
