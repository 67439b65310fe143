// glibc's setxid: a handler that runs in every thread makes the call that a static pointer to a
// block in another thread's frame says.
// builds: freestanding
// calls: rt_sigaction getpid kill getuid rt_sigreturn exit_group
// run: all
// gap: getuid — a number behind a pointer that is kept in static memory
#include "signals.h"

struct action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};
struct command {
  int number;
  long arguments[3];
};

static struct command *volatile current;
static void handler(int number) {
  (void)number;
  sys1(current->number, current->arguments[0]);
}

void run(long *stack) {
  struct action action = {handler, RESTORER, restore, 0};
  struct command command = {NR_getuid, {stack[0], 0, 0}};
  sys4(NR_rt_sigaction, 10, (long)&action, 0, 8);
  current = &command;
  sys2(NR_kill, sys0(NR_getpid), 10);
  quit();
}
