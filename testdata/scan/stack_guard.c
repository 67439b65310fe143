// Functions whose frames are guarded: what is done when a guard was overwritten.
// builds: freestanding
// flags: -fstack-protector-all -mstack-protector-guard=global
// calls: getpid getuid kill exit_group
// run: some
#include "freestanding.h"

const unsigned long KEEP(__stack_chk_guard) = 0x1234567800;

__attribute__((used, no_stack_protector)) void __stack_chk_fail(void) {
  sys2(NR_kill, sys0(NR_getpid), 6);
  sys1(NR_exit_group, 1);
}

NOINLINE long work(const char *text) {
  volatile char copy[16];
  long i = 0;
  for (; text[i]; i++) copy[i & 15] = text[i];
  return sys1(NR_getuid, copy[0] + i);
}

void run(long *stack) {
  work((const char *)stack[1]);
  quit();
}
