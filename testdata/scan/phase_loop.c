// A server: what it does before it waits for the first time is over then.
// builds: freestanding
// calls: getuid setsid epoll_create1 epoll_wait getppid getpid exit_group
// phase: main/startup getuid setsid epoll_create1 epoll_wait getppid getpid exit_group
// phase: main/loop epoll_wait getppid getpid exit_group -getuid -setsid -epoll_create1
// run: some
#include "freestanding.h"

static volatile int rounds = 2;

NOINLINE void prepare(void) {
  for (int i = 0; i < 2; i++) sys0(NR_getuid);
  sys0(NR_setsid);
}

NOINLINE void handle(void) { sys0(NR_getppid); }

NOINLINE void serve(long epoll) {
  char event[12];
  while (rounds) {
    sys4(NR_epoll_wait, epoll, (long)event, 1, 1);
    handle();
    rounds--;
  }
}

void run(long *stack) {
  (void)stack;
  prepare();
  serve(sys1(NR_epoll_create1, 0));
  sys0(NR_getpid);
  quit();
}
