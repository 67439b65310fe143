// A trap for a debugger that a handler of the program takes: execution goes on behind it.
// builds: freestanding
// calls: rt_sigaction rt_sigreturn getpid getuid exit_group
// run: all
#include "signals.h"

struct action {
  void (*handler)(int, void *, unsigned long *);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

static void handler(int number, void *information, unsigned long *context) {
  (void)information, (void)context;
#ifdef __aarch64__
  // It would trap again.
  context[PLACE] += 4;
#endif
  sys1(NR_getpid, number);
}

void run(long *stack) {
  (void)stack;
  struct action action = {handler, RESTORER | SIGINFO, restore, 0};
  sys4(NR_rt_sigaction, 5, (long)&action, 0, 8);
#ifdef __aarch64__
  __asm__ volatile("brk #0" ::: "memory");
#else
  __asm__ volatile("int3" ::: "memory");
#endif
  sys0(NR_getuid);
  quit();
}
